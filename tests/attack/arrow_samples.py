"""Arrow streams and files that are right, and what an enemy makes of them."""

from __future__ import annotations

import gzip
import random
import struct
from decimal import Decimal
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chroma.wire import arrow_codec

_EDGES = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFE, 0xFF)
_WIDE_EDGES = (0, 1, -1, 8, 255, 65_535, 65_536, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**62, 2**63 - 1)
_WORDS = ("", "a", "ü", "word", "a text of more than twelve bytes", "\N{SNOWMAN}" * 5)


def record_batch(rows: int, start: int = 0, width: int = 4) -> pa.RecordBatch:
    """What a program sends and a server answers with: ids, texts, metadata as JSON, vectors."""
    vectors = np.arange(rows * width, dtype=np.float32).reshape(rows, width)
    texts = [_WORDS[(start + row) % len(_WORDS)] for row in range(rows)]
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array([f"r{start + row}" for row in range(rows)]),
            "document": pa.array([text or None for text in texts], pa.string()),
            "uri": pa.array(texts),
            "metadata": pa.array([f'{{"n": {row}, "t": "x{row}"}}' for row in range(rows)]),
            "embedding": arrow_codec.vectors(vectors),
        }
    )


def struct_batch(rows: int, start: int = 0) -> pa.RecordBatch:
    """The same, its metadata as a struct with a field of every type."""
    plain = record_batch(rows, start)
    texts = pa.array(
        [f'{{"n": {row}, "f": 0.5, "b": true, "l": ["p", "q"], "k": [1, 2]}}' for row in range(rows)]
    )
    inner = arrow_codec.to_struct(texts, arrow_codec.typed_keys_of([texts]))
    return pa.RecordBatch.from_arrays(
        [*plain.columns[:3], inner, plain.columns[4]], [*plain.schema.names[:3], "metadata", "embedding"]
    )


def wide_batch(rows: int) -> pa.RecordBatch:
    """Columns of every type that is taken as metadata, in every layout of texts and lists."""
    texts = [_WORDS[row % len(_WORDS)] or None for row in range(rows)]
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array([f"w{row}" for row in range(rows)], pa.large_string()),
            "document": pa.array(texts, pa.string_view()),
            "embedding": pa.array([[1.0, 2.0]] * rows, pa.list_(pa.float64())),
            "n8": pa.array(range(rows), pa.int8()),
            "u64": pa.array(range(rows), pa.uint64()),
            "half": pa.array(np.ones(rows, np.float16)),
            "b": pa.array([row % 2 == 0 for row in range(rows)]),
            "ll": pa.array([["x", "y"]] * rows, pa.large_list(pa.string())),
            "fl": pa.array([[1, 2]] * rows, pa.list_(pa.int32(), 2)),
            "none": pa.nulls(rows),
        }
    )


def hits_batch(rows: int) -> pa.RecordBatch:
    """The answer of two queries."""
    plain = record_batch(rows)
    number = pa.array(np.arange(rows, dtype=np.int32) * 2 // max(1, rows))
    return pa.RecordBatch.from_arrays(
        [number, pa.array(np.linspace(0, 1, rows, dtype=np.float32)), *plain.columns],
        ["query", "distance", *plain.schema.names],
    )


def sql_batch(rows: int) -> pa.RecordBatch:
    """What tables of programs have besides."""
    return pa.RecordBatch.from_pydict(
        {
            "t": pa.array([_WORDS[row % len(_WORDS)] for row in range(rows)]),
            "when": pa.array(range(rows), pa.timestamp("us")),
            "day": pa.array(range(rows), pa.date32()),
            "money": pa.array([Decimal(row) for row in range(rows)], pa.decimal128(20, 2)),
            "bytes": pa.array([b"\xff\0"] * rows, pa.binary()),
            "map": pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int64())),
            "s": pa.array([{"a": row, "b": ["x"]} for row in range(rows)]),
            "view": pa.array([_WORDS[row % len(_WORDS)] for row in range(rows)], pa.string_view()),
        }
    )


def stream(*batches: pa.RecordBatch, file: bool = False, **options: object) -> bytes:
    """The bytes of a stream, or of a file."""
    sink = pa.BufferOutputStream()
    make = pa.ipc.new_file if file else pa.ipc.new_stream
    with make(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def compressed_v4(batch: pa.RecordBatch, codec: str = "zstd") -> bytes:
    """A stream whose buffers are compressed as metadata version 4 said it, by a key of the message."""
    return stream(batch, metadata_version=pa.ipc.MetadataVersion.V4, compression=codec)


def long_texts(size: int) -> pa.RecordBatch:
    """One text of spaces."""
    return pa.RecordBatch.from_pydict({"id": ["a"], "document": [" " * size]})


def with_categories(rows: int) -> pa.RecordBatch:
    """As data frames with categories are written."""
    plain = record_batch(rows)
    kinds = pa.array([("red", "green", None)[row % 3] for row in range(rows)]).dictionary_encode()
    return pa.RecordBatch.from_arrays(
        [*plain.columns[:3], kinds, plain.columns[4]], [*plain.schema.names[:3], "kind", "embedding"]
    )


@cache
def streams() -> tuple[bytes, ...]:
    """Of records."""
    return (
        stream(record_batch(3), record_batch(2, 3)),
        stream(struct_batch(3), struct_batch(2, 3)),
        stream(wide_batch(7)),
        stream(record_batch(0)),
        stream(record_batch(5), compression="zstd"),
        compressed_v4(record_batch(5)),
        stream(record_batch(4), metadata_version=pa.ipc.MetadataVersion.V4),
        stream(with_categories(6)),
    )


@cache
def answers() -> tuple[bytes, ...]:
    """Of queries."""
    return (stream(hits_batch(6)), compressed_v4(hits_batch(6)))


@cache
def tables() -> tuple[bytes, ...]:
    """Of an SQL statement."""
    return (stream(sql_batch(6), sql_batch(2)), *streams())


@cache
def files() -> tuple[bytes, ...]:
    """Arrow files as loads read them: both formats, compressed or not, with categories."""
    return (
        stream(record_batch(3), record_batch(2, 3), file=True),
        stream(struct_batch(5), file=True, compression="lz4"),
        stream(record_batch(5), file=True, compression="zstd"),
        stream(with_categories(6), file=True),
        stream(with_categories(6), file=True, compression="lz4"),
        stream(wide_batch(7), file=True),
        *streams(),
    )


@cache
def parquet() -> tuple[bytes, ...]:
    """Parquet files: encodings, compressions, categories, lists and structs, several row groups."""
    plain = record_batch(9)
    typed = wide_batch(9).drop_columns(["document", "half", "none"])
    return tuple(
        _parquet(batch, **options)
        for batch in (plain, struct_batch(9), with_categories(9), typed)
        for options in (
            {"compression": "snappy"},
            {"compression": "none", "use_dictionary": False},
            {"compression": "zstd", "data_page_version": "2.0"},
            {"compression": "gzip", "row_group_size": 4},
            {"compression": "none", "use_dictionary": False, "column_encoding": {"id": "DELTA_BYTE_ARRAY"}},
        )
    )


def packed_parquet(table: pa.Table) -> bytes:
    """A Parquet file of plain texts, in which bytes can be changed."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False, row_group_size=100)
    return bytes(sink.getvalue())


def _parquet(batch: pa.RecordBatch, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([batch]), sink, **options)
    return bytes(sink.getvalue())


@cache
def csv() -> tuple[bytes, ...]:
    """CSV files, packed and plain."""
    text = "id,document,n,embedding\n" + "".join(
        f'r{row},"a ""text"", {_WORDS[row % len(_WORDS)]}",{row},"[{row}.5, 2]"\n' for row in range(12)
    )
    return (text.encode(), text.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + text.encode())


@cache
def jsonl() -> tuple[bytes, ...]:
    """JSON lines."""
    text = "".join(
        f'{{"id": "r{row}", "document": "{word}", "n": {row}, "embedding": [{row}, 2.5]}}\n'
        for row, word in enumerate(_WORDS * 2)
    )
    return (text.encode(),)


def packed(pool: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same as gzip files."""
    return tuple(gzip.compress(data, mtime=0) for data in pool)


# ---------------------------------------------------------------------------- mutations


def mutated(data: bytes, chance: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """The same bytes with one to five changes, most of them where messages describe themselves."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
        if not changed:
            return b""
        _change(changed, chance, others)
    return bytes(changed)


def _change(data: bytearray, chance: random.Random, others: tuple[bytes, ...]) -> None:
    heads = _heads(data)
    kind = chance.random()
    if kind < 0.04:
        del data[chance.randrange(len(data)) :]
        return
    if kind < 0.10 and others:
        _splice(data, chance, chance.choice(others))
        return
    begin, end = chance.choice(heads) if heads and chance.random() < 0.75 else (0, len(data))
    at = chance.randrange(begin, max(begin + 1, min(end, len(data))))
    if kind < 0.35:
        data[at] ^= 1 << chance.randrange(8)
    elif kind < 0.60:
        data[at] = chance.choice(_EDGES) if chance.random() < 0.7 else chance.randrange(256)
    else:
        width, form = chance.choice(((2, "<H"), (4, "<I"), (8, "<Q")))
        at -= at % width
        if at + width > len(data):
            return
        (old,) = struct.unpack_from(form, data, at)
        edge = (
            chance.choice(_WIDE_EDGES)
            if chance.random() < 0.6
            else old + chance.choice((-8, -4, -1, 1, 4, 8, 64))
        )
        struct.pack_into(form, data, at, edge % (1 << 8 * width))


def _splice(data: bytearray, chance: random.Random, other: bytes) -> None:
    """A message of another stream instead of one, or before it; or one that is left out."""
    mine, theirs = _messages(data), _messages(other)
    if not mine or not theirs:
        return
    begin, end = chance.choice(mine)
    begins, ends = chance.choice(theirs)
    data[begin : chance.choice((begin, end))] = chance.choice((other[begins:ends], b""))


def _messages(data: bytes | bytearray) -> list[tuple[int, int]]:
    """Where messages begin and end, as far as they can be followed."""
    heads = _heads(data)
    ends = [begin - 8 for begin, _ in heads[1:]] + [len(data)]
    return [(begin - 8, end) for (begin, _), end in zip(heads, ends)]


def _heads(data: bytes | bytearray) -> list[tuple[int, int]]:
    """Where the heads of messages lie, and in a file its footer."""
    found: list[tuple[int, int]] = []
    at = data.find(b"\xff\xff\xff\xff")
    while at >= 0 and at + 8 <= len(data):
        (size,) = struct.unpack_from("<i", data, at + 4)
        if 0 < size <= len(data) - at - 8:
            found.append((at + 8, at + 8 + size))
        at = data.find(b"\xff\xff\xff\xff", at + 8 + max(0, min(size, len(data))))
    if data[-6:] == b"ARROW1" and len(data) > 20:
        (size,) = struct.unpack_from("<i", data, len(data) - 10)
        if 0 < size < len(data) - 10:
            found.append((len(data) - 10 - size, len(data)))
    return found
