"""Write the files of a segment in parallel.

Owns: the threads that write, checksum and sync the first files of a segment while later ones are computed.
Invariant: once `finish` returns, the contents of all files are synced. No thread writes after the context has
ended.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from ..io.checksummed_writer import Sink
from ..io.disk import Folder
from ..manifest import FileRef

# Writing, computing checksums and syncing release the GIL. The vectors make up most of a segment's bytes, and
# the other files are written while the vectors are.
_THREADS = 3


class ParallelWriter:
    """A context manager. Its end waits for the files that are still being written."""

    def __init__(self, home: Folder) -> None:
        self._home = home
        self._pool = ThreadPoolExecutor(_THREADS, "chroma-files")
        self._begun: list[Future[FileRef]] = []

    def put(self, name: str, fill: Callable[[Sink], None]) -> None:
        """Begin a file. `fill` writes its bytes, in another thread if possible."""
        try:
            self._begun.append(self._pool.submit(self._write, name, fill))
        except RuntimeError:  # a pool accepts no work while the interpreter is shutting down
            done: Future[FileRef] = Future()
            done.set_result(self._write(name, fill))
            self._begun.append(done)

    def finish(self) -> tuple[FileRef, ...]:
        """Wait for the files and return them in the order of their `put` calls. Raises the first error."""
        return tuple(each.result() for each in self._begun)

    def _write(self, name: str, fill: Callable[[Sink], None]) -> FileRef:
        with self._home.write_file(name) as sink:
            fill(sink)
        return FileRef(name, sink.size, sink.digest())

    def __enter__(self) -> ParallelWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
