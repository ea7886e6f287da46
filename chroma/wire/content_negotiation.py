"""When records travel as Arrow rather than JSON, and their way into and out of requests.

Arrow needs a server that takes it, and here the packages pyarrow and orjson, which are loaded with
the first transfer. Small requests stay JSON: loading and framing cost more than they save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ServerConnectionError
from ..storage.interface.values import Field, Floats, Hits, Mode, Records, Rows

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

# Measured over loopback (docs/performance.md): from these sizes on Arrow is not slower.
_RECORDS = 50  # of a write
_ROWS = 200  # of an answer; with vectors a tenth of them
_PART_BYTES = 4 << 20  # of vectors in one piece of a stream


def available() -> bool:
    """Whether the packages are there."""
    return find_spec("pyarrow") is not None and find_spec("orjson") is not None


def pays_for_write(records: Records) -> bool:
    """Whether a batch is worth it."""
    return records.embeddings is not None and len(records.ids) >= _RECORDS


def pays_for_answer(rows: int | None, fields: frozenset[Field]) -> bool:
    """Whether an answer is worth it that has at most so many rows; None is any number."""
    return rows is None or rows >= (_ROWS // 10 if "embeddings" in fields else _ROWS)


class Stream:
    """A batch as the parts of one Arrow stream, which are made while they are sent; from the start
    again as often as they are asked for."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        self._batches = batches
        self.nbytes = sum(batch.nbytes for batch in batches)

    def __iter__(self) -> Iterator[bytes]:
        from . import arrow_codec

        for part in arrow_codec.messages(self._batches, self._batches[0].schema):
            yield part.to_pybytes()


def stream(mode: Mode, records: Records) -> Stream:
    """All of a batch. Vectors are not copied before they are sent."""
    from . import arrow_codec

    width = 4 if records.embeddings is None else records.embeddings.shape[1] * 4
    step = max(1, _PART_BYTES // width)
    batch = arrow_codec.records_to_batch(mode, records)
    return Stream([batch.slice(start, step) for start in range(0, len(records.ids), step)])


def read_rows(content: bytes, fields: frozenset[Field], most: int | None) -> Rows:
    """The answer of a get. Raises BrokenStream, as `read_hits` and `read_table` do."""
    from . import arrow_codec

    return arrow_codec.rows_from_table(arrow_codec.read(content), fields, most)


def read_hits(content: bytes, fields: frozenset[Field], queries: int, k: int) -> list[Hits]:
    """The answer of a query."""
    from . import arrow_codec

    return arrow_codec.hits_from_table(arrow_codec.read(content), queries, k, fields)


def read_table(content: bytes) -> pa.Table:
    """The answer of an SQL statement."""
    from . import arrow_codec

    return arrow_codec.read(content)


def answered(read: Callable[[bytes], T], content: bytes, url: str) -> T:
    """What `read` makes of the answer of a server. Raises ServerConnectionError for a broken one."""
    from .arrow_stream_decoder import BrokenStream

    try:
        return read(content)
    except BrokenStream as error:
        raise ServerConnectionError(f"the answer of {url} is broken: {error.message()}") from error


def most_rows(ids: Any, limit: int | None) -> int | None:
    """How many rows a get may answer with; None: any number."""
    bounds = [bound for bound in (limit, None if ids is None else len(ids)) if bound is not None]
    return min(bounds, default=None)


def query_rows(vectors: Floats, k: int) -> int:
    """How many rows a query may answer with."""
    return len(vectors) * k
