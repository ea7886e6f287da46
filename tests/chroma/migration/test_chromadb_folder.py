"""Folders of every state and with every damage, made by hand: what comes over, what is said of the rest."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import chroma
from chroma.cli.main import cli
from chroma.errors import CorruptionError, InvalidArgumentError, NotADatabaseError, UniqueConstraintError

from . import handmade
from .handmade import Made, hashes, vectors

ALL = ["embeddings", "documents", "metadatas", "uris"]


def moved(source: Path, target: Path, **options: Any) -> chroma.MigrationReport:
    """Migrate and see that the source is as it was."""
    before = hashes(source)
    try:
        return chroma.migrate(source, target, progress=False, **options)
    finally:
        assert hashes(source) == before


def contents(target: Path, name: str, **place: str) -> dict[str, Any]:
    with chroma.PersistentClient(target, **place) as client:
        return dict(client.get_collection(name, embedding_function=None).get(include=ALL))


def check(target: Path, made: Made, places: list[int] | None = None) -> None:
    found = contents(target, made.name, tenant=made.tenant, database=made.database)
    places = list(range(len(made.ids))) if places is None else places
    assert found["ids"] == [made.ids[place] for place in places]
    assert found["documents"] == [f"text {place}" for place in places]
    wanted = [{k: v for k, v in made.record(place).items() if k != "chroma:document"} for place in places]
    assert json.dumps(found["metadatas"]) == json.dumps(wanted)
    assert np.array_equal(np.asarray(found["embeddings"], np.float32), made.vectors[places])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new"


@pytest.mark.parametrize("indexed", [0, 7, 20])
def test_vectors_come_from_the_index_and_from_the_log(old: Path, new: Path, indexed: int) -> None:
    made = Made("notes", vectors(20), indexed=indexed, metadata={"title": "mine"})
    handmade.write(old, [made]).close()
    report = moved(old, new, compare_all=True)
    assert (report.records, report.written, report.compared, report.already_done) == (20, 20, 20, False)
    assert [(c.name, c.id, c.records) for c in report.collections] == [("notes", made.id, 20)]
    check(new, made)
    with chroma.PersistentClient(new) as client:
        assert client.get_collection("notes", embedding_function=None).metadata == {"title": "mine"}


def test_tenants_and_databases_come_over_even_empty_ones(old: Path, new: Path) -> None:
    here, there = Made("one", vectors(3)), Made("one", vectors(4, seed=1), "acme", "archive")
    handmade.write(old, [here, there], tenants=["empty"]).close()
    moved(old, new)
    check(new, here)
    check(new, there)
    with chroma.PersistentClient(new) as client:
        admin = chroma.AdminClient(client.get_settings())
        assert admin.get_tenant("empty") == {"name": "empty"}
        assert [found["name"] for found in admin.list_databases(tenant="acme")] == ["archive"]


def test_a_folder_without_collections(old: Path, new: Path) -> None:
    handmade.write(old, [], tenants=["empty"]).close()
    report = moved(old, new)
    assert (report.collections, report.already_done) == ([], False)
    with chroma.PersistentClient(new) as client:
        chroma.AdminClient(client.get_settings()).get_tenant("empty")
    assert moved(old, new).already_done


def test_only_what_is_asked_for(old: Path, new: Path) -> None:
    one, two, three = (
        Made("one", vectors(2)),
        Made("two", vectors(2)),
        Made("two", vectors(2), "acme", "archive"),
    )
    handmade.write(old, [one, two, three]).close()
    report = moved(old, new, tenants=["acme"], collections=["two"])
    assert [c.id for c in report.collections] == [three.id]
    again = moved(old, new, collections=["two"])
    assert ([c.id for c in again.collections], again.written) == ([two.id, three.id], 2)
    assert moved(old, new, tenants=["acme"]).already_done
    assert not moved(old, new).already_done
    with pytest.raises(InvalidArgumentError, match=r"collections names 'ten'.*it has 'one', 'two'"):
        moved(old, new, collections=["ten"])
    with pytest.raises(InvalidArgumentError, match="tenants names 'nobody'"):
        moved(old, new, tenants=["nobody"])
    with pytest.raises(TypeError, match="a list of names, got the text 'two'"):
        moved(old, new, collections="two")


def test_the_log_is_applied_to_what_the_tables_and_the_index_have(old: Path, new: Path) -> None:
    made = Made("notes", vectors(6), indexed=5)
    database = handmade.write(old, [made])
    handmade.log(database, made, 0, "id-1", [9] * 4, '{"n": -1}')  # adding what is there does nothing
    handmade.log(database, made, 1, "id-2", None, '{"n": null, "even": 2.5, "chroma:document": "changed"}')
    handmade.log(database, made, 1, "nobody", [9] * 4, '{"n": -1}')  # nor does updating what is not
    handmade.log(database, made, 3, "id-0", None, "{}")
    handmade.log(database, made, 2, "id-3", [1, 2, 3, 4], '{"chroma:uri": "file:///x"}')
    handmade.log(database, made, 0, "new", [5, 6, 7, 8], '{"l": [1.0, 2.5]}')
    handmade.log(database, made, 0, "brief", [5, 6, 7, 8], "{}")
    handmade.log(database, made, 3, "brief", None, "{}")
    handmade.log(database, made, 2, "id-0", [4, 3, 2, 1], "{}")
    database.close()
    moved(old, new, compare_all=True)
    found = contents(new, "notes")
    assert found["ids"] == ["id-1", "id-2", "id-3", "id-4", "id-5", "new", "id-0"]
    assert found["documents"] == ["text 1", "changed", "text 3", "text 4", "text 5", None, None]
    assert found["uris"] == [None, None, "file:///x", None, None, None, None]
    assert json.dumps(found["metadatas"][1]) == '{"half": 1.0, "even": 2.5}'
    assert json.dumps(found["metadatas"][-2:]) == '[{"l": [1.0, 2.5]}, null]'
    wanted = np.vstack(
        [made.vectors[[1, 2]], [[1, 2, 3, 4]], made.vectors[4:], [[5, 6, 7, 8]], [[4, 3, 2, 1]]]
    )
    assert np.array_equal(np.asarray(found["embeddings"], np.float32), wanted.astype(np.float32))


def test_the_space_and_the_function_are_kept(old: Path, new: Path) -> None:
    known = {"type": "known", "name": "onnx_mini_lm_l6_v2", "config": {}}
    strange = {"type": "known", "name": "of-my-own", "config": {"size": 3}}
    made = [
        Made("a", vectors(3), space="ip", function=known),
        Made("b", vectors(3), space="cosine", function=strange, metadata={"hnsw:space": "cosine"}),
    ]
    handmade.write(old, made).close()
    report = moved(old, new)
    assert len(report.warnings) == 1
    assert "'of-my-own' is kept but not known here: register its class" in report.warnings[0]
    with chroma.PersistentClient(new) as client:
        stored = [client.get_collection(name).configuration_json for name in "ab"]
    assert [(s["hnsw"]["space"], s["embedding_function"]) for s in stored] == [
        ("ip", known),
        ("cosine", strange),
    ]


def test_the_schema_is_kept(old: Path, new: Path) -> None:
    on, off = {"enabled": True, "config": {}}, {"enabled": False, "config": {}}
    found = {"string": {"fts_index": off, "string_inverted_index": on}}
    vectors_of = {"space": "cosine", "source_key": "#document", "hnsw": {"ef_search": 9}}
    schema = {
        "defaults": {
            "string": {"fts_index": off, "string_inverted_index": on}, "int": {"int_inverted_index": on}
        },
        "keys": {
            "#embedding": {"float_list": {"vector_index": {"enabled": True, "config": vectors_of}}},
            "seen": found,
            "place": {"int": {"int_inverted_index": off}},
        },
    }  # fmt: skip
    database = handmade.write(old, [Made(name, vectors(3)) for name in "abc"])
    database.execute("ALTER TABLE collections ADD COLUMN schema_str TEXT")
    for name, text in (
        ("a", json.dumps(schema)),
        ("b", json.dumps(schema | {"keys": {"seen": found}})),
        ("c", json.dumps(schema | {"keys": {"place": 3}, "cmek": {"gcp": "x"}})),
    ):
        database.execute("UPDATE collections SET schema_str = ? WHERE name = ?", (text, name))
    database.commit()
    database.close()
    report = moved(old, new)
    (told,) = [text for text in report.warnings if "schema" in text]
    assert "'c'" in told and "unknown form" in told
    with chroma.PersistentClient(new) as client:
        a, b, c = (client.get_collection(name, embedding_function=None) for name in "abc")
        assert a.configuration_json["hnsw"]["space"] == "cosine"
        assert a.configuration_json["hnsw"]["ef_search"] == 9
        with pytest.raises(
            InvalidArgumentError, match="'place' with type 'Int' because indexing is disabled"
        ):
            a.get(where={"place": 1})
        assert (a._info.schema or {})["keys"].keys() == {"#document", "#embedding", "place"}
        assert b._info.schema is c._info.schema is None


def test_a_second_run_compares_and_finds_what_was_changed(old: Path, new: Path) -> None:
    made = Made("notes", vectors(9))
    handmade.write(old, [made]).close()
    moved(old, new)
    again = moved(old, new)
    assert (again.already_done, again.written, again.compared, again.records) == (True, 0, 9, 9)
    assert "moved before" in str(again)
    with chroma.PersistentClient(new) as client:
        client.get_collection("notes", embedding_function=None).update("id-4", metadatas={"n": 4.0})
    with pytest.raises(CorruptionError, match="the metadata of 'id-4' differs"):
        moved(old, new)
    with chroma.PersistentClient(new) as client:
        client.get_collection("notes", embedding_function=None).delete("id-4")
    with pytest.raises(CorruptionError, match="has 8 records in .*, and 9 were moved"):
        moved(old, new)
    with chroma.PersistentClient(new) as client:
        client.delete_collection("notes")
    with pytest.raises(CorruptionError, match="not there any more"):
        moved(old, new)


def test_the_source_may_not_change_in_between(old: Path, new: Path) -> None:
    made = Made("notes", vectors(9))
    database = handmade.write(old, [made])
    moved(old, new)
    handmade.log(database, made, 0, "late", [1] * 4, "{}")
    database.close()
    with pytest.raises(InvalidArgumentError, match="is not as it was when the migration into"):
        moved(old, new)


def test_a_collection_of_the_same_name_is_an_error_before_anything_is_written(old: Path, new: Path) -> None:
    handmade.write(old, [Made("mine", vectors(2)), Made("notes", vectors(2))]).close()
    with chroma.PersistentClient(new) as client:
        client.create_collection("notes", embedding_function=None).add("x", [[1.0]])
    with pytest.raises(
        UniqueConstraintError, match=r"\[notes\] already exists in default_tenant/default_database"
    ):
        moved(old, new)
    with chroma.PersistentClient(new) as client:
        assert [collection.name for collection in client.list_collections()] == ["notes"]
    assert not (new / "migration.json").exists()
    moved(old, new, collections=["mine"])
    assert contents(new, "notes")["ids"] == ["x"]


def test_an_id_that_is_taken_is_an_error(old: Path, new: Path) -> None:
    made = Made("notes", vectors(2))
    handmade.write(old, [made]).close()
    moved(old, new)
    (new / "migration.json").unlink()
    with chroma.PersistentClient(new) as client:
        client.get_collection("notes", embedding_function=None).modify(name="renamed")
    with pytest.raises(UniqueConstraintError, match=rf"\[renamed\] .* already exists with the id {made.id}"):
        moved(old, new)


# ---------------------------------------------------------------------- states of the SQLite file


def test_a_write_ahead_log_is_read_and_not_touched(tmp_path: Path, old: Path, new: Path) -> None:
    made = Made("notes", vectors(5))
    database = handmade.write(tmp_path / "living", [made])
    assert database.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    handmade.log(database, made, 0, "late", [1] * 4, "{}")
    shutil.copytree(tmp_path / "living", old)  # as a process that was killed leaves it
    database.close()
    assert (old / "chroma.sqlite3-wal").stat().st_size
    assert moved(old, new).records == 6
    assert contents(new, "notes")["ids"][-1] == "late"


def test_a_file_for_a_write_ahead_log_gets_none(old: Path, new: Path) -> None:
    database = handmade.write(old, [Made("notes", vectors(5))])
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    assert sorted(os.listdir(old)) == ["chroma.sqlite3"]
    assert moved(old, new).records == 5
    assert sorted(os.listdir(old)) == ["chroma.sqlite3"]


def test_a_change_that_was_cut_off_does_not_count(tmp_path: Path, old: Path, new: Path) -> None:
    made = Made("notes", vectors(5))
    handmade.write(tmp_path / "living", [made]).close()
    program = (
        "import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "d.execute('PRAGMA cache_size = 1'); d.execute('PRAGMA synchronous = OFF'); d.execute('BEGIN');"
        "d.execute('DELETE FROM embedding_metadata'); d.execute('DELETE FROM embeddings');"
        "d.execute('CREATE TABLE filler (t)'); d.execute('INSERT INTO filler VALUES (zeroblob(2000000))');"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "living" / "chroma.sqlite3")])
    shutil.copytree(tmp_path / "living", old)
    assert (old / "chroma.sqlite3-journal").stat().st_size
    moved(old, new)
    check(new, made)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
def test_another_process_that_has_it_open_is_named(old: Path, new: Path) -> None:
    handmade.write(old, [Made("notes", vectors(5))]).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print('ready', flush=True); input()",
         str(old / "chroma.sqlite3")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert any(f"process {holder.pid} has" in text for text in moved(old, new).warnings)
    finally:
        holder.communicate(b"\n")


# ---------------------------------------------------------------------- damage


def test_what_is_no_folder_of_chromadb(tmp_path: Path, new: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="there is no folder '.*nowhere'"):
        chroma.migrate(tmp_path / "nowhere", new)
    (tmp_path / "other").mkdir()
    with pytest.raises(NotADatabaseError, match="it has no chroma.sqlite3"):
        chroma.migrate(tmp_path / "other", new)
    (tmp_path / "other" / "chroma-collections.parquet").touch()
    with pytest.raises(NotADatabaseError, match="before 0.4"):
        chroma.migrate(tmp_path / "other", new)
    chroma.PersistentClient(tmp_path / "ours").close()
    with pytest.raises(InvalidArgumentError, match="is a database of this package already"):
        chroma.migrate(tmp_path / "ours", new)
    with pytest.raises(InvalidArgumentError, match="Expected source to be a path or a URL"):
        chroma.migrate(3, new)  # type: ignore[arg-type]
    assert not new.exists()


def test_source_and_target_are_two_folders(old: Path) -> None:
    handmade.write(old, [Made("notes", vectors(2))]).close()
    with pytest.raises(InvalidArgumentError, match="source and target are both"):
        moved(old, old / ".." / "old")


def test_opening_such_a_folder_names_the_command(old: Path, new: Path) -> None:
    handmade.write(old, [Made("notes", vectors(2))]).close()
    with pytest.raises(NotADatabaseError, match="with: chroma migrate --from") as raised:
        chroma.PersistentClient(old)
    told = str(raised.value).partition("with: chroma migrate ")[2].split()
    result = CliRunner().invoke(cli, ["migrate", *told])
    assert result.exit_code == 0, result.output
    assert len(contents(Path(f"{old}-arrow"), "notes")["ids"]) == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b"not at all"), "does not begin as a SQLite database does"),
        (lambda path: os.truncate(path, 8192), "chroma.sqlite3 cannot be read: .*malformed"),
        (lambda path: drop(path, "segments"), "it has no table segments"),
        (lambda path: run(path, "UPDATE collections SET id = '../etc'"), "'../etc' where a UUID"),
        (lambda path: run(path, "UPDATE segments SET id = '../etc' WHERE scope > 'T'"), "'../etc' where"),
    ],
    ids=["other bytes", "cut off", "no table", "collection", "segment"],
)  # fmt: skip
def test_a_damaged_database(old: Path, new: Path, spoil: Any, message: str) -> None:
    handmade.write(old, [Made("notes", vectors(50), indexed=3)]).close()
    spoil(old / "chroma.sqlite3")
    with pytest.raises(CorruptionError, match=message) as raised:
        moved(old, new)
    assert raised.value.path is not None
    result = CliRunner().invoke(cli, ["migrate", "--from", str(old), "--to", str(new)])
    assert result.exit_code == 1
    assert "Damaged: " in result.stderr


def run(path: Path, sql: str) -> None:
    database = sqlite3.connect(path)
    database.execute(sql)
    database.commit()
    database.close()


def drop(path: Path, table: str) -> None:
    run(path, f"DROP TABLE {table}")


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-the-pickle",)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("index_metadata.pickle", None, "the files in .* are missing"),
        ("index_metadata.pickle", b"\x80\x04nothing", "index_metadata.pickle cannot be read"),
        ("index_metadata.pickle", pickle.dumps(Evil()), r"it asks for posix\.mkdir"),
        ("index_metadata.pickle", pickle.dumps([1]), "holds list, not the ids"),
        (
            "index_metadata.pickle",
            pickle.dumps({"id_to_label": {"id-0": 1}}),
            "neither in the index files nor",
        ),
        ("header.bin", b"\1\0\0\0", "header.bin is cut off"),
        ("header.bin", b"\7" * 100, "is not the header of an index"),
        ("data_level0.bin", b"", "data_level0.bin is cut off: 0 bytes for 6 elements"),
        ("data_level0.bin", None, "data_level0.bin cannot be read"),
        ("length.bin", b"", "length.bin is cut off"),
    ],
)
def test_damaged_index_files(
    old: Path, new: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: bytes | None, message: str
) -> None:
    monkeypatch.chdir(old.parent)
    made = Made("notes", vectors(10), indexed=6, space="cosine")
    whole = Made("whole", vectors(4))
    handmade.write(old, [whole, made]).close()
    (old / made.segment / file).unlink()
    if content is not None:
        (old / made.segment / file).write_bytes(content)
    missing = 5 if b"id-0" in (content or b"") else 6
    with pytest.raises(
        CorruptionError, match=f"'notes' .* has {missing} records of 10 .*{message}"
    ) as raised:
        moved(old, new)
    assert "skip_damaged=True (--skip-damaged)" in str(raised.value)
    check(new, whole)
    report = moved(old, new, skip_damaged=True)
    assert report.collections[1].skipped == tuple(made.ids[6 - missing : 6])
    assert report.records == 4 + 10 - missing
    assert f"{missing} records were left out" in report.warnings[-1]
    assert contents(new, "notes")["ids"] == made.ids[: 6 - missing] + made.ids[6:]
    assert moved(old, new).already_done
    assert not Path("made-by-the-pickle").exists()


def test_a_damaged_index_is_no_loss_where_the_log_has_everything(old: Path, new: Path) -> None:
    made = Made("notes", vectors(10))
    handmade.write(old, [made]).close()
    made.indexed = 6
    handmade.index(old / made.segment, made)
    (old / made.segment / "header.bin").write_bytes(b"")
    moved(old, new, compare_all=True)
    check(new, made)


def test_values_that_cannot_be_kept(old: Path, new: Path) -> None:
    made = Made("notes", vectors(4))
    database = handmade.write(old, [made])
    database.execute("UPDATE embedding_metadata SET float_value = 9e999 WHERE id = 2 AND key = 'half'")
    database.execute("UPDATE embedding_metadata SET key = '$half' WHERE id = 3 AND key = 'half'")
    database.commit()
    database.close()
    with pytest.raises(
        CorruptionError, match=r"1 records of 4 .*'id-2': Invalid metadata .* the key '\$half'"
    ):
        moved(old, new)
    report = moved(old, new, skip_damaged=True)
    assert any("the value inf of 'half' of 'id-1' was left out" in text for text in report.warnings)
    found = contents(new, "notes")
    assert found["ids"] == ["id-0", "id-1", "id-3"]
    assert found["metadatas"][1] == {"n": 1, "even": False}


def test_a_journal_that_is_none(old: Path, new: Path) -> None:
    handmade.write(old, [Made("notes", vectors(2))]).close()
    new.mkdir()
    (new / "migration.json").write_text("{}")
    with pytest.raises(CorruptionError, match="is not the journal of a migration"):
        moved(old, new)
    (new / "migration.json").write_text('{"format": 99}')
    with pytest.raises(InvalidArgumentError, match="another version of this package"):
        moved(old, new)


def test_the_command(old: Path, new: Path) -> None:
    handmade.write(old, [Made("notes", vectors(3)), Made("more", vectors(3))]).close()
    result = CliRunner().invoke(
        cli,
        ["migrate", "--from", str(old), "--to", str(new), "--collection", "notes", "--compare-all", "--json"],
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["records"], told["written"], told["compared"]) == (3, 3, 3)
    assert [found["name"] for found in told["collections"]] == ["notes"]
    result = CliRunner().invoke(cli, ["migrate", "--from", str(old), "--to", str(new), "--progress"])
    assert result.stdout.startswith("2 collections, 6 records: moved in ")
    assert "records/s" in result.stderr
    result = CliRunner().invoke(cli, ["migrate", "--from", str(new), "--to", str(old)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is a database of this package already" in result.stderr
