"""Rounds of hostile folders: one thing is changed in a small database, the checksums are made right, and all
that can be done with a database is done.

`python -m tests.attack.hostile_rounds … SAMPLE SCRATCH`, see rounds.py. The same number is the same attack.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import parquet

import chroma
from chroma import Knn, Search, SparseVector
from chroma.embedded.backend import check_folder
from chroma.errors import ChromaError
from chroma.storage import engine
from chroma.storage.collection import collection, index_builds, segment_indexes
from chroma.storage.filters import document_index
from chroma.storage.interface.errors import StorageError
from chroma.storage.native import kernel

from . import hostile
from .rounds import Rounds

_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 1.5, -0.0, 255, 256, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53,
    2**62, 2**63 - 1, 2**64 - 1, -(2**63), 1e300, "", "x", ".", "..", "../../../canary", "/", "\0", "é" * 300,
    "seg-1", "log-0000000000000001.wal", "catalog-0000000000000001.wal", "manifest.json", "l2", "ip",
    "00000000-0000-0000-0000-000000000000", [], {}, [[]], [None], [1, 2, 3], ["a", "b", "c"], {"a": 1},
]  # fmt: skip
_NUMBERS = [
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
]


def prepared(sample: str, place: Path) -> Path:
    """The database that an attack begins with."""
    folder = place / "sample"
    if folder.exists():
        return folder
    making = place / "making"
    if sample.startswith("format-"):
        shutil.copytree(hostile.ROOT / "tests" / "data" / sample, making)
    elif sample == "graph":
        hostile.make_graph(making)
    else:
        hostile.make(making)
    if sample == "backup":
        with chroma.PersistentClient(making) as client:
            client.backup(place / "of")
        shutil.rmtree(making)
        (place / "of").rename(making)
    making.rename(folder)
    return folder


# ------------------------------------------------------------------ changes


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where everything in a JSON value is."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*at, key))


def changed(dice: random.Random, value: Any) -> Any:
    """A JSON value with something in it that is wrong."""
    value = copy.deepcopy(value)
    places = list(paths(value))
    if not places:
        return dice.choice(_VALUES)
    *way, last = dice.choice(places)
    inner = value
    for key in way:
        inner = inner[key]
    old = inner[last]
    kind = dice.randrange(10)
    if kind == 0:
        del inner[last]
    elif kind == 1 and isinstance(inner, list):
        inner.append(copy.deepcopy(old))
    elif kind == 2:
        *way, other = dice.choice(places)  # something of the same value, elsewhere
        spring = value
        for key in way:
            spring = spring[key]
        inner[last] = copy.deepcopy(spring[other])
    elif kind <= 4 and type(old) is int:
        inner[last] = old + dice.choice([-1, 1, -old, old, 1000, -1000])
    elif kind <= 5 and type(old) is str:
        inner[last] = dice.choice(
            ["../" * dice.randrange(1, 5) + old, f"/{old}", old[:-1], f"{old}0", f"{old}\0"]
        )
    else:
        inner[last] = copy.deepcopy(dice.choice(_VALUES))
    return value


def flipped(dice: random.Random, data: bytes) -> bytes:
    """Bytes with some of them changed."""
    out = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        if not out:
            return bytes(out)
        kind, size = dice.randrange(8), dice.choice([1, 2, 4, 8])
        at = dice.randrange(len(out))
        if kind <= 4:  # a number, on its border
            at -= at % size
            number = dice.choice(_NUMBERS) if dice.random() < 0.7 else dice.getrandbits(8 * size)
            if dice.random() < 0.4:
                number = int.from_bytes(out[at : at + size], "little") + dice.choice([-8, -1, 1, 8, 64, -64])
            out[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")[: len(out) - at]
        elif kind == 5:
            out[at] ^= 1 << dice.randrange(8)
        elif kind == 6:
            del out[at:]
        else:
            start = dice.randrange(len(out))
            part = out[start : start + dice.choice([1, 8, 64])]
            out[at : at + len(part)] = part
    return bytes(out)


def change_json(dice: random.Random, folder: Path) -> str:
    """A field of a manifest, a catalog or a backup's mark."""
    found = sorted(
        [*folder.rglob("manifest.json"), *folder.glob("catalog.json"), *folder.glob("backup.json")]
    )
    path = dice.choice(found)
    if path.name == "backup.json":
        path.write_bytes(
            orjson.dumps(changed(dice, json.loads(path.read_bytes())), option=orjson.OPT_NON_STR_KEYS)
        )
    else:
        hostile.seal(path, changed(dice, hostile.sealed(path)))
    return f"a field of {path.name}"


def change_frame(dice: random.Random, folder: Path) -> str:
    """The payload of a frame."""
    logs = [path for path in sorted(folder.rglob("*.wal")) if hostile.frames(path)]
    path = dice.choice(logs)
    found = hostile.frames(path)
    place = dice.randrange(len(found))
    kind, payload = found[place]
    how = dice.randrange(8)
    if how == 0:
        kind = dice.choice([0, 1, 2, 3, 4, 5, 6, 65535])
    elif how == 1:
        found.insert(place, found[dice.randrange(len(found))])
    elif how == 2:
        found.append(
            (3, dice.choice([path.name, "../x", "log-0000000000000009.wal", "\xff"]).encode("latin-1"))
        )
    elif kind == 4:
        payload = orjson.dumps(changed(dice, json.loads(payload)))
    elif kind == 2:
        start = 8 + 8 * struct.unpack_from("<I", payload)[0]
        payload = payload[:start] + orjson.dumps(changed(dice, json.loads(payload[start:])))
    elif kind == 5 and how <= 5 and len(payload) > 16:
        dimension, kills, rows, _ = struct.unpack_from("<IIII", payload)
        start = 16 + 8 * kills + 8 * rows + 4 * rows * dimension
        if rows:
            payload = payload[:start] + orjson.dumps(changed(dice, json.loads(payload[start:])))
    else:
        payload = flipped(dice, payload)
    if how > 2 or how == 0:
        found[place] = kind, payload
    hostile.write_log(path, found, first=dice.choice([None] * 6 + [0, 1, 2**64 - 1]))
    return f"a frame of {path.name}"


def change_bytes(dice: random.Random, folder: Path) -> str:
    """Bytes of a file of a segment."""
    found = sorted(path for path in folder.glob("collections/*/seg-*/*") if path.is_file())
    path = dice.choice(found)
    path.write_bytes(flipped(dice, path.read_bytes()))
    hostile.refresh(path.parent.parent)
    return f"bytes of {path.name}"


def change_graph(dice: random.Random, folder: Path) -> str:
    """A graph or another index: its header, as JSON, or its arrays."""
    found = sorted([*folder.rglob("graph-*.hnsw"), *folder.rglob("index-*.idx")])
    if not found:
        return change_bytes(dice, folder)
    path = dice.choice(found)
    data = path.read_bytes()
    graph = path.suffix == ".hnsw"  # its length stands before a zero; that of an index behind the version
    magic, *numbers = struct.unpack_from("<8sII", data)
    length = numbers[0 if graph else 1]
    body = data[16 + length :]
    if dice.random() < 0.5:
        text = orjson.dumps(changed(dice, json.loads(data[16 : 16 + length])))
        text += b" " * (-(16 + len(text)) % 64)
    else:
        text, body = data[16 : 16 + length], flipped(dice, body)
    numbers[0 if graph else 1] = len(text)
    path.write_bytes(struct.pack("<8sII", magic, *numbers) + text + body)
    hostile.refresh(path.parent.parent)
    return "a graph" if graph else "an index"


_METADATA = [
    "7", "[]", "null", "{}", '"x"', "}{", '{"a":1},{"b":2}', '{"a":{}}', '{"a":[]}', '{"a":[1,"x"]}',
    '{"a":null}', '{"a":18446744073709551615}', '{"a":1e999}', '{"a":[null]}', '{"a":[[1]]}', "[" * 2000,
    '{"a":"\\ud800"}', "", '{"":1}', '{"n":1,"n":"x"}', '{"n:s":1}',
    *(
        f'{{"{key}":{{"#type":{kind},"indices":{indices},"values":{values}}}}}'
        for key, kind, indices, values in [
            ("v", '"sparse_vector"', "[1,2]", "[1.0]"), ("v", '"sparse_vector"', "[2,1]", "[1.0,1.0]"),
            ("lex", '"sparse_vector"', "[4294967296]", "[1.0]"), ("v", '"other"', "[1]", "[1.0]"),
            ("v", '"sparse_vector"', "[1]", "[1e300]"), ("w", '"sparse_vector"', "{}", '"x"'),
            ("lex", '"sparse_vector"', "[-1]", '[1.0],"tokens":[1]'), ("v", "1", "null", "null"),
        ]
    ),
]  # fmt: skip


def _odd(dice: random.Random, array: pa.Array) -> pa.Array:
    """Another array of as many values, or nearly so."""
    count, how = len(array), dice.randrange(9)
    if how == 0:
        return pa.nulls(count, array.type)
    if how == 1:
        return array.take(pa.array([dice.randrange(count) for _ in range(count)]))
    if how == 2:
        kinds = [pa.int8(), pa.int64(), pa.float64(), pa.bool_(), pa.uint32(), pa.timestamp("s")]
        values = [None if dice.random() < 0.2 else dice.randrange(2) for _ in range(count)]
        return pa.array(values, pa.int64()).cast(dice.choice(kinds))
    if how == 3:
        kind = dice.choice([pa.string(), pa.large_string(), pa.binary(), pa.string_view()])
        return pa.array([dice.choice(_METADATA) for _ in range(count)], kind)
    if how == 4:
        return pa.array([dice.choice(_METADATA) for _ in range(count)]).dictionary_encode()
    if how == 5:
        return pa.array([[1]] * count, pa.list_(pa.int64(), dice.choice([1, -1])))
    if how == 6:
        texts = [dice.choice([b"\xff", b"\xc3", b"ok", None]) for _ in range(count)]
        return pa.Array.from_buffers(pa.string(), count, pa.array(texts, pa.binary()).buffers())
    if how == 7 and pa.types.is_integer(array.type):
        values = [dice.choice([0, 1, count - 1, count, 2**31, 2**32 - 1]) for _ in range(count)]
        return pa.array(values).cast(array.type, safe=False)
    return array.slice(0, count - 1) if count > 1 else array


def _odd_table(dice: random.Random, table: pa.Table) -> pa.Table:
    """A table with one thing in it that is not as we write it."""
    names, how = table.column_names, dice.randrange(8)
    place = dice.randrange(len(names))
    column = table.column(place).combine_chunks()
    if how == 0:
        return table.drop_columns([names[place]])
    if how == 1:
        other = dice.choice([*names, "x", "", ":", "str:x", "int:n", "float:n", "object:n", "key", "row"])
        return table.rename_columns([other if at == place else name for at, name in enumerate(names)])
    if how == 2:
        return table.append_column(
            dice.choice(["bool:x", "x", names[0]]), _odd(dice, column).slice(0, len(table))
        )
    if how == 3:
        return table.slice(0, dice.randrange(len(table)))
    if how == 4:
        return pa.concat_tables([table] * dice.choice([2, 50]))
    odd = _odd(dice, column)
    return table.slice(0, len(odd)).set_column(place, names[place], odd)


def change_values(dice: random.Random, folder: Path) -> str:
    """A file of a segment, written anew by Arrow with something else in it."""
    found = sorted(
        [*folder.glob("collections/*/seg-*/*.arrow"), *folder.glob("collections/*/seg-*/*.parquet")]
    )
    path = dice.choice(found)
    if path.suffix == ".parquet":
        odd = _odd_table(dice, parquet.read_table(path))
        parquet.write_table(odd, path, compression=dice.choice(["zstd", "none", "snappy", "gzip"]))
    else:
        odd = _odd_table(dice, pa.ipc.open_file(path.read_bytes()).read_all()).combine_chunks()
        options = pa.ipc.IpcWriteOptions(compression=dice.choice([None] * 9 + ["zstd"]))
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, odd.schema, options=options) as writer:
            for batch in odd.to_batches():
                writer.write_batch(batch)
    hostile.refresh(path.parent.parent)
    return f"values of {path.name}"


def change_metadata(dice: random.Random, folder: Path) -> str:
    """The metadata of a record, in a log or in a segment."""
    path = dice.choice(sorted(folder.glob("collections/*/log-*.wal")))
    found = hostile.frames(path)
    rows = [
        place
        for place, (kind, payload) in enumerate(found)
        if kind == 5 and struct.unpack_from("<II", payload)[0]
    ]
    if rows and dice.random() < 0.5:
        place = dice.choice(rows)
        payload = found[place][1]
        dimension, kills, count, _ = struct.unpack_from("<IIII", payload)
        start = 16 + 8 * kills + 8 * count + 4 * count * dimension
        columns = json.loads(payload[start:])
        columns[3][dice.randrange(len(columns[3]))] = dice.choice(_METADATA)
        found[place] = 5, payload[:start] + orjson.dumps(columns)
        hostile.write_log(path, found)
        return f"metadata in {path.name}"
    path = dice.choice(sorted(folder.glob("collections/*/seg-*/records.arrow")))
    table = pa.ipc.open_file(path.read_bytes()).read_all().combine_chunks()
    texts = table.column("metadata").to_pylist()
    texts[dice.randrange(len(texts))] = dice.choice(_METADATA)
    table = table.set_column(4, "metadata", pa.array(texts, pa.string()))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    if dice.random() < 0.5:  # so that they are made of it again
        for file_name in ("attributes.parquet", "sparse.parquet"):
            path.with_name(file_name).unlink(missing_ok=True)
    hostile.refresh(path.parent.parent)
    return f"metadata in {path.name}"


def change_entry(dice: random.Random, folder: Path) -> str:
    """A file or folder that is a link, a folder, a pipe, another file, or not there."""
    found = sorted(path for path in folder.rglob("*") if "quarantine" not in path.parts)
    path = dice.choice(found)
    aside = folder.parent / "canary" / "victim"
    how = dice.randrange(5)
    if how == 0:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif how == 1:
        moved = folder.parent / "canary" / "moved"
        path.rename(moved)
        path.symlink_to(moved)
    elif how == 2:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(dice.choice([aside, aside.parent, aside.parent / "missing"]))
    elif how == 3:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.mkdir() if dice.random() < 0.5 else os.mkfifo(path)
    else:
        others = [other for other in found if other.is_file() and other != path]
        data = dice.choice(others).read_bytes()
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.write_bytes(data)
        for home in hostile.homes(folder):
            try:
                hostile.refresh(home)
            except (ValueError, KeyError, TypeError, struct.error):
                break
    return f"{path.relative_to(folder)} ({how})"


_CHANGES: list[Callable[[random.Random, Path], str]] = [
    change_json, change_json, change_frame, change_frame, change_bytes, change_bytes, change_values,
    change_values, change_metadata, change_entry,
]  # fmt: skip


def change(dice: random.Random, source: Path, folder: Path) -> str:
    """One of them; what it was. Some values Arrow cannot write: then another one."""
    graphs = [change_graph] * (8 if any(folder.rglob("graph-*")) else 0)
    while True:
        try:
            return dice.choice([*_CHANGES, *graphs])(dice, folder)
        except (pa.ArrowException, ValueError, TypeError, LookupError, struct.error, OSError):
            hostile.copied(source, folder)


# ------------------------------------------------------------------ use


def _is_on(entry: Any) -> bool:
    return entry.sparse_vector_index is not None and bool(entry.sparse_vector_index.enabled)


class Use:
    """One use of a database, step by step. What is raised that is no error of the package is wrong."""

    def __init__(self, folder: Path, more: bool) -> None:
        self.more = more  # also what takes long
        self.folder, self.wrong, self.refused = folder, list[str](), list[str]()

    def step(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ChromaError, StorageError) as error:  # `check_folder` raises the engine's own
            self.refused.append(f"{name}: {error}")
            return None
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = (
                f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else ""
            )
            self.wrong.append(f"{name}: {type(error).__name__}: {str(error)[:200]} at {where}")
            return None

    def all(self) -> None:
        beside = f"{self.folder}-"
        self.step("check", lambda: check_folder(str(self.folder)))
        self.step("restore", lambda: chroma.restore(self.folder, f"{beside}restored"))
        self.step("open", self._open)
        self.step("repair", lambda: check_folder(str(self.folder), repair=True))
        self.step("open again", self._open_again)

    def _open(self) -> None:
        with chroma.PersistentClient(self.folder) as client:
            collections = self.step("list", client.list_collections) or []
            for collection in collections:
                self._read(collection)
                if self.more:
                    statement = f'select count(*), max(id), max(document), max(n) from "{collection.name}"'
                    self.step("sql", lambda text=statement: client.sql(text))
            for collection in collections:
                self._write(client, collection)
            self.step("backup", lambda: client.backup(f"{self.folder}-backup"))
            for collection in collections[:1]:
                self.step("delete collection", lambda held=collection: client.delete_collection(held.name))

    def _open_again(self) -> None:
        with chroma.PersistentClient(self.folder) as client:
            for collection in self.step("list", client.list_collections) or []:
                self.step("count", collection.count)
                self.step("get all", lambda held=collection: held.get(include=["documents", "metadatas"]))

    def _read(self, held: Any) -> None:
        everything = ["embeddings", "metadatas", "documents", "uris"]
        self.step("count", held.count)
        self.step("get one", lambda: held.get(ids=["r7", "r201", "r4"], include=everything))
        self.step("get all", lambda: held.get(include=everything))
        self.step("filter", lambda: held.get(where={"$or": [{"n": 2}, {"s": {"$ne": "1"}}, {"rare3": True}]}))
        self.step("documents", lambda: held.get(where_document={"$contains": "ber 1"}))
        self.step("regex", lambda: held.get(where_document={"$regex": "number [0-9]"}))
        vector = np.ones((2, self._width(held)), np.float32)
        self.step("query", lambda: held.query(query_embeddings=vector, n_results=5))
        self.step(
            "query again",
            lambda: held.query(query_embeddings=vector[:1], n_results=3, where={"n": {"$lt": 3}}),
        )
        self.step("exact", lambda: held.query(query_embeddings=vector, n_results=5, exact=True))
        self._search(held)
        self.step("table", lambda: held.to_arrow())
        self.step("info", held.info)
        if self.more:
            many = [{"n": number} for number in range(1100)]  # left to DuckDB
            self.step("large filter", lambda: held.get(where={"$or": many}))
            self.step("describe", lambda: str(held.describe()))

    def _search(self, held: Any) -> None:
        """By sparse vectors and by words, if the schema has an index of the first."""
        schema = self.step("schema", lambda: held.schema)
        keys = [] if schema is None else schema.keys
        sparse = [key for key in keys if (each := keys[key].sparse_vector) and _is_on(each)]
        for key in sparse:
            search = Search().rank(Knn(SparseVector([1, 5, 100], [1.0, 2.0, 3.0]), key=key))
            self.step("sparse", lambda search=search: held.search(search))
        if sparse or self.more:
            self.step("words", lambda: held.query(query_texts=["bread", "number 1"], mode="lexical"))

    def _width(self, held: Any) -> int:
        """Numbers of a vector, where that can be had."""
        found = self.step("get", lambda: held.get(limit=1, include=["embeddings"]))
        return max(1, min(found["embeddings"].shape[1], 64)) if found is not None and found["ids"] else 8

    def _write(self, client: Any, held: Any) -> None:
        vector = [1.0] * self._width(held)
        self.step("update", lambda: held.update(ids=["r7", "r201"], metadatas=[{"n": 1}, {"z": "z"}]))
        self.step("add", lambda: held.add(ids=["new"], embeddings=[vector], documents=["new"]))
        self.step("delete", lambda: held.delete(where={"n": 1}, missing_ok=True))
        self.step("fork", lambda: held.fork(f"{held.name}-fork"))
        self.step("compact", held.compact)
        self.step("get all", held.get)
        self.step("query", lambda: held.query(query_embeddings=[vector], n_results=5))


def main() -> None:
    warnings.simplefilter("ignore")
    index_builds.INDEX_BYTES, index_builds.LOAD_SECONDS = 0, 0.0
    document_index.LEAST_BYTES = 0
    segment_indexes.LOAD_SECONDS = segment_indexes.BUILD_SECONDS = 0.0
    engine.SWEEP_AFTER_NS, collection.QUIET_SECONDS = 0, 0.02
    rounds, compiled = Rounds(), (kernel.compiled, kernel.postings, kernel.text)
    sample, place = rounds.arguments[0], Path(rounds.arguments[1])
    source = prepared(sample, place)
    work = place / "work"
    for number in rounds:
        dice = random.Random(f"{sample} {number}")
        shutil.rmtree(work, ignore_errors=True)
        canary = work / "canary"
        canary.mkdir(parents=True)
        (canary / "victim").write_text("precious")
        folder = hostile.copied(source, work / "db")
        what = change(dice, source, folder) if number else "nothing"  # of which nothing is refused
        before = hostile.contents(canary)
        began = time.monotonic()
        use = Use(folder, number % 32 == 3)
        in_numpy = number % 8 == 5  # what the compiled part does is done in numpy, too
        kernel.compiled, kernel.postings, kernel.text = (None, None, None) if in_numpy else compiled
        use.all()
        if not number and sample != "backup":
            use.wrong += [wrong for wrong in use.refused if not wrong.startswith("restore:")]
        for wrong in use.wrong:
            rounds.wrong(number, f"{what}: {wrong}")
        if hostile.contents(canary) != before:
            rounds.wrong(number, f"{what}: the canary was touched")
        strangers = {path.name for path in work.iterdir()} - {"canary", "db", "db-restored", "db-backup"}
        if strangers - {"db-restored.restoring"}:
            rounds.wrong(number, f"{what}: made {sorted(strangers)}")
        if time.monotonic() - began > 30:
            rounds.wrong(number, f"{what}: took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
