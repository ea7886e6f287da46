"""Splits a batch into requests that fit a server's limits, and reports the progress."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ..internal.progress import bar
from ..storage.interface.values import Mode, Records, Written
from ..wire import json_codec
from ..wire.content_negotiation import Stream, stream
from .retry_policy import encode
from .server_info import Server


def bodies(server: Server, mode: Mode, records: Records) -> Iterator[tuple[bytes, int]]:
    """Yields the batch as JSON bodies in order, each with its number of records."""
    total, limit = len(records.ids), server.max_body_bytes
    vectors = 0 if records.embeddings is None else records.embeddings.shape[1] * 4
    most = max(1, min(server.max_batch_size, limit * 3 // 4 // max(1, vectors)))
    start = 0
    while start < total or start == total == 0:
        part = records if most >= total else rows_of(records, start, start + most)
        body = encode(json_codec.records_to_json(mode, part, base64=server.base64))
        if len(body) > limit and len(part.ids) > 1:
            most = max(1, len(part.ids) // 2)  # the texts are long
            continue
        yield body, len(part.ids)
        start += max(1, len(part.ids))


def streams(server: Server, mode: Mode, records: Records) -> Iterator[tuple[Stream, int]]:
    """Yields the batch as Arrow streams in order, each with its number of records."""
    total, most, start = len(records.ids), server.max_batch_size, 0
    while start < total:
        part = records if most >= total else rows_of(records, start, start + most)
        parts = stream(mode, part)
        if parts.nbytes > server.max_body_bytes and len(part.ids) > 1:
            most = max(1, min(len(part.ids) // 2, len(part.ids) * server.max_body_bytes // parts.nbytes))
            continue
        yield parts, len(part.ids)
        start += len(part.ids)


def rows_of(records: Records, start: int, stop: int) -> Records:
    """The rows of a batch from `start` to before `stop`."""

    def cut(column: Any) -> Any:
        return None if column is None else column[start:stop]

    return Records(
        ids=records.ids[start:stop],
        embeddings=cut(records.embeddings),
        documents=cut(records.documents),
        metadatas=cut(records.metadatas),
        uris=cut(records.uris),
        has_embedding=cut(records.has_embedding),
    )


class Tally:
    """Sums up the results of the requests of one write.

        with Tally(total, progress) as tally:
            ...
            tally.add(part, rows)  # after each request

    If the write takes several requests, an error that leaves the block says how many records were written
    before it. A bar on stderr can show the progress: always if `progress` is True, never if it is False. None
    shows it on a terminal, if the package tqdm is installed.
    """

    def __init__(self, total: int, progress: bool | None) -> None:
        self.done = Written()
        self._total = total
        self._progress = progress
        self._rows = 0
        self._parts = False
        self._bar: Any = None

    def __enter__(self) -> Tally:
        return self

    def expect(self, rows: int) -> None:
        """Note that the next request has `rows` records."""
        if rows < self._total and not self._parts:
            self._parts = True
            self._bar = bar(self._progress, total=self._total, option="Settings(chroma_http_progress=True)")

    def add(self, part: Written, rows: int) -> None:
        """Add the result of a successful request with `rows` records."""
        self.done += part
        self._rows += rows
        if self._bar is not None:
            self._bar.update(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._parts and isinstance(error, Exception):
            text = str(error).removesuffix(".")
            error.args = (
                f"{text}; {self._rows} of {self._total} records were written before this",
                *error.args[1:],
            )
