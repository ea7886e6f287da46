"""Files of a segment, written in parallel.

Owns: the threads that write, checksum and sync the files of a segment while later ones are computed.
Invariant: once `finish` returns, the contents of all files are synced. No thread writes outside of the
context.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from ..io.checksummed_writer import Sink
from ..io.disk import Folder
from ..manifest import FileRef

# Writing, checksums and syncing let other threads run. The vectors are most of the bytes of a segment; its
# other files are done beside them.
_THREADS = 3


class ParallelWriter:
    """Use as a context manager: leaving it waits for whatever was begun."""

    def __init__(self, home: Folder) -> None:
        self._home = home
        self._pool = ThreadPoolExecutor(_THREADS, "chroma-files")
        self._begun: list[Future[FileRef]] = []

    def put(self, name: str, fill: Callable[[Sink], None]) -> None:
        """Begin a file; `fill` writes its bytes, in another thread where that can be had."""
        try:
            self._begun.append(self._pool.submit(self._write, name, fill))
        except RuntimeError:  # pools take no work any more once the interpreter is ending
            done: Future[FileRef] = Future()
            done.set_result(self._write(name, fill))
            self._begun.append(done)

    def finish(self) -> tuple[FileRef, ...]:
        """Wait for the files; returns them in the order they were begun. Raises the first error."""
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
