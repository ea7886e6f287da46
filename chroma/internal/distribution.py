"""Lists the modules that `chroma-arrow-client` omits, and raises the error for their absence.

That distribution contains the modules that an HTTP client needs (`scripts/build_client.py`). The modules in
`LEFT_OUT`, and the modules that only they import, are only in `chroma-arrow`. Code that imports one of them
does so in a `with full(...)` block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ChromaError, UnsupportedError

LEFT_OUT = (
    "chroma.embedded.backend",
    "chroma.embedded.error_translation",
    "chroma.embedding.minilm.model",
    "chroma.embedding.minilm.tokens",
    "chroma.server.consoles",
)
INSTALL = "`pip install chroma-arrow`"


@contextmanager
def full(what: str, instead: str, error: type[ChromaError] = UnsupportedError) -> Iterator[None]:
    """Raise `error`, with the remedy, if the `with` block imports a module in `LEFT_OUT` that is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name not in LEFT_OUT:
            raise
        raise error(
            f"{what} is not part of chroma-arrow-client, which is installed here: {INSTALL}, or {instead}"
        ) from None
