"""CSV: what columns are read as, every byte of the cells, and errors with column, row and remedy."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError
from chroma.pipelines import csv_reader, csv_records
from chroma.pipelines.chunks import Bad, Rows
from chroma.pipelines.csv_records import Dialect
from chroma.pipelines.text_types import Guess, decided

V = '"[1,2]"'  # a vector


@pytest.fixture
def things() -> Iterator[Any]:
    with chroma.EphemeralClient(private=True) as client:
        yield client.create_collection("things", embedding_function=None)


def column(*cells: str, before: str = "") -> str:
    """A file whose column x has these cells."""
    rows = [f"i{number},{V},{cell}\n" for number, cell in enumerate(cells)]
    return f"id,embedding,x\n{before}{''.join(rows)}"


def values(things: Any) -> list[Any]:
    return [(entry or {}).get("x") for entry in things.get()["metadatas"]]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2", "", "9223372036854775807", "-9223372036854775808"], [1, -2, None, 2**63 - 1, -(2**63)]),
        (["1.5", "2.0", "1e-05"], [1.5, 2.0, 1e-5]),  # as Python writes them
        (["1.5", "2", "0.00001", "1e-7"], [1.5, 2.0, 1e-5, 1e-7]),  # as Arrow does
        (["0.1", "1e+22", "-0.5"], [0.1, 1e22, -0.5]),
        (["true", "false", ""], [True, False, None]),
        (["True", "False"], [True, False]),
        (["TRUE", "FALSE"], [True, False]),
        (["", ""], [None, None]),
        *(
            (cells, cells)
            for cells in (
                ["+4915112345678", "+1"],
                ["12345678901234567891", "1"],
                ["9007199254740993", "1.5"],
                ["12E4", "120E3"],
                ["1e5", "2"],
                ["1.10", "1.9"],
                ["2", "2.0"],
                ["2.5", "2", "2.0"],
                ["01067", "99999"],
                ["-0", "0"],
                [" 1", "2"],
                ["1 ", "2"],
                ["1_000", "2"],
                [".5", "1"],
                ["1.", "1"],
                ["NaN", "1.5"],
                ["inf", "1.5"],
                ["0x10", "1"],
                ["true", "False"],
                ["true", "1"],
                ["NULL", "1"],
                ["2024-05-01", "2024-05-02"],
                ["2024-05-01 12:00", "2024-05-01 13:00:00"],
                ["12:30", "13:00"],
                ["11", "11.0.1"],
                ["0.1000000000000000055511151231257827", "0.2"],
                ["1.50", "2.25"],
                ["١", "2"],
            )
        ),
    ],
)
def test_what_does_not_come_back_is_text(
    things: Any, tmp_path: Path, cells: list[str], expected: list[Any]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(column(*cells))
    report = things.load(path)
    assert values(things) == expected
    assert [type(value) for value in values(things)] == [type(value) for value in expected]
    kinds = {bool: "bool", int: "int64", float: "float64", str: "string"}
    told = kinds[type(expected[0])] if expected[0] is not None else "string"
    assert report.types == {"id": "string", "embedding": "string", "x": told}
    assert f"x {told}" in str(report)


@pytest.mark.parametrize(
    "cells", [['"03930271"', "5"], ["5", '"6"'], ['""', "5"], ['"5"', ""], ['"true"', "true"]]
)
def test_quoted_cells_are_text(things: Any, tmp_path: Path, cells: list[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(column(*cells))
    things.load(path)
    assert values(things) == [cell.strip('"') if cell else None for cell in cells]
    report = things.load(path, types={"x": "string"}, on_conflict="upsert")
    assert report.types["x"] == "string"


def test_all_cells_decide(things: Any, tmp_path: Path) -> None:
    """Also those beyond a megabyte, and those of the other files."""
    (tmp_path / "a.csv").write_text(column(*map(str, range(3))))
    (tmp_path / "b.csv").write_text(
        "id,embedding,x,y\n" + "".join(f"j{n},{V},{n},{n}\n" for n in range(70_000)) + f"k,{V},11.0.1,1.5\n"
    )
    assert (tmp_path / "b.csv").stat().st_size > 1 << 20
    report = things.load(tmp_path, batch_size=10_000)
    assert (report.types["x"], report.types["y"]) == ("string", "float64")
    assert things.get(ids=["i1", "j1", "k"])["metadatas"] == [
        {"x": "1"}, {"x": "1", "y": 1.0}, {"x": "11.0.1", "y": 1.5},
    ]  # fmt: skip


def test_only_columns_that_are_used_are_looked_at(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,embedding,x,y\na,{V},1,2\n")
    report = things.load(path, columns={"metadata": ["x"]})
    assert (report.types["x"], report.types["y"]) == ("int64", "string")
    assert (
        things.load(path, transform=lambda table: table.drop_columns(["x"]), on_conflict="upsert").types["y"]
        == "int64"
    )


def test_one_way_of_writing_per_column() -> None:
    for texts in ([["2"], ["1.5"]], [["1.5"], ["2"]], [["2.0"], ["1.5"]]):
        guess = Guess()
        for block in texts:
            guess.look(pa.chunked_array([pa.array(block)]))
        assert guess.type == pa.float64()
    guess.look(pa.chunked_array([pa.array(["2"])]))  # as in no file that writes 2.0
    assert guess.type == pa.string()
    assert decided(["True", None, "False"]).to_pylist() == [True, None, False]


@pytest.mark.parametrize(
    "cells",
    [
        ["[1]", "[1, 2]"], ["[[1, 2]]", "[3, 4]"], ["[]", "[]"], ["[1, 2]", "1, 2"], ["[1,]", "[1,2]"],
        ["[01, 2]", "[1, 2]"], ["[1 2]", "[3 4]"], ["[true, 1]", "[1, 2]"], ['["1", 2]', "[1, 2]"],
        ["[1],[2]", "[1, 2]"], ["[1, 2]", "[[1, 2]"], ["[null, 2]", "[1, 2]"], ["[1, 2]", "[3, 4"],
        ["[1, 2]", "[+3, 4]"], ["{1, 2}", "{3, 4}"], ["[1, -]", "[1, 2]"],
    ],
)  # fmt: skip
def test_vectors_that_are_none(cells: list[str]) -> None:
    """They are left to the parser of single vectors, which names the row."""
    part = Rows.of(0, pa.table({"embedding": cells}))
    found = part.parsed("embedding")
    assert len(found.bad) == len([cell for cell in cells if not is_vector(cell)])


def is_vector(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, list) and set(map(type, found)) <= {int, float}


def test_vectors_are_read_bit_for_bit() -> None:
    chance = random.Random(3)
    numbers = [chance.uniform(-1, 1) * 10.0 ** chance.randrange(-30, 30) for _ in range(60_000)]
    vectors = [numbers[start : start + 300] for start in range(0, len(numbers), 300)]
    for texts in ([json.dumps(each) for each in vectors], [str(each).replace(" ", "") for each in vectors]):
        found = Rows.of(0, pa.table({"embedding": texts})).parsed("embedding").table.column("embedding")
        assert found.to_pylist() == vectors


# ---------------------------------------------------------------------------- every byte


def read(
    text: str, names: int, dialect: Dialect, piece: int
) -> tuple[list[list[str | None]], dict[int, Bad]]:
    data, bad = text.encode(), dict[int, Bad]()
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    form = csv_reader.Form([str(number) for number in range(names)], {}, dialect)
    found: list[list[str | None]] = []
    for batch in csv_reader.read(form, b"", pieces, bad):
        found += map(list, zip(*(column.to_pylist() for column in batch.columns)))
    return found, bad


@pytest.mark.parametrize("quoting", ['"', "'", ""])
def test_every_byte_whatever_the_block(quoting: str) -> None:
    """CR, LF, quotes and separators in cells, with blocks of a few bytes, as Python's own reader has them."""
    chance = random.Random(7)
    letters = ["\r\n", "\r", "\n", ",", "a", "ü", " ", quoting * 2] if quoting else ["a", '"', "ü", " ", "'"]
    for _ in range(300):
        end = chance.choice(["\n", "\r\n", "\r"])
        lines = []
        for _ in range(chance.randrange(1, 6)):
            cells = ["".join(chance.choices(letters, k=chance.randrange(6))) for _ in range(3)]
            if quoting:
                cells = [
                    f"{quoting}{cell}{quoting}"
                    if chance.random() < 0.7
                    else chance.choice(["x", f"5{quoting} b", ""])
                    for cell in cells
                ]
            lines.append(",".join(cells))
        text = end.join(lines) + chance.choice(["", end])
        options: Any = {"quotechar": quoting} if quoting else {"quoting": csv.QUOTE_NONE}
        expected = [row for row in csv.reader(io.StringIO(text, newline=""), **options) if row]
        for piece in (1, 2, 3, 7, 1000):
            rows, bad = read(text, 3, Dialect(b",", quoting.encode()), piece)
            assert [[cell or "" for cell in row] for row in rows] == expected, (text, piece)
            assert not bad


def test_a_line_end_in_a_cell_at_the_end_of_a_block(things: Any, tmp_path: Path) -> None:
    for offset in (-1, 0, 1):
        head = f'id,embedding,x\na,{V},"'
        filler = "y" * ((1 << 20) - len(head) - 1 + offset)
        path = tmp_path / "a.csv"
        path.write_bytes(f'{head}{filler}\r\nz"\r\nb,{V},"\r\n"\r\n'.encode())
        things.load(path, on_conflict="upsert")
        assert values(things) == [f"{filler}\r\nz", "\r\n"]


def test_long_texts(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    texts = ["x" * (5 << 20), 'a "quoted" word\n' * 200_000]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["id", "embedding", "document"], *([f"i{n}", "[1,2]", text] for n, text in enumerate(texts))]
        )
    things.load(path)
    assert things.get()["documents"] == texts


def test_quotes_that_are_plain_characters(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(column('a 5" disk', 'b "c"', '"d"e', "7", before=f"o,{V},8\n"))
    things.load(path)
    assert values(things) == ["8", 'a 5" disk', 'b "c"', "de", "7"]


# ---------------------------------------------------------------------------- separators, encodings, packing


def test_separators_and_quotes(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id;embedding;x\na;[1,2];'x;''y'\n")
    with pytest.raises(InvalidArgumentError, match=r"no column 'id'.*pass separator=';'"):
        things.load(path)
    things.load(path, separator=";", quoting="'")
    assert values(things) == ["x;'y"]
    path.write_text('id|embedding|x\na|[1,2]|"b\n')
    things.load(path, separator="|", quoting="", on_conflict="upsert")
    assert values(things) == ['"b']
    (tmp_path / "b.tsv").write_text("id\tembedding\tx\na\t[1,2]\t1,5\n")
    things.load(tmp_path / "b.tsv", on_conflict="upsert")
    assert values(things) == ["1,5"]


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("utf-8-sig", None), ("utf-16", None), ("utf-32", None), ("utf-16-le", "utf-16-le"),
        ("utf-16", "utf-16"), ("utf-16", "utf-16-le"), ("cp1252", "cp1252"), ("latin-1", "ISO-8859-1"),
        ("shift_jis", "shift_jis"), ("utf-8-sig", "utf-8"),
    ],
)  # fmt: skip
def test_encodings(things: Any, tmp_path: Path, written: str, given: str | None) -> None:
    text = "日本" if written == "shift_jis" else "Köln"
    path = tmp_path / "a.csv"
    path.write_bytes(column(text, "x").encode(written))
    things.load(path, encoding=given)
    assert values(things) == [text, "x"]
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(
        (json.dumps({"id": "j", "embedding": [1, 2], "x": text}, ensure_ascii=False) + "\n").encode(written)
    )
    things.load(lines, encoding=given)
    assert values(things)[2] == text


def test_bytes_of_another_encoding(things: Any, tmp_path: Path) -> None:
    path, rejects = tmp_path / "a.csv", tmp_path / "r.jsonl"
    path.write_bytes(column("a", "Köln").encode("cp1252"))
    with pytest.raises(
        InvalidArgumentError, match=r"row 1 of .*a\.csv.*column 'x' holds byte 0xf6.*encoding='cp1252'"
    ):
        things.load(path)
    assert things.load(path, rejects=rejects).rejected == 1
    assert values(things) == ["a"]
    assert "K\ufffdln" in json.loads(rejects.read_text())["record"]
    path.write_bytes("id,embedding,größe\n".encode("cp1252"))
    with pytest.raises(InvalidArgumentError, match=r"a\.csv.*first line.*0xf6.*encoding='cp1252'"):
        things.load(path)
    path.write_bytes(column("a", "b").encode("utf-16-be"))
    with pytest.raises(InvalidArgumentError, match=r"a\.csv.*encoding='utf-16-be'"):
        things.load(path)
    path.write_bytes(column("a").encode("cp1252") + b"b,,\x81\n")  # cp1252 has no such character
    with pytest.raises(InvalidArgumentError, match=r"row 1 of .*column 'x' holds byte 0x81"):
        things.load(path, encoding="cp1252", on_conflict="upsert")
    path.write_bytes(column("a").encode("utf-16") + b"\x00\xd8\x00\xd8")
    with pytest.raises(InvalidArgumentError, match=r"a\.csv.*is not utf-16-le"):
        things.load(path)
    (tmp_path / "a.jsonl").write_bytes('{"id": "a", "x": "ö"}'.encode("cp1252"))
    with pytest.raises(InvalidArgumentError, match=r"row 0 of .*a\.jsonl.*encoding='cp1252'"):
        things.load(tmp_path / "a.jsonl")


def test_the_content_tells_the_compression(things: Any, tmp_path: Path) -> None:
    text = column("a", "b").encode()
    for data in (
        gzip.compress(text, mtime=0),
        bz2.compress(text),
        pa.compress(text, "gzip", asbytes=True),
        text,
    ):
        for name in ("a.csv", "a.csv.gz", "a.csv.zst"):
            (tmp_path / name).write_bytes(data)
            things.load(tmp_path / name, on_conflict="upsert")
            assert values(things) == ["a", "b"]
    (tmp_path / "a.csv").write_bytes(gzip.compress(text[:20], mtime=0) + gzip.compress(text[20:]))
    things.load(tmp_path / "a.csv", on_conflict="upsert")
    (tmp_path / "a.csv").write_bytes(gzip.compress(text, mtime=0)[:-12])
    with pytest.raises(InvalidArgumentError, match=r"a\.csv cannot be read as csv"):
        things.load(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.csv", b"PAR1xxxx", "a Parquet file: pass format='parquet'"),
        ("a.csv", b"PK\x03\x04xxxx", "a zip archive"),
        ("a.csv", b"\xfd7zXZ\x00xx", "compressed with xz"),
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"\n\n", "it is empty"),
        ("a.csv", b'id,"x\n', "a quoted cell without an end"),
        ("a.parquet", b"id,document\n", "begins with the text 'id,document"),
        ("a.parquet", gzip.compress(b"x" * 100, mtime=0), "compressed with gzip"),
        ("a.arrow", b"PAR1xxxx", "a Parquet file: pass format='parquet'"),
    ],
)
def test_files_of_another_format(things: Any, tmp_path: Path, name: str, data: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidArgumentError, match=rf"{name} cannot be read as .*{text}"):
        things.load(tmp_path / name)


# ---------------------------------------------------------------------------- errors


def test_bad_rows(things: Any, tmp_path: Path) -> None:
    """Each is named by row, column and cause, and the others are stored."""
    path, rejects = tmp_path / "a.csv", tmp_path / "r.jsonl"
    lines = [f"i{n},{V},{n}" for n in range(30)]
    lines[3] = "i3"
    lines[12] = f"i12,{V},many"
    lines[13] = f"i13,{V},"
    lines[14] = ""
    lines[20] = f",{V},20"
    lines[25] = f"i25,{V},25,26"
    lines[27] = "i27,[1;2],27"
    path.write_text("id,embedding,x\n" + "\n".join(lines) + f'\nu,{V},"open\n')
    report = things.load(path, types={"x": "int64"}, rejects=rejects, batch_size=7)
    assert (report.rows, report.added, report.rejected) == (30, 24, 6)
    told = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(entry["row"], entry["reason"][:32]) for entry in told] == [
        (3, "it has 1 cells, and the first li"),
        (12, "the column 'x' holds 'many', no "),
        (19, "the column 'id' is null: every re"[:32]),
        (24, "it has 4 cells, and the first li"),
        (26, "the embedding '[1;2]' is not a l"),
        (29, "the quoted cell at its end has n"),
    ]
    assert told[1]["record"] == {"id": "i12", "embedding": "[1,2]", "x": "many"}
    found = [entry["x"] for entry in things.get(where={"x": {"$gte": 0}})["metadatas"]]
    assert found[-4:] == [24, 26, 28, 29]
    with pytest.raises(
        InvalidArgumentError, match=r"row 12 of .*a\.csv.*'x' holds 'many', no int64; types=\{'x': 'string'\}"
    ):
        (tmp_path / "b").mkdir()
        other = tmp_path / "b" / "a.csv"
        other.write_text(
            "id,embedding,x\n" + "\n".join(f"{n},{V},{n}" for n in range(12)) + f"\na,{V},many\n"
        )
        things.load(other, types={"x": "int64"})


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_missing_id_far_down(things: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    ids = [None if n == 12_345 else f"i{n}" for n in range(12_400)]
    if ending == "csv":
        path.write_text("key,embedding\n" + "".join(f"{id or ''},{V}\n" for id in ids))
    elif ending == "jsonl":
        path.write_text("".join(json.dumps({"key": id, "embedding": [1, 2]}) + "\n" for id in ids))
    else:
        pq.write_table(pa.table({"key": ids, "embedding": [[1.0, 2.0]] * len(ids)}), path)
    with pytest.raises(InvalidArgumentError, match=rf"row 12345 of .*a\.{ending}.*'key' is null: "):
        things.load(path, columns={"id": "key"})
    rejects = tmp_path / "r.jsonl"
    options: Any = {"columns": {"id": "key"}, "rejects": rejects, "on_conflict": "skip"}
    assert things.load(path, **options).rejected == 1
    assert json.loads(rejects.read_text())["row"] == 12_345


def test_reasons_name_no_row_of_their_own(things: Any, tmp_path: Path) -> None:
    """The rows before were set aside, so that theirs is always the first."""
    columns: list[tuple[Any, str]] = [
        ([1.0, float("inf")], "the column 'x' holds inf: NaN"),
        ([[1], []], "the column 'x' holds an empty list, which"),
        (pa.array([1, 2**63], pa.uint64()), "the column 'x' holds 9223372036854775808: an int"),
    ]
    for column, text in columns:
        pq.write_table(
            pa.table({"id": ["a", "b"], "embedding": [[1.0, 2.0]] * 2, "x": column}), tmp_path / "a.parquet"
        )
        with pytest.raises(InvalidArgumentError, match=f"row 1 of .*{text}"):
            things.load(tmp_path / "a.parquet")
    pq.write_table(
        pa.table({"id": ["a", "b"], "embedding": [[1.0, 2.0], [1.0, float("nan")]]}), tmp_path / "a.parquet"
    )
    with pytest.raises(InvalidArgumentError, match=r"row 1 of .*embedding\[1\] is"):
        things.load(tmp_path / "a.parquet")


def test_names_that_json_lines_do_not_have(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "embedding": [1, 2], "zip_code": "1", "text": "x"}\n[1]\n')
    for columns in ({"metadata": ["zipcode"]}, {"document": "texts"}):
        with pytest.raises(
            InvalidArgumentError, match=r"a\.jsonl: none of the first 1 lines .*the nearest is"
        ):
            things.load(path, columns=columns)
    with pytest.raises(InvalidArgumentError, match="one object per line"):
        things.load(path, columns={"document": "text", "metadata": ["rare"]})


def test_an_index_that_pandas_wrote(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f",id,embedding\n0,a,{V}\n")
    with pytest.raises(InvalidArgumentError, match="column 0 has no name.*index=False"):
        things.load(path)
    assert things.load(path, columns={"metadata": []}).added == 1


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"types": {"zipcode": "string"}},
            InvalidArgumentError,
            "'zipcode', which no CSV file.*nearest is 'zip_code'",
        ),
        (
            {"columns": {"document": "zipcode"}},
            InvalidArgumentError,
            "no column 'zipcode'.*nearest is 'zip_code'",
        ),
        (
            {"columns": {"metadata": ["ZIP_CODE"]}},
            InvalidArgumentError,
            "no column 'ZIP_CODE'.*nearest is 'zip_code'",
        ),
        ({"columns": {"id": "key"}}, InvalidArgumentError, "no column 'key'"),
        (
            {"types": {"zip_code": pa.list_(pa.int64())}},
            InvalidArgumentError,
            "cell of a CSV file cannot hold",
        ),
        ({"separator": ";;"}, InvalidArgumentError, "separator to be one ASCII character"),
        ({"separator": "¦"}, InvalidArgumentError, "separator to be one ASCII character"),
        ({"quoting": "\n"}, InvalidArgumentError, "quoting to be one ASCII character"),
        ({"separator": '"'}, InvalidArgumentError, "are both"),
        ({"encoding": "cp9999"}, InvalidArgumentError, "no encoding 'cp9999'"),
        ({"encoding": "base64"}, InvalidArgumentError, "no encoding 'base64'"),
        ({"encoding": 3}, InvalidTypeError, "encoding to be a name"),
    ],
)
def test_options_that_cannot_be(
    things: Any, tmp_path: Path, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,embedding,zip_code\na,{V},1\n")
    with pytest.raises(error, match=text):
        things.load(path, **options)
    assert things.count() == 0


def test_options_of_csv_for_other_files(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "embedding": [1, 2]}\n')
    for options in ({"types": {"a": "string"}}, {"separator": ";"}, {"quoting": ""}):
        with pytest.raises(InvalidArgumentError, match="is for CSV, and the source has no CSV file"):
            things.load(path, **options)
    table = pa.table({"id": ["a"], "embedding": [[1.0, 2.0]]})
    with pytest.raises(InvalidArgumentError, match="is for CSV and JSON lines"):
        things.load(table, encoding="cp1252")


def test_a_record_without_an_end(things: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "LONGEST", 3 << 20)
    path = tmp_path / "a.csv"
    path.write_text(column('"' + "x" * (5 << 20)))
    with pytest.raises(
        InvalidArgumentError, match=r"a\.csv.*a record has more than 3,145,728 bytes.*quoting=''"
    ):
        things.load(path)
