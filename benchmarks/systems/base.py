"""What a system is asked to do. A method that stays as here is a thing the system cannot do.

A driver keeps to the system's public interface. `rows` is a data.Rows; a `condition` is a
conditions.Condition, which `native` turns into what the system takes, outside of what is timed.
"""

from __future__ import annotations

from typing import Any

# Search effort, called ef by all of them: the same steps for each.
KNOBS = (16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)


class Unsupported(Exception):
    """The system does not have this."""


class Driver:
    exact = False  # it compares with every vector: no knob, recall 1
    default_knob: int | None = None  # None: what it does when nothing is set
    lowest_knob = 16
    writers = True  # many threads may add at the same time
    durable = True  # a write is on disk when it returns
    returns_documents = True  # each hit with its document, all metadata, and the distance

    def __init__(self, path: str, dimension: int) -> None:
        self.path, self.dimension = path, dimension

    def open(self) -> None:
        """Open what is at `path`, or get ready to make it on the first `add`."""
        raise NotImplementedError

    def close(self) -> None:
        pass

    def ready(self) -> None:
        """Return when what is indexed has been loaded, where that happens after `open` in the background."""

    def settle(self) -> None:
        """Return when searches run at full speed: everything indexed, nothing left to tidy up."""

    def set_knob(self, ef: int | None) -> None:
        """The effort of the searches to come; None: the system's default."""

    def knobs(self) -> tuple[int, ...]:
        return tuple(ef for ef in KNOBS if ef >= self.lowest_knob)

    # writes
    def input(self, rows: Any) -> Any:
        """Records in the form that `add` takes, where another one than lists is usual; not timed."""
        return rows

    def add(self, rows: Any) -> None:
        raise Unsupported

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        """Set these metadata keys of existing records."""
        raise Unsupported

    def delete(self, ids: list[str]) -> None:
        raise Unsupported

    # reads
    def native(self, condition: Any) -> Any:
        raise Unsupported

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        """The ids of the hits; documents, metadata and distances have been fetched."""
        raise Unsupported

    def query_ids(self, vector: Any, k: int = 10) -> list[Any]:
        """Without documents and metadata, where the system has a way to leave them out."""
        raise Unsupported

    def query_many(self, vectors: Any, k: int = 10) -> list[list[Any]]:
        raise Unsupported

    def ids_of(self, found: list[Any]) -> list[str]:
        """Ids from what `query` returned; of use to those that have numbers only."""
        return found

    def get(self, ids: list[str]) -> list[str]:
        """The ids that were found; documents and metadata have been fetched."""
        raise Unsupported

    def get_where(self, condition: Any, limit: int) -> list[str]:
        raise Unsupported

    def count(self) -> int:
        raise Unsupported

    def arrow(self) -> Any:
        """Everything as an Arrow table, vectors too."""
        raise Unsupported

    def pandas(self) -> Any:
        """Everything as a DataFrame, vectors too."""
        raise Unsupported

    def vectors_in(self, table: Any) -> Any:
        """The column of vectors in what `arrow` returned."""
        raise Unsupported
