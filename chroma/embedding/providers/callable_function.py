"""Makes an embedding function from any callable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import InvalidArgumentError, InvalidTypeError
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SPACES = ("cosine", "l2", "ip")


class CallableEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Wraps a callable that takes a list of texts and returns one vector per text.

    function    embeds documents: `lambda texts: model.encode(texts)`, `embeddings.embed_documents`, …
    query       embeds queries, if the model embeds them differently; takes a list; default: `function`
    batch_size  maximum texts per call of `function`; None: no limit
    space       the distance for collections that do not specify one

    The callable is not stored, because a stored name must not run code. A collection created with it
    records only that it had a function ({"type": "legacy"}), so pass the function to `get_collection` again.
    To store a function by name, register a class: see `EmbeddingFunction`.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        *,
        query: Callable[[list[str]], Any] | None = None,
        batch_size: int | None = None,
        space: Space = "l2",
    ) -> None:
        for argument, given in (("function", function), ("query", query)):
            if not (callable(given) or (given is None and argument == "query")):
                raise InvalidTypeError(f"`{argument}` must be callable, got {type(given).__name__}.")
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise InvalidArgumentError(f"`batch_size` must be a positive int or None, got {batch_size!r}.")
        if space not in _SPACES:
            raise InvalidArgumentError(f"`space` must be one of {', '.join(_SPACES)}, got {space!r}.")
        self._function = function
        self._query = function if query is None else query
        self._batch_size = batch_size
        self._space: Space = space

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(self._function, input)

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(self._query, input)

    def _embed(self, function: Callable[[list[str]], Any], texts: Sequence[str]) -> Vectors:
        return in_batches(  # type: ignore[return-value]
            texts, function, source="CallableEmbeddingFunction", limit=self._batch_size
        )

    def default_space(self) -> Space:
        return self._space
