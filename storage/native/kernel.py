"""Load the compiled part of the engine, if there is one.

Owns: whether the compiled `_graph.c`, `_kernel.c`, `_postings.c` and `_text.c` are available. Without
`_graph.c`, hnswlib builds and searches graphs (index/hnsw.py). The functions of the others have counterparts,
which give the same answers without them: those of `_text.c` in filters/document_scan.py and index/ngrams.py,
the others in vectors/, arrow/, postings/, validation/column_offsets.py and io/safe_open.py.
"""

from __future__ import annotations

import threading
import warnings
from types import ModuleType

_VERSION = 7  # the version of the interface, as in _kernel.c
_POSTINGS_VERSION = 10  # as in _postings.c
_TEXT_VERSION = 3  # as in _text.c
_GRAPH_VERSION = 5  # as in _graph.c

compiled: ModuleType | None = None
postings: ModuleType | None = None
try:
    from . import _kernel, _postings

    if (_kernel.VERSION, _postings.VERSION) == (_VERSION, _POSTINGS_VERSION):
        compiled, postings = _kernel, _postings
except (ImportError, AttributeError):
    pass  # opening a database warns, see `expect`

text: ModuleType | None = None
try:
    from . import _text

    if _text.VERSION == _TEXT_VERSION:
        text = _text
except (ImportError, AttributeError):
    pass

graph: ModuleType | None = None
try:
    from . import _graph

    if _graph.VERSION == _GRAPH_VERSION:
        graph = _graph
except (ImportError, AttributeError):
    pass


class KernelMissing(UserWarning):
    """Warns that the compiled part is missing. Answers are the same, but slower."""


_warned = threading.Event()


def expect() -> None:
    """Warn, once per process, if the compiled part is missing or was compiled from another version."""
    if (compiled is None or text is None or graph is None) and not _warned.is_set():
        _warned.set()
        warnings.warn(
            "The compiled part of chroma is missing or old, so queries take about twice as long. Install a C "
            "compiler and the Python headers (Debian: gcc python3-dev), then `pip install --force-reinstall "
            "--no-deps --no-cache-dir chroma-arrow`; in a checkout, `pip install -e .`.",
            KernelMissing,
            stacklevel=2,
        )
