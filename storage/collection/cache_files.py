"""Publish a cache of a segment: write its file into the segment's folder, and name it in the manifest.

Owns: the order of the steps. A cache is a file that can be computed from the records: a graph or another
index. If its segment was merged away while it was built, it is dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from ..io.checksummed_writer import Sink
from ..manifest import FileRef, Manifest, SegmentRef
from .record_store import RecordStore


def publish(
    store: RecordStore,
    segment: str,
    name: str,
    write: Callable[[Sink], None] | None,
    replaced: Callable[[SegmentRef, FileRef], tuple[SegmentRef, FileRef | None]],
    *,
    content: str | None = None,
) -> FileRef | None:
    """Write a file and name it in the manifest. Returns None if the segment, or its content, is gone.

    name      the name of the file
    write     writes the file; None for a cache without one, as graphs in memory are
    replaced  returns the reference to the segment with the new file, and the file that it replaces
    content   the content from which it was made; None for a cache of the vectors, which never change
    """
    folder = store.folder
    with folder.lock("maintain.lock", timeout=None):
        manifest = Manifest.load(folder)
        refs = {ref.name: ref for ref in manifest.segments}
        if segment not in refs or content not in (None, refs[segment].content):
            store.refresh()
            return None
        home, file = folder.child(segment), FileRef(name, 0, "")
        if write is not None:
            with home.write_file(name) as sink:
                write(sink)
            home.sync()
            file = FileRef(name, sink.size, sink.digest())
        refs[segment], old = replaced(refs[segment], file)
        try:
            manifest._replace(version=manifest.version + 1, segments=tuple(refs.values())).publish(folder)
        except BaseException:
            store.unclean = True  # the manifest or its copy may already name the file
            raise
        if old is not None:
            home.remove(old.name)
    store.refresh()
    return file
