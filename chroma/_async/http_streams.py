"""Reads a server's records as a stream of Arrow record batches. Imported by the first such read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

from ..backend.async_protocol import AsyncBackend
from ..errors import InternalError, ServerConnectionError
from ..requests.projection import ScanRequest
from ..storage.interface.requests import GetRequest
from ..storage.interface.values import CollectionRef, Field, Rows
from ..tables.from_rows import Flat, FromRows, missing_keys, typed_keys_of
from ..tables.record_batches import AsyncBatches, async_reshaped
from ..wire import content_negotiation
from ..wire.arrow_codec import TypedKey, check_stream
from ..wire.arrow_stream_decoder import BrokenStream, Frames
from .http_transport import AsyncTransport

_LARGEST = 1 << 31  # the largest record batch accepted, in bytes
_PAGE = 1000  # records per page from servers that have no streams


async def read(transport: AsyncTransport, path: str, body: bytes, fields: frozenset[Field]) -> AsyncBatches:
    """The Arrow stream of a server of this package, with one column per metadata key. Returns once the
    schema has been read."""
    messages = _messages(transport, path, body, fields)
    flat = Flat(await anext(messages))
    return async_reshaped(flat.schema, messages, flat.batch)


async def _messages(
    transport: AsyncTransport, path: str, body: bytes, fields: frozenset[Field]
) -> AsyncIterator[Any]:
    """Yields the schema, then each batch."""
    frames, begun = Frames(_LARGEST, partial(check_stream, fields=fields)), False
    sending = transport.stream("POST", path, body, accept=content_negotiation.MEDIA_TYPE, repeatable=True)
    try:
        async with sending as response:
            async for piece in response.aiter_bytes():
                frames.add(piece)
                batch = frames.next()
                if not begun and frames.schema is not None:
                    begun = True
                    yield frames.schema
                while batch is not None:
                    yield batch
                    batch = frames.next()
        frames.finish()
    except BrokenStream as error:
        raise ServerConnectionError(
            f"the answer of {transport.url} is broken: {error.message()}; read it again"
        ) from error


async def in_pages(
    backend: AsyncBackend, collection: CollectionRef, request: ScanRequest, dimension: int | None
) -> AsyncBatches:
    """The records of a server without streams, read page by page. If the metadata become columns, all
    metadata are read first to find the keys and types."""
    typed_keys: list[Any] = []
    projection = request.projection
    if projection.form == "columns" and "metadatas" in projection.fields:
        only = request._replace(projection=replace(projection, fields=frozenset({"metadatas"})))
        pages = [page async for page in _pages(backend, collection, only)]
        typed_keys = typed_keys_of(pages, projection.keys)
        if pages and request.selection.everything and request.page.whole:
            # every record has been read, so a key that no record has is an error of the caller
            missing_keys(projection.keys, [typed.key for typed in typed_keys_of(pages, None)])
        have = {typed.key for typed in typed_keys}
        typed_keys += [TypedKey(key, "str") for key in projection.keys or () if key not in have]
        if projection.keys:
            typed_keys.sort(key=lambda typed: (projection.keys or ()).index(typed.key))
    form = FromRows(projection, typed_keys, dimension)
    return async_reshaped(form.schema, _pages(backend, collection, request), form.batch)


async def _pages(
    backend: AsyncBackend, collection: CollectionRef, request: ScanRequest
) -> AsyncIterator[Rows]:
    whole, fields, done = request.page, request.projection.fields, 0
    while whole.limit is None or done < whole.limit:
        most = _PAGE if whole.limit is None else min(_PAGE, whole.limit - done)
        page = whole._replace(limit=most, offset=whole.offset + done)
        rows = await backend.get(
            collection, GetRequest(selection=request.selection, page=page, fields=fields)
        )
        if rows.embeddings is None and "embeddings" in fields and rows.ids:
            raise InternalError("the server left out the embeddings it was asked for")
        if rows.ids:
            yield rows
        if len(rows.ids) < most:
            return
        done += most
