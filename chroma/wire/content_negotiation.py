"""Decides when a client sends and receives records as Arrow rather than JSON, and converts them.

Arrow needs a server that accepts it, and the packages pyarrow and orjson in the client, which are imported
by the first transfer. Small requests stay JSON, because for them importing and framing cost more than they
save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ServerConnectionError
from ..storage.interface.ranking import SearchRequest, leaves
from ..storage.interface.values import Field, Floats, Hits, Mode, Records, Rows, SearchAnswer

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

# From these sizes on, Arrow is not slower, as measured over loopback (docs/performance.md).
_RECORDS = 50  # records in a write
_ROWS = 200  # rows in a response; a tenth of that if they have vectors
_PART_BYTES = 4 << 20  # bytes of vectors in one piece of a stream


def available() -> bool:
    """Whether the packages that Arrow needs are installed."""
    return find_spec("pyarrow") is not None and find_spec("orjson") is not None


def pays_for_write(records: Records) -> bool:
    """Whether to send a batch as Arrow."""
    return records.embeddings is not None and len(records.ids) >= _RECORDS


def pays_for_answer(rows: int | None, fields: frozenset[Field]) -> bool:
    """Whether to request a response of at most `rows` rows as Arrow. None means any number of rows."""
    return rows is None or rows >= (_ROWS // 10 if "embeddings" in fields else _ROWS)


class Stream:
    """A batch as the parts of one Arrow stream, which are produced while they are sent. It can be iterated
    over any number of times."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        self._batches = batches
        self.nbytes = sum(batch.nbytes for batch in batches)

    def __iter__(self) -> Iterator[bytes]:
        from . import arrow_codec

        for part in arrow_codec.messages(self._batches, self._batches[0].schema):
            yield part.to_pybytes()


def stream(mode: Mode, records: Records) -> Stream:
    """A batch as an Arrow stream. Vectors are not copied before they are sent."""
    from . import arrow_codec

    width = 4 if records.embeddings is None else records.embeddings.shape[1] * 4
    step = max(1, _PART_BYTES // width)
    batch = arrow_codec.records_to_batch(mode, records)
    return Stream([batch.slice(start, step) for start in range(0, len(records.ids), step)])


def read_rows(content: bytes, fields: frozenset[Field], most: int | None) -> Rows:
    """The result of a get. Raises BrokenStream if it is invalid, as do the other readers."""
    from . import arrow_codec

    return arrow_codec.rows_from_table(arrow_codec.read(content), fields, most)


def read_hits(content: bytes, fields: frozenset[Field], queries: int, k: int) -> list[Hits]:
    """The result of a query."""
    from . import arrow_codec

    return arrow_codec.hits_from_table(arrow_codec.read(content), queries, k, fields)


def read_answers(content: bytes, requests: Sequence[SearchRequest]) -> list[SearchAnswer]:
    """The result of searches."""
    from . import arrow_codec

    return arrow_codec.answers_from_table(arrow_codec.read(content), requests)


def read_table(content: bytes) -> pa.Table:
    """The result of an SQL statement."""
    from . import arrow_codec

    return arrow_codec.read(content)


def answered(read: Callable[[bytes], T], content: bytes, url: str) -> T:
    """The result of `read` on a server's response. Raises ServerConnectionError if it is invalid."""
    from .arrow_stream_decoder import BrokenStream

    try:
        return read(content)
    except BrokenStream as error:
        raise ServerConnectionError(f"the answer of {url} is broken: {error.message()}") from error


def most_rows(ids: Any, limit: int | None) -> int | None:
    """The largest number of rows that a get can return; None: any number."""
    bounds = [bound for bound in (limit, None if ids is None else len(ids)) if bound is not None]
    return min(bounds, default=None)


def search_rows(requests: Sequence[SearchRequest]) -> int | None:
    """The largest number of rows that searches can return; None: any number."""
    total = 0
    for request in requests:
        bounds = [] if request.limit is None else [request.limit]
        if request.rank is not None:  # only records that a Knn finds have a score
            bounds.append(sum(leaf.limit for leaf in leaves(request.rank)))
        if not bounds:
            return None
        total += min(bounds)
    return total


def query_rows(vectors: Floats, k: int) -> int:
    """The largest number of rows that a query can return."""
    return len(vectors) * k
