"""The protocol of sparse embedding functions, and the check of their results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...errors import InvalidArgumentError
from ...storage.interface.short_repr import shown
from .protocol import retrying

if TYPE_CHECKING:
    from ...types import SparseVector, SparseVectors

D = TypeVar("D", contravariant=True)


class SparseEmbeddingFunction(Generic[D]):
    """Base class of functions that convert texts to sparse vectors.

    A subclass defines `__call__(self, input)`, which returns one SparseVector per text. It can be stored by
    name if it also defines `name`, `get_config` and `build_from_config`.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in ("__call__", "embed_query"):
            if method in cls.__dict__:
                setattr(cls, method, _checked(cls.__dict__[method]))

    def __call__(self, input: D) -> SparseVectors:
        """Embed `input`. Returns one SparseVector per text."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(self, input)`")

    def embed_query(self, input: D) -> SparseVectors:
        """Embed queries. Same as `__call__` unless the model embeds queries differently."""
        return self(input)

    def embed_with_retries(self, input: D, **retry_kwargs: Any) -> SparseVectors:
        """Embed `input` as `EmbeddingFunction.embed_with_retries` does."""
        return retrying(self, retry_kwargs)(input)  # type: ignore[no-any-return]

    @staticmethod
    def name() -> str:
        """Return the name under which the function is stored and registered."""
        raise NotImplementedError("the embedding function defines no `name()`")

    def get_config(self) -> dict[str, Any]:
        """Return JSON data, without secrets, from which `build_from_config` builds an equal function."""
        raise NotImplementedError(f"{type(self).__name__} defines no `get_config()`")

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> SparseEmbeddingFunction[Any]:
        """Build a function from a configuration that `get_config` returned."""
        raise NotImplementedError("the embedding function defines no `build_from_config(config)`")

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise ValueError if no function can be built from `config`. Accepts everything by default."""

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise ValueError if a collection may not change from `old_config` to `new_config`."""


def normalize_sparse_vector(
    indices: Sequence[int], values: Sequence[float], labels: Sequence[str] | None = None
) -> SparseVector:
    """Return a SparseVector with its entries in the order of their indices."""
    from ...types import SparseVector  # loads numpy

    if not (len(indices) == len(values) == (len(indices) if labels is None else len(labels))):
        raise InvalidArgumentError(
            "A sparse vector needs as many values, and labels if any, as indices: got "
            f"{len(indices)} indices, {len(values)} values"
            + ("" if labels is None else f", {len(labels)} labels")
        )
    order = sorted(range(len(indices)), key=lambda at: indices[at])
    return SparseVector(
        [int(indices[at]) for at in order],
        [float(values[at]) for at in order],
        None if labels is None or not order else [labels[at] for at in order],
    )


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        from ...types import SparseVector  # loads numpy

        vectors = method(self, *args, **kwargs)
        if not isinstance(vectors, list) or not all(isinstance(each, SparseVector) for each in vectors):
            raise InvalidArgumentError(
                f"The embedding function {type(self).__name__} must return a list with one SparseVector per "
                f"input, got {shown(vectors)}."
            )
        return vectors

    return call
