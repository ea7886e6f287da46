"""Checks the texts to embed, and sends them in batches that a provider accepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError, InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BYTES_PER_TOKEN = 3
"""A low estimate: English text has 4 to 5, most other scripts about 3. Where it is too high after all, the
provider refuses the batch, and gets smaller ones."""

# phrases in which providers report that a request has too many texts or too much text
_TOO_LARGE = re.compile(
    r"too many (tokens|inputs|texts|items)|array too long|batch size|(in one|per|submitted) batch"
    r"|into more batches|tokens per request|texts must be at most|too large",
    re.I,
)


class TooLargeError(InvalidArgumentError):
    """A provider rejected a request because it is too large."""

    def __reduce__(self) -> Any:
        # users see this error, and its pickles, as the public class InvalidArgumentError
        return (InvalidArgumentError, *super().__reduce__()[1:])


def says_too_large(status: int, message: str) -> bool:
    """Whether an error response means that a request with fewer texts may succeed."""
    return status == 413 or (status in (400, 422) and _TOO_LARGE.search(message) is not None)


def checked(texts: object) -> list[str]:
    """Return `texts` as a list. Raises InvalidArgumentError if empty, InvalidTypeError for non-strings."""
    import numpy as np  # imported here, so that `import chroma` does not load numpy

    if isinstance(texts, str):
        raise InvalidTypeError(
            f"Expected a list of texts to embed, got the single string {texts[:40]!r}. Write [text]."
        )
    if not isinstance(texts, (list, tuple, np.ndarray)):
        raise InvalidTypeError(f"Expected a list of texts to embed, got {type(texts).__name__}.")
    given = list(texts)
    if not given:
        raise InvalidArgumentError("Expected at least one text to embed, got an empty list.")
    for position, text in enumerate(given):
        if not isinstance(text, str):
            raise InvalidTypeError(
                f"Expected texts to embed to be str, got {type(text).__name__} at position {position}: "
                f"{repr(text)[:40]}."
            )
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidArgumentError(
                f"The text at position {position} holds a lone surrogate and is not valid Unicode: "
                f"{text[:40]!r}. Decode its source with the right encoding or errors='replace'."
            )
    return given


def in_batches(
    texts: object,
    send: Callable[[list[str]], Sequence[Any]],
    *,
    source: str,
    limit: int | None,
    tokens: int | None = None,
) -> npt.NDArray[np.float32]:
    """Embed `texts` by calling `send` for each batch in order. Returns float32 (len(texts), dim).

    limit   maximum texts per batch; None: all texts form one batch that is never divided
    tokens  estimated maximum tokens per batch; None: no limit
    If the provider rejects a batch as too large, this batch and all later ones are halved. Errors name
    the texts that they concern. A result is returned only if all texts have a vector.
    """
    import numpy as np

    given = checked(texts)
    blocks: list[npt.NDArray[np.float32]] = []
    start = 0
    while start < len(given):
        end = len(given) if limit is None else batch_end(given, start, limit, tokens)
        try:
            block = _block(send(given[start:end]), end - start, source)
            if blocks and block.shape[1] != blocks[0].shape[1]:
                raise ChromaError(
                    f"{source}: the provider answered with vectors of {block.shape[1]} numbers after vectors "
                    f"of {blocks[0].shape[1]}."
                )
        except ChromaError as error:
            if isinstance(error, TooLargeError) and end - start > 1 and limit is not None:
                limit = (end - start + 1) // 2
                continue
            which = f"text {start}" if end - start == 1 else f"texts {start} to {end - 1}"
            error.args = (f"{error} (at {which} of {len(given)})",)
            raise
        blocks.append(block)
        start = end
    return np.concatenate(blocks)


def batch_end(texts: Sequence[str], start: int, limit: int, tokens: int | None = None) -> int:
    """Return the end of the batch that begins at `start`. A text that exceeds `tokens` is a whole batch."""
    last = min(len(texts), start + limit)
    if tokens is None:
        return last
    room = tokens * BYTES_PER_TOKEN
    for position in range(start, last):
        room -= len(texts[position].encode())
        if room < 0 and position > start:
            return position
    return last


def _block(vectors: Sequence[Any], expected: int, source: str) -> npt.NDArray[np.float32]:
    """Convert one batch to an array, so that the numbers of a large input do not stay Python objects."""
    import numpy as np

    if not hasattr(vectors, "__len__"):
        raise ChromaError(
            f"{source}: got {type(vectors).__name__} for {expected} texts, not a list of vectors."
        )
    if len(vectors) != expected:
        raise ChromaError(
            f"{source}: the provider answered with {len(vectors)} vectors for {expected} texts."
        )
    try:
        block = np.asarray(vectors)
    except (ValueError, TypeError):  # rows of different lengths
        block = np.empty(0, object)
    if block.ndim != 2 or block.dtype.kind not in "fiu" or 0 in block.shape:
        raise ChromaError(
            f"{source}: the provider answered with something else than one vector per text"
            + (": with one per token. Choose a model for sentences." if block.ndim == 3 else ".")
        )
    with np.errstate(over="ignore"):  # `normalise` refuses infinity
        return block.astype(np.float32)
