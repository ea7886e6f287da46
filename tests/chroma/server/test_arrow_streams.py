"""Arrow streams into records: what is taken, what is refused, and what a broken one leaves."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chroma.errors import ChromaError, DuplicateIDError, InvalidArgumentError, InvalidDimensionException
from chroma.server.http.request_body import TooLarge
from chroma.server.parsing import arrow_batches, arrow_streams
from chroma.storage.interface.values import EncodedMetadata, Mode, Records, Rows, Written
from chroma.wire import arrow_codec
from chroma.wire.arrow_stream_decoder import BrokenStream, Frames

LARGEST = 1 << 20


def table(rows: int = 3, start: int = 0, **columns: Any) -> pa.RecordBatch:
    vectors = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    return pa.RecordBatch.from_pydict(
        {
            "id": [f"r{start + row}" for row in range(rows)],
            "embedding": arrow_codec.vectors(vectors),
            **columns,
        }
    )


def encode(*batches: pa.RecordBatch, end: bool = True) -> bytes:
    parts = [bytes(part) for part in arrow_codec.messages(batches, batches[0].schema)]
    return b"".join(parts if end else parts[:-1])


class Log:
    """Stands for a collection: keeps what was written."""

    def __init__(self, refuse: str | None = None) -> None:
        self.batches: list[Records] = []
        self.refuse = refuse

    def write(self, records: Records) -> Written:
        if self.refuse in records.ids:
            raise InvalidDimensionException("Collection expecting embedding with dimension of 3, got 2")
        self.batches.append(records)
        return Written(added=len(records.ids))

    def ids(self) -> list[str]:
        return [id for batch in self.batches for id in batch.ids]


def take(data: bytes, mode: Mode = "add", log: Log | None = None) -> tuple[Written, int]:
    return arrow_streams.receive(mode, io.BytesIO(data), (log or Log()).write, LARGEST)


def one(batch: pa.RecordBatch, mode: Mode = "add") -> Records:
    log = Log()
    take(encode(batch), mode, log)
    return _plain(log.batches[0])


def _plain(records: Records) -> Records:
    """With metadata as mappings, where it came as the engine stores it."""
    return records._replace(metadatas=records.metadatas and list(records.metadatas))


# ---------------------------------------------------------------------------- framing


@given(st.lists(st.integers(1, 400), max_size=40), st.integers(1, 4))
def test_pieces_of_any_size_give_the_same_batches(sizes: Sequence[int], count: int) -> None:
    batches = [table(3, 3 * number) for number in range(count)]
    data, frames, found = encode(*batches), Frames(LARGEST, arrow_batches.check_schema), []
    for size in [*sizes, len(data)]:
        frames.add(data[:size])
        data = data[size:]
        while (batch := frames.next()) is not None:
            found.append(batch)
    frames.finish()
    assert found == batches


def test_many_small_messages_in_one_piece() -> None:
    """Taking one does not move those that wait, and what was taken stays as it was."""
    batches = [table(1, number) for number in range(1000)]
    data, frames, found = encode(*batches), Frames(LARGEST, arrow_batches.check_schema), []
    begin = data[: len(data) // 2 + 5]
    frames.add(begin)
    waiting = frames._bytes
    while (batch := frames.next()) is not None:
        found.append(batch)
        assert frames._bytes is waiting
    frames.add(data[len(begin) :])
    while (batch := frames.next()) is not None:
        found.append(batch)
    frames.finish()
    assert found == batches


@given(st.integers(0, 2000))
def test_a_stream_cut_anywhere_leaves_whole_batches_and_counts_them(cut: int) -> None:
    data, log = encode(table(2), table(3, 2), table(4, 5)), Log()
    kept = data[: cut % len(data)]
    with pytest.raises(BrokenStream) as caught:
        take(kept, log=log)
    assert caught.value.durable_rows == len(log.ids())
    assert len(log.ids()) in (0, 2, 5, 9)
    assert f"{len(log.ids())} rows" in str(caught.value)


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000), st.integers(0, 255))
@example(0, 0, 4, 255)
def test_bytes_that_changed_on_the_way_are_an_error_or_data(a: int, x: int, b: int, y: int) -> None:
    data = bytearray(encode(table(5, document=["a", None, "ccc", "", "ü"]), table(2, 5, document=["x", "y"])))
    data[a % len(data)], data[b % len(data)] = x, y
    log = Log()
    try:
        take(bytes(data), log=log)
    except ChromaError as error:
        assert isinstance(error, (InvalidArgumentError, InvalidDimensionException))
        assert error.durable_rows == len(log.ids())
    for batch in log.batches:
        assert all(type(id) is str for id in batch.ids)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not an Arrow stream at all", "stream format is expected"),
        (b"ARROW1\0\0" + bytes(64), "stream format is expected"),
        (b"", "ends before its end mark"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f", "is said to have"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", "is said to have"),
        (b"\xff\xff\xff\xff\x08\0\0\0" + bytes(8), "out of place"),
        (b"\xff\xff\xff\xff\x08\0\0\0" + b"\xff" * 8, "cannot be read"),
        (encode(table()) + b"x", "goes on after its end mark"),
        (encode(table(), end=False), "ends before its end mark"),
    ],
)
def test_what_is_no_stream_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BrokenStream, match=words):
        take(data)


def test_a_batch_beyond_the_limit_is_refused_by_its_head() -> None:
    large = table(200_000)
    head = encode(large)[:4096]
    with pytest.raises(BrokenStream, match="exceeds the limit of 1,048,576: write smaller batches"):
        take(head)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_batches_are_refused(codec: str) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table().schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_batch(table(100))
    with pytest.raises(BrokenStream, match="without compression"):
        take(sink.getvalue().to_pybytes())


# ---------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"documents": ["a", "b", "c"]}, "no column 'documents': call it 'document'"),
        ({"document": [1, 2, 3]}, "'document' is int64: expected string"),
        ({"Document": ["a", "b", "c"]}, "'Document' is nearly called 'document'"),
        ({"document": pa.array(["a", "b", "a"]).dictionary_encode()}, "'document' is dictionary"),
        ({"kind": pa.array(["a", "b", "a"]).dictionary_encode()}, "decode it: array.dictionary_decode"),
        ({"long": pa.array([1, 2, 3], pa.duration("s"))}, "'long' is duration"),
        ({"blob": pa.array([b"a", b"b", b"c"])}, "'blob' is binary.*base64"),
        ({"price": pa.array([1, 2, 3], pa.decimal128(5, 2))}, "'price' is decimal.*cast it to float64"),
        ({"nested": [{"a": 1}, {"a": 2}, None]}, "'nested' is struct.*flatten"),
        ({"metadata": [{"a": {"b": 1}}, None, None]}, "'metadata.a' is struct.*flatten"),
        ({"metadata": [1, 2, 3]}, "'metadata' is int64: expected a struct"),
        ({"metadata": ["{}", "{}", "[1]"]}, r"metadata at row 2 is \[1\]: expected a JSON object"),
        ({"metadata": ["{}", '{"a":', "{}"]}, "metadata at row 1 is not valid JSON"),
        ({"metadata": ['{"a":1', '"b":2}', "{}"]}, "metadata at row 0 is not valid JSON"),
        ({"metadata": ['{"a":{}}', None, None]}, "got {} of type dict for key 'a'"),
        ({"metadata": ["{}"] * 3, "kind": ["a"] * 3}, "give one or the other"),
        ({"score": [1.0, float("nan"), 2.0]}, "nan"),
        ({"#x": [1, 2, 3]}, "starts with '#'"),
        ({"embedding": [[1.0], [1.0, 2.0], [3.0]]}, "row 0 has 1 and row 1 has 2"),
        ({"embedding": [[1.0, 2.0], None, [1.0, 2.0]]}, "embedding is null at row 1"),
        ({"embedding": [[1.0, 2.0], [1.0, None], [1.0, 2.0]]}, "holds a null inside a vector at row 1"),
        ({"embedding": [[1.0, 2.0], [1.0, float("inf")], [1.0, 2.0]]}, "inf"),
        ({"embedding": ["[1, 2]", "[3, 4]", "c"]}, "the embedding 'c' at row 2 is not a list of numbers"),
        ({"id": ["a", None, "c"]}, "the column for 'id' is null at row 1"),
        ({"id": ["a", "b", "a"]}, "unique"),
        ({"id": [1.5, 2.0, 3.0]}, "'id' is double: expected string"),
    ],
)
def test_columns_that_cannot_be_taken_are_named(columns: dict[str, Any], words: str) -> None:
    log = Log()
    with pytest.raises(ChromaError, match=words) as caught:
        take(encode(table(**columns)), log=log)
    assert isinstance(caught.value, (InvalidArgumentError, DuplicateIDError, InvalidDimensionException))
    assert not log.batches


def test_an_extension_type_is_refused_with_its_storage_as_remedy() -> None:
    class Plain(pa.ExtensionType):
        def __init__(self) -> None:
            super().__init__(pa.int64(), "test.plain")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage: Any, data: bytes) -> Plain:
            return cls()

    pa.register_extension_type(Plain())
    try:
        batch = table(kind=pa.ExtensionArray.from_storage(Plain(), pa.array([1, 2, 3])))
        with pytest.raises(InvalidArgumentError, match="'kind' is extension.*array.storage"):
            take(encode(batch))
    finally:
        pa.unregister_extension_type("test.plain")


def test_the_id_column_is_needed() -> None:
    batch = pa.RecordBatch.from_pydict({"embedding": [[1.0]]})
    with pytest.raises(InvalidArgumentError, match="the column 'id' is missing"):
        take(encode(batch))


def test_texts_alone_are_not_embedded_here() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["a"], "document": ["text"]})
    with pytest.raises(InvalidArgumentError, match="embedded by clients"):
        take(encode(batch))


@pytest.mark.parametrize(
    "type", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.int8(), 2)]
)
def test_vectors_come_in_any_list_of_numbers(type: pa.DataType) -> None:
    written = one(table(2, embedding=pa.array([[1, 2], [3, 4]], type)))
    assert written.embeddings is not None and written.embeddings.dtype == np.float32
    assert written.embeddings.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("type", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_comes_in_any_string_type(type: pa.DataType) -> None:
    written = one(table(3, document=pa.array(["a", None, "ü"], type)))
    assert written.documents == ["a", None, "ü"]


def test_metadata_from_a_struct_leaves_nulls_out() -> None:
    values = [{"i": 1, "f": 1.0, "s": "x", "b": True, "l": [1, 2]}, {"i": None, "f": 2.5, "s": "y"}, None]
    written = one(table(metadata=pa.array(values)))
    assert written.metadatas == [values[0], {"f": 2.5, "s": "y"}, None]
    assert type(written.metadatas[0]["f"]) is float  # type: ignore[index]


def test_other_columns_are_metadata() -> None:
    written = one(table(year=pa.array([1, None, 3], pa.int16()), tags=[["a"], None, ["b", "c"]]))
    assert written.metadatas == [{"year": 1, "tags": ["a"]}, None, {"year": 3, "tags": ["b", "c"]}]


def test_columns_mean_what_they_mean_in_tables() -> None:
    batch = pa.RecordBatch.from_pydict({
        "id": [1, 2],
        "embedding": ["[1, 2]", "[3.5, 4]"],
        "when": pa.array([0, None], pa.timestamp("s", "UTC")),
        "day": pa.array([0, 1], pa.date32()),
        "days": pa.array([[0], None], pa.list_(pa.date32())),
        "__index_level_0__": [7, 8],
    })  # fmt: skip
    records = one(batch)
    assert records.embeddings is not None and records.metadatas is not None
    assert list(records.ids) == ["1", "2"] and records.embeddings.tolist() == [[1, 2], [3.5, 4]]
    assert list(records.metadatas) == [
        {"when": "1970-01-01T00:00:00Z", "day": "1970-01-01", "days": ["1970-01-01"]},
        {"day": "1970-01-02"},
    ]


def test_updates_may_leave_vectors_out() -> None:
    written = one(table(3, embedding=[[1.0, 2.0], None, [3.0, 4.0]]), "update")
    assert written.has_embedding is not None
    assert written.has_embedding.tolist() == [True, False, True]
    assert written.embeddings is not None and written.embeddings[2].tolist() == [3, 4]
    alone = one(pa.RecordBatch.from_pydict({"id": ["a"], "n": [1]}), "update")
    assert alone.embeddings is None and alone.metadatas == [{"n": 1}]


def test_json_null_deletes_a_key_in_updates() -> None:
    written = one(pa.RecordBatch.from_pydict({"id": ["a"], "metadata": ['{"gone":null,"n":1}']}), "update")
    assert written.metadatas == [{"gone": None, "n": 1}]


# ---------------------------------------------------------------------------- order of things


def test_batches_are_written_one_by_one_and_counted() -> None:
    log = Log()
    empty = table().slice(0, 0)
    assert take(encode(table(2), empty, table(3, 2)), log=log) == (Written(added=5), 5)
    assert [len(batch.ids) for batch in log.batches] == [2, 3]


def test_an_empty_stream_writes_nothing() -> None:
    log = Log()
    assert take(encode(table().slice(0, 0)), log=log) == (Written(), 0)
    assert not log.batches


def test_a_refused_batch_keeps_those_before_and_drops_those_after() -> None:
    log = Log(refuse="r2")
    with pytest.raises(InvalidDimensionException, match="dimension of 3, got 2; 2 rows") as caught:
        take(encode(table(2), table(2, 2), table(2, 4)), log=log)
    assert (log.ids(), caught.value.durable_rows) == (["r0", "r1"], 2)


def test_a_source_that_breaks_off_leaves_whole_batches() -> None:
    class Gone(Exception):
        pass

    class Source:
        def __init__(self) -> None:
            self.parts = [encode(table(2), table(2, 2), end=False), None]

        def read(self, size: int) -> bytes:
            part = self.parts.pop(0)
            if part is None:
                raise Gone
            return part

    log = Log()
    with pytest.raises(Gone):
        arrow_streams.receive("add", Source(), log.write, LARGEST)
    assert log.ids() == ["r0", "r1", "r2", "r3"]


# ---------------------------------------------------------------------------- more than it looks


def views(times: int, size: int) -> pa.Array:
    """A text many times, stored once."""
    one = pa.array(["x" * size], pa.string_view())
    _, places, text = one.buffers()
    return pa.Array.from_buffers(pa.string_view(), times, [None, pa.py_buffer(bytes(places) * times), text])


@pytest.mark.parametrize(
    "column",
    [
        {"document": views(20, LARGEST // 10)},
        {"metadata": pa.StructArray.from_arrays([views(20, LARGEST // 10)], names=["text"])},
        {"bits": pa.FixedSizeListArray.from_arrays(pa.array([True] * LARGEST), LARGEST // 32).slice(0, 20)},
        {f"bit{number}": pa.array([True] * 20) for number in range(LARGEST // 20 // 16 + 1)},
    ],
    ids=["views", "views in a struct", "lists of bits", "columns of bits"],
)
@pytest.mark.parametrize("receive", [arrow_streams.receive, arrow_streams.receive_whole])
def test_values_count_as_what_they_become(receive: Any, column: dict[str, pa.Array]) -> None:
    data, log = encode(table(20, **column)), Log()
    assert len(data) < LARGEST
    with pytest.raises(TooLarge, match="smaller batches"):
        receive("add", io.BytesIO(data), log.write, LARGEST)
    assert not log.batches


def test_views_that_share_their_bytes_are_fine() -> None:
    log = Log()
    assert take(encode(table(3, document=views(5, 100)[1:4])), log=log)[1] == 3
    assert log.batches[0].documents == ["x" * 100] * 3


def test_many_columns_are_checked_at_once() -> None:
    wide = pa.schema([("id", pa.string()), *((f"c{number}", pa.null()) for number in range(50_000))])
    begun = time.monotonic()
    arrow_batches.check_schema(wide)
    assert time.monotonic() - begun < 10


# ---------------------------------------------------------------------------- metadata out

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(-5, 5), min_size=1, max_size=3),
    st.lists(st.floats(-5, 5), min_size=1, max_size=3),
    st.lists(st.text(max_size=3), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
KEYS = st.text(min_size=1, max_size=4).filter(lambda key: key[0] not in "#$")
METADATA = st.lists(st.none() | st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), min_size=1, max_size=6)


def same(one: Any, two: Any) -> bool:
    """Equal, types included, also of list elements."""
    return repr(one) == repr(two)


@given(METADATA)
@example([{"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": [1]}, {"a": [1.0]}])
@example([{"a": 1, "a (int)": "x"}, {"a": "y"}])
def test_metadata_of_any_types_survives_json_and_struct(metadatas: list[dict[str, Any] | None]) -> None:
    ids = [f"r{row}" for row in range(len(metadatas))]
    batch = arrow_codec.records_to_batch(
        "add", Records(ids, np.zeros((len(ids), 2), np.float32), None, metadatas)
    )
    assert same(one(batch).metadatas, metadatas)
    assert same(arrow_codec.rows_from_table(pa.Table.from_batches([batch])).metadatas, metadatas)
    texts = batch.column("metadata")
    typed = arrow_codec.to_struct(texts, arrow_codec.typed_keys_of([texts]))
    again = one(table(len(ids), metadata=typed)).metadatas
    assert same([entry and sorted(entry.items()) for entry in again or [None] * len(ids)],
                [entry and sorted(entry.items()) for entry in metadatas])  # fmt: skip


def test_a_key_of_several_types_has_a_field_for_each() -> None:
    texts = pa.array(['{"v":1,"w":"a"}', '{"v":"one"}', None])
    typed = arrow_codec.to_struct(texts, arrow_codec.typed_keys_of([texts]))
    assert [field.name for field in typed.type] == ["v (int)", "w", "v (str)"]
    assert typed.to_pylist() == [
        {"v (int)": 1, "w": "a", "v (str)": None},
        {"v (int)": None, "w": None, "v (str)": "one"},
        None,
    ]


def test_fields_have_names_of_their_own() -> None:
    texts = pa.array(['{"v":1}', '{"v":"x"}', '{"v (int)":"z"}'])
    slots = arrow_codec.typed_keys_of([texts])
    typed = arrow_codec.to_struct(texts, slots)
    assert [field.name for field in typed.type] == ["v (int)'", "v (str)", "v (int)"]
    log = Log()
    take(encode(table(3, metadata=typed)), log=log)
    assert _plain(log.batches[0]).metadatas == [{"v": 1}, {"v": "x"}, {"v (int)": "z"}]


def test_rows_read_back_are_what_was_written() -> None:
    records = Records(["a", "b"], np.eye(2, dtype=np.float32), ["x", None], [{"n": 1}, None], [None, "u"])
    batch = arrow_codec.records_to_batch("add", records)
    data = encode(batch, batch)
    rows = arrow_codec.rows_from_table(arrow_codec.read(data))
    assert isinstance(rows, Rows)
    assert (rows.ids, rows.documents, rows.uris) == (["a", "b"] * 2, ["x", None] * 2, [None, "u"] * 2)
    assert rows.metadatas == [{"n": 1}, None] * 2
    assert rows.embeddings is not None and np.array_equal(rows.embeddings, np.tile(np.eye(2), (2, 1)))
    assert arrow_batches.records("add", arrow_codec.read(data).to_batches()[0]).ids == ["a", "b"]


def test_batches_of_one_write_may_have_other_columns_filled() -> None:
    """A column that one batch has only nulls of is there where another has values."""
    one = table(
        2, id=["a", "b"], document=pa.array(["x", None], pa.string()), n=pa.array([1, None], pa.int64())
    )
    two = table(
        2, id=["c", "d"], document=pa.array([None, None], pa.string()), n=pa.array([3, 4], pa.int64())
    )
    parts = [arrow_batches.records("add", batch) for batch in (one, two)]
    whole = _plain(arrow_batches.joined(parts))
    assert whole.ids == ["a", "b", "c", "d"]
    assert whole.documents == ["x", None, None, None]
    assert whole.metadatas == [{"n": 1}, None, {"n": 3}, {"n": 4}]
    assert isinstance(parts[0].metadatas, EncodedMetadata)


def test_batches_of_one_write_have_vectors_of_one_length() -> None:
    one, two = table(2, id=["a", "b"]), table(1, id=["c"], embedding=[[1.0, 2.0, 3.0]])
    parts = [arrow_batches.records("add", batch) for batch in (one, two)]
    with pytest.raises(InvalidDimensionException, match="row 0 has 2 and row 2 has 3"):
        arrow_batches.joined(parts)


def test_an_int_of_json_beyond_64_bits_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="an int must fit in 64 bits"):
        one(table(1, id=["a"], metadata=['{"n":340282366920938463463374607431768211456}']))
