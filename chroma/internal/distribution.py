"""What `chroma-arrow-client` leaves out, and what to say where it is asked for.

That distribution is made of the modules that a client of a server needs (`scripts/build_client.py`). Those of
`LEFT_OUT`, with all that only they import, are in `chroma-arrow` alone; whoever imports one of them does so
inside `full`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ChromaError, UnsupportedError

LEFT_OUT = ("chroma.embedded.backend", "chroma.embedded.error_translation", "chroma.embedding.minilm.model")
INSTALL = "`pip install chroma-arrow`"


@contextmanager
def full(what: str, instead: str, error: type[ChromaError] = UnsupportedError) -> Iterator[None]:
    """A block that imports one of `LEFT_OUT`; where that is not installed, `error` says what to do."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name not in LEFT_OUT:
            raise
        raise error(
            f"{what} is not part of chroma-arrow-client, which is installed here: {INSTALL}, or {instead}"
        ) from None
