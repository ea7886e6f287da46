"""Divides texts into pieces that a model reads whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..validation.names import check_int
from ..validation.sequences import as_list
from .minilm.default import DefaultEmbeddingFunction

Spans: TypeAlias = Callable[[str], list[tuple[int, int]]]
_OVERLAP = 32  # tokens
_LEAST = 16
_OPTIONS = ("tokens", "overlap")


class Chunk(NamedTuple):
    """A piece of a text.

    source      the position of the whole text among those that were divided
    number      0 for the first piece of a text, 1 for the second, ...
    start, end  the piece is text[start:end] of the whole text
    """

    text: str
    source: int
    number: int
    start: int
    end: int


Chunk.__module__ = "chroma"


def split(
    texts: str | Sequence[str],
    tokens: int | None = None,
    overlap: int | None = None,
    *,
    embedding_function: Any = None,
) -> list[Chunk]:
    """Divide texts into pieces that the embedding model reads whole, in their order.

        for chunk in chroma.split(pages):
            print(chunk.source, chunk.number, chunk.start, chunk.end, chunk.text)

    texts    one text or several. A text that is short enough is one piece
    tokens   the most tokens in a piece. Default, and maximum: as many as the model reads, 256 for the default
             model, which are about 190 English words
    overlap  how many of its last tokens a piece shares with the next one, about. Default: 32, or an eighth of
             `tokens` if that is less
    embedding_function  the function whose tokens are counted; default: the default model. It needs a method
             `split(text, tokens, overlap)` that returns pairs of start and end

    Pieces end after a paragraph, a sentence or at least a word. `Collection.load(..., split=True)` does the
    same for files and tables.
    """
    given = as_list(texts)
    if odd := [text for text in given if not isinstance(text, str)]:
        raise InvalidTypeError(f"Expected texts to be a text or a list of texts, got {shown(odd[0])} in it")
    spans = splitter(
        DefaultEmbeddingFunction() if embedding_function is None else embedding_function, tokens, overlap
    )
    return [
        Chunk(text[start:end], source, number, start, end)
        for source, text in enumerate(given)
        for number, (start, end) in enumerate(spans(text))
    ]


def splitter(function: Any, tokens: Any = None, overlap: Any = None) -> Spans:
    """Check the options, and return what divides a text by the tokens of a function."""
    divide, most = getattr(function, "split", None), getattr(function, "max_tokens", None)
    if not callable(divide) or not callable(most):
        raise InvalidArgumentError(
            f"the embedding function {type(function).__name__} has no method split, so its tokens cannot be "
            "counted: divide the texts yourself, or by the default model's tokens with chroma.split(texts)"
        )
    limit = most()
    if tokens is None:
        tokens = limit
    if not _LEAST <= check_int(tokens, "tokens") <= limit:
        raise InvalidArgumentError(
            f"Expected tokens to be {_LEAST} to {limit}, which is all that the model reads, got {tokens}"
        )
    if overlap is None:
        overlap = min(_OVERLAP, tokens // 8)
    if not 0 <= check_int(overlap, "overlap") <= tokens // 2:
        raise InvalidArgumentError(
            f"Expected overlap to be 0 to {tokens // 2}, half of tokens={tokens}, got {overlap}"
        )
    return lambda text: divide(text, tokens, overlap)


def of_option(function: Any, option: Any) -> Spans | None:
    """Return the function that divides a text, by the argument `split` of a load. None: texts stay whole."""
    if option is None or option is False:
        return None
    if option is True:
        return splitter(function)
    if isinstance(option, int):
        return splitter(function, option)
    if not isinstance(option, Mapping):
        raise InvalidTypeError(
            "Expected split to be True, a number of tokens, or a dict as {'tokens': 256, 'overlap': 32}, "
            f"got {shown(option)}"
        )
    if unknown := [name for name in option if name not in _OPTIONS]:
        raise InvalidArgumentError(
            f"split has the entry {unknown[0]!r}: expected some of {', '.join(_OPTIONS)}"
        )
    return splitter(function, **option)
