"""Responses of get and query. Small ones are built at once; large ones are streamed, to save memory.

A large JSON response is written column by column, each in a separate pass over the snapshot of the call.
An Arrow stream is written batch by batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ..backend.embedded_protocol import FoundBySearch, FoundHits, FoundRecords
from ..embedded.error_translation import translated
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import QueryRequest
from ..storage.interface.values import Field, Floats, Hits
from ..wire import arrow_codec, content_negotiation, integer_texts, json_codec
from ..wire.json_codec import JSON
from ..wire.request_codec import AnswerForm
from .http.request_body import TooLarge
from .http.responses import Streamed
from .limits import short_calls
from .parsing import arrow_streams

_AT_ONCE = 8 << 20  # bytes of records up to which a response is built as a whole
_FEW_RECORDS = 1000  # so few records are not measured: that would add a hundredth to the query's time
_PIECE = 1 << 20  # bytes of a piece of a streamed response
_HIT_BYTES = 32  # bytes that a search holds for each hit
_COMPARED_BYTES = 256  # that a measurement of the recall holds for each record, in two sets
FEW = 10_000  # so few hits need no check


def check_hits(queries: int, k: int, most: int) -> None:
    """Raises TooLarge if the hits of a query would take more than `most` bytes."""
    size = _HIT_BYTES * queries * k
    if size > most:
        raise TooLarge(
            f"the {queries:,} queries may have {queries * k:,} results, for which a search holds {size:,} "
            f"bytes, more than --max-answer-bytes of the server, {most:,}: ask for a smaller n_results, or "
            "send fewer queries per call"
        )


def check_recall(k: int, sample: int, most: int) -> None:
    """Raises TooLarge if the records that a measurement compares would take more than `most` bytes."""
    size = _COMPARED_BYTES * k * sample
    if size > most:
        raise TooLarge(
            f"k={k:,} and sample={sample:,} compare {k * sample:,} records, which take {size:,} bytes, more "
            f"than --max-answer-bytes of the server, {most:,}: ask for a smaller k or sample"
        )


def check_searches(found: Sequence[FoundBySearch], most: int) -> None:
    """Raises TooLarge if the records that the searches found take more than `most` bytes."""
    if sum(map(len, found)) <= _FEW_RECORDS:
        return
    size = sum(each.size() for each in found)
    if size > most:
        raise TooLarge(
            f"the searches found {sum(map(len, found)):,} records of {size:,} bytes, more than "
            f"--max-answer-bytes of the server, {most:,}: ask for a smaller limit, select less, or send "
            "fewer searches per call"
        )


def check_short(found: FoundRecords | FoundHits, fields: frozenset[Field], form: AnswerForm) -> None:
    """Raises NotShort if these columns are too large to be read and encoded on the event loop's thread."""
    size = found.size(fields)
    if "embeddings" in fields and not form.base64:
        size += (short_calls.DECIMALS - 1) * found.size(frozenset({"embeddings"}))
    if size > short_calls.SHORT_BYTES:
        raise short_calls.NotShort


def get(found: FoundRecords, fields: frozenset[Field], form: AnswerForm) -> JSON | Streamed:
    """The JSON response of a get."""
    if found.rows <= _FEW_RECORDS or found.size(fields) <= _AT_ONCE:
        return _with_texts(
            json_codec.rows_to_json(found.take(fields), form.include, base64=form.base64), form
        )
    columns = _columns(found.read, None, form)
    return Streamed(
        _joined({"ids": _ids(found.read, None), **columns}, {"include": form.include}), "application/json"
    )


def query(ranked: FoundHits, fields: frozenset[Field], form: AnswerForm) -> JSON | Streamed:
    """The JSON response of a query."""
    few = len(ranked.counts) == 1 and len(ranked.distances) <= _FEW_RECORDS
    if few or ranked.size(fields) <= _AT_ONCE:
        return _with_texts(
            json_codec.hits_to_json(ranked.hits(fields), form.include, base64=form.base64), form
        )
    columns = _columns(ranked.batches, ranked.counts, form)
    distances = _distances(ranked) if "distances" in form.include else None
    parts = {"ids": _ids(ranked.batches, ranked.counts), **columns, "distances": distances}
    others = {"include": form.include, **json_codec.explained(ranked.explanation())}
    others |= json_codec.words_to_json(ranked.word_matches())
    return Streamed(_joined(parts, others), "application/json")


def hits_as_json(hits: Sequence[Hits], form: AnswerForm) -> JSON:
    """The JSON response of a query whose hits are in memory."""
    return _with_texts(json_codec.hits_to_json(list(hits), form.include, base64=form.base64), form)


def too_large_page(size: int, most: int) -> TooLarge:
    """The error of a page of hits that would be too large in memory."""
    return TooLarge(
        f"the answer has {size:,} bytes with the records that the offset skips, more than "
        f"--max-answer-bytes of the server, {most:,}: ask for a smaller n_results or offset, or include less"
    )


def query_as_arrow(ranked: FoundHits, request: QueryRequest, form: AnswerForm, most: int) -> Streamed:
    """The response of a query as an Arrow stream. Raises TooLarge if more than `most` bytes would have to be
    held in memory."""
    return Streamed(_hits_as_arrow(ranked, request, form, most), content_negotiation.MEDIA_TYPE)


def searches_as_arrow(requests: Sequence[SearchRequest], found: Sequence[FoundBySearch]) -> Streamed:
    """The response of searches as an Arrow stream."""
    batch = arrow_codec.answers_to_batch(requests, [each.answer() for each in found])
    return Streamed(arrow_streams.send_batch(batch, False), content_negotiation.MEDIA_TYPE)


# ---------------------------------------------------------------------------- Arrow


def _hits_as_arrow(ranked: FoundHits, request: QueryRequest, form: AnswerForm, most: int) -> Iterator[bytes]:
    fields, size = request.fields, ranked.size(request.fields)
    structured = form.metadata == "struct" and "metadatas" in fields
    if size <= _AT_ONCE or structured:
        if size > most:
            raise TooLarge(
                f"the answer has {size:,} bytes, held in memory for the fields of a struct, more "
                f'than --max-answer-bytes of the server, {most:,}: ask for "metadata": "json", which is '
                "streamed, for a smaller n_results, fewer queries per call, or include less"
            )
        hits: list[Hits] = ranked.hits(fields)
        batch = arrow_codec.hits_to_batch(hits, fields, request.vectors.shape[1])
        return arrow_streams.send_batch(batch, structured)
    batches = _numbered(ranked, fields)
    first = next(batches)
    reader = pa.RecordBatchReader.from_batches(first.schema, chain([first], batches))
    return arrow_streams.send(reader)


def _numbered(ranked: FoundHits, fields: frozenset[Field]) -> Iterator[pa.RecordBatch]:
    """Yields the record batches with the columns `query` and `distance` prepended."""
    ends, at = np.cumsum(ranked.counts), 0
    for batch in _translated(ranked.batches(fields)):
        rows = np.arange(at, at + batch.num_rows)
        number = pa.array(np.searchsorted(ends, rows, "right").astype(np.int32))
        distance = pa.array(ranked.distances[at : at + batch.num_rows])
        names = ["query", "distance", *batch.schema.names]
        yield pa.RecordBatch.from_arrays([number, distance, *batch.columns], names)
        at += batch.num_rows


def _translated(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with translated():
        yield from batches


# ---------------------------------------------------------------------------- JSON

_Read = Callable[[frozenset[Field]], Iterable[pa.RecordBatch]]
_Cells = Callable[[pa.RecordBatch], bytes]


def _ids(read: _Read, counts: Sequence[int] | None) -> Iterator[bytes]:
    return _column(read(frozenset()), counts, partial(_texts, name="id"))


def _columns(
    read: _Read, counts: Sequence[int] | None, form: AnswerForm
) -> dict[str, Iterator[bytes] | None]:
    """The columns of a response in the order of the API. A column that was not requested is None."""
    ways: dict[Field, _Cells] = {
        "embeddings": partial(_vectors, base64=form.base64),
        "documents": partial(_texts, name="document"),
        "uris": partial(_texts, name="uri"),
        "metadatas": _exact_metadata if form.integers else _metadata,
    }
    return {
        field: _lazily(read, counts, field, cells) if field in form.include else None
        for field, cells in ways.items()
    }


def _lazily(read: _Read, counts: Sequence[int] | None, field: Field, cells: _Cells) -> Iterator[bytes]:
    yield from _column(read(frozenset({field})), counts, cells)


def _texts(batch: pa.RecordBatch, name: str) -> bytes:
    values = batch.column(batch.schema.get_field_index(name)).to_numpy(zero_copy_only=False).tolist()
    return orjson.dumps(values)[1:-1]


def _metadata(batch: pa.RecordBatch) -> bytes:
    """The JSON of the metadata, joined from the stored JSON texts."""
    texts = batch.column(batch.schema.get_field_index("metadata")).to_numpy(zero_copy_only=False).tolist()
    return ",".join([text or "null" for text in texts]).encode()


def _exact_metadata(batch: pa.RecordBatch) -> bytes:
    """The same, with integers as texts where JavaScript would round them."""
    values = orjson.loads(b"[%b]" % _metadata(batch))
    return orjson.dumps(integer_texts.as_texts(values))[1:-1]


def _with_texts(answer: JSON, form: AnswerForm) -> JSON:
    if not form.integers:
        return answer
    return answer | {"metadatas": integer_texts.as_texts(answer["metadatas"])}


def _vectors(batch: pa.RecordBatch, base64: bool) -> bytes:
    matrix: Floats = arrow_codec.matrix(
        pa.chunked_array([batch.column(batch.schema.get_field_index("embedding"))])
    )
    rows: Any = json_codec.encoded(matrix) if base64 else np.ascontiguousarray(matrix)
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def _distances(ranked: FoundHits) -> Iterator[bytes]:
    at = 0
    for number, count in enumerate(ranked.counts):
        cells = orjson.dumps(
            np.ascontiguousarray(ranked.distances[at : at + count]), option=orjson.OPT_SERIALIZE_NUMPY
        )
        yield (b"," if number else b"[") + cells
        at += count
    yield b"]"


def _column(
    batches: Iterable[pa.RecordBatch], counts: Sequence[int] | None, cells: _Cells
) -> Iterator[bytes]:
    """Yields the JSON of a list of cells. With `counts`, it is a list of lists, one for each count, with that
    many cells."""
    if counts is None:
        yield b"["
        for number, batch in enumerate(batches):
            yield (b"," if number else b"") + cells(batch)
        yield b"]"
        return
    waiting, batch, at = iter(batches), None, 0
    for number, count in enumerate(counts):
        yield b",[" if number else b"[["
        begun = False
        while count:
            if batch is None or at == batch.num_rows:
                batch, at = next(waiting), 0
                continue
            step = min(count, batch.num_rows - at)
            yield (b"," if begun else b"") + cells(batch.slice(at, step))
            begun, at, count = True, at + step, count - step
        yield b"]"
    yield b"]"


def _joined(columns: dict[str, Iterator[bytes] | None], rest: JSON) -> Iterator[bytes]:
    """Yields the JSON object of the response, in pieces of about `_PIECE` bytes."""
    buffer: list[bytes] = []
    size = 0
    with translated():
        for piece in _object(columns, rest):
            buffer.append(piece)
            size += len(piece)
            if size >= _PIECE:
                yield b"".join(buffer)
                buffer, size = [], 0
    yield b"".join(buffer)


def _object(columns: dict[str, Iterator[bytes] | None], rest: JSON) -> Iterator[bytes]:
    for index, (name, pieces) in enumerate(columns.items()):
        yield b'%b"%b":' % (b"," if index else b"{", name.encode())
        if pieces is None:
            yield b"null"
        else:
            yield from pieces
    yield b"," + orjson.dumps(rest)[1:]
