"""The protocol of embedding functions, and the checks of their inputs and results.

Owns: the base class `EmbeddingFunction`, the shape check on `__call__`, and the only
normalisation of results to float32 vectors. Depends on no model and no registry.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from ...errors import InvalidArgumentError
from ...internal.optional_dependencies import require
from ...storage.interface.short_repr import shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors: TypeAlias = list[npt.NDArray[np.float32]]

Space: TypeAlias = Literal["cosine", "l2", "ip"]
D = TypeVar("D", contravariant=True)

_HOOKS = ("name", "get_config", "build_from_config")


class EmbeddingFunction(Generic[D]):
    """Base class of functions that convert inputs (texts or images) to vectors.

    A subclass defines `__call__(self, input)`. The method may return any nested sequence or array of numbers.
    Callers receive one float32 vector per input, all of equal length. A collection can store the function if
    its class also defines `name`, `get_config` and `build_from_config`, and is registered. Creating a
    collection with the function registers the class. A function without these three methods works too, but
    must be passed to `get_collection` again.

        @register_embedding_function
        class Lengths(EmbeddingFunction[list[str]]):
            def __call__(self, input): return [[len(text), text.count(" ")] for text in input]
            @staticmethod
            def name(): return "lengths"
            def get_config(self): return {}
            @staticmethod
            def build_from_config(config): return Lengths()
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in ("__call__", "embed_query"):
            if method in cls.__dict__:
                setattr(cls, method, _normalised(cls.__dict__[method]))

    def __call__(self, input: D) -> Vectors:
        """Embed `input`. Returns one float32 vector per item."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(self, input)`")

    def embed_query(self, input: D) -> Vectors:
        """Embed queries. Same as `__call__` unless the model embeds queries differently."""
        return self(input)

    def embed_with_retries(self, input: D, **retry_kwargs: Any) -> Vectors:
        """Embed `input`, and repeat failed calls as the package tenacity does with these arguments of its
        `retry`. Without arguments, call once: the functions of providers repeat by themselves."""
        return retrying(self, retry_kwargs)(input)  # type: ignore[no-any-return]

    @staticmethod
    def name() -> str:
        """Return the name under which the function is stored and registered."""
        raise NotImplementedError("the embedding function defines no `name()`")

    def get_config(self) -> dict[str, Any]:
        """Return JSON data, without secrets, from which `build_from_config` builds an equal function."""
        raise NotImplementedError(f"{type(self).__name__} defines no `get_config()`")

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction[Any]:
        """Build a function from a configuration that `get_config` returned."""
        raise NotImplementedError("the embedding function defines no `build_from_config(config)`")

    def default_space(self) -> Space:
        """Return the distance for collections that do not specify one. "l2" by default."""
        return "l2"

    def supported_spaces(self) -> list[Space]:
        """Return the distances that are meaningful for these vectors. All three by default."""
        return ["cosine", "l2", "ip"]

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise ValueError if no function can be built from `config`. Accepts everything by default."""

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise ValueError if a collection may not change from `old_config` to `new_config`."""

    def is_legacy(self) -> bool:
        """Whether the function cannot be stored, because `name`, `get_config` or `build_from_config` is
        missing."""
        return any(getattr(type(self), hook) is getattr(EmbeddingFunction, hook) for hook in _HOOKS)


def retrying(function: Any, retry_kwargs: Mapping[str, Any]) -> Callable[..., Any]:
    """Return `function.__call__`, repeated by the package tenacity if there are arguments for its `retry`."""
    if not retry_kwargs:
        return function.__call__  # type: ignore[no-any-return]
    tenacity = require("tenacity", None, "embed_with_retries")
    return tenacity.retry(**retry_kwargs)(function.__call__)  # type: ignore[no-any-return]


def is_persistable(function: object) -> bool:
    """Whether `function` can be stored with a collection by name and configuration."""
    return isinstance(function, EmbeddingFunction) and not function.is_legacy()


def check_signature(function: object) -> None:
    """Raise unless the parameters of `function.__call__` are exactly `(self, input)`.

    Callers pass the argument by name, so a different name would fail at the first write.
    """
    if isinstance(function, type) or not callable(function):
        raise InvalidArgumentError(
            f"`embedding_function` must be an object with `__call__(self, input)`, got {shown(function)}"
            + (". Pass an instance: call the class." if isinstance(function, type) else ".")
        )
    plain = inspect.isroutine(function)  # a function has no `self`
    names = tuple(inspect.signature(function if plain else type(function).__call__).parameters)
    if names != (("input",) if plain else ("self", "input")):
        raise InvalidArgumentError(
            f"Expected EmbeddingFunction.__call__ to have the following signature: ('self', 'input'), "
            f"got {names} from {type(function).__name__}. Rename the parameter to `input` and give it "
            "no siblings; settings belong in `__init__`."
        )


def normalise(result: Any, expected: int | None, source: str) -> Vectors:
    """Convert the `result` of an embedding function to a list of float32 vectors (views of one array).

    expected  the expected number of vectors; None: any number except zero
    source    the function's name, for messages
    Raises InvalidArgumentError unless the result is a rectangular, finite, numeric, non-empty block.
    """
    import numpy as np  # imported at the first embedding, not by `import chroma`

    def refuse(what: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"The embedding function {source} must return one non-empty vector of finite numbers per "
            f"input, all of one length: {what}."
        )

    try:
        block = np.asarray(unwrapped(result, expected))
    except Exception as error:  # of numpy, or of the library whose tensors these are
        raise refuse(f"its result is not rectangular, or numpy cannot read it ({error})") from error
    if block.dtype.kind not in "fiu":
        raise refuse(f"its result has dtype {block.dtype}, value {shown(result)}")
    if block.ndim != 2 or 0 in block.shape:
        raise refuse(f"its result has shape {block.shape}")
    if expected is not None and len(block) != expected:
        raise refuse(f"it returned {len(block)} vectors for {expected} inputs")
    with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes inf, refused below
        block = np.ascontiguousarray(block, dtype=np.float32)
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise refuse(f"vector {int(np.argmin(finite))} holds NaN or infinity")
    return list(block)


def unwrapped(result: Any, expected: int | None) -> Any:
    """Return the result of an embedding function as one vector per input.

    Functions return generators and other iterables, one flat vector for one input, and vectors that are
    nested once more. Anything else is returned unchanged; the caller checks it.
    """
    result = _listed(result)
    if isinstance(result, (list, tuple)):
        result = [_listed(item) for item in result]
        if result and all(_nested(item) for item in result):
            result = [item[0] for item in result]
    elif len(getattr(result, "shape", ())) == 3 and result.shape[1] == 1:
        result = result[:, 0]
    flat = len(getattr(result, "shape", ())) == 1 or (
        isinstance(result, list) and bool(result) and all(map(_is_number, result))
    )
    return [result] if flat and expected == 1 else result


def _listed(value: Any) -> Any:
    """Convert an iterable to a list, unless it is a sequence or an array."""
    sized = isinstance(value, (list, tuple, str, bytes, Mapping)) or hasattr(value, "shape")
    if sized or hasattr(value, "__array__") or not isinstance(value, Iterable):
        return value
    return list(value)


def _nested(item: Any) -> bool:
    """Whether an item is a list of one vector instead of a vector."""
    if hasattr(item, "shape"):
        return len(item.shape) == 2 and item.shape[0] == 1
    return isinstance(item, (list, tuple)) and len(item) == 1 and not _is_number(item[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or getattr(value, "shape", None) == ()


def _normalised(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        given = kwargs["input"] if "input" in kwargs else next(iter(args), None)
        sized = isinstance(given, (list, tuple)) or (hasattr(given, "shape") and hasattr(given, "__len__"))
        return normalise(result, len(given) if sized and given is not None else None, type(self).__name__)

    return call


def config_mapping(config: object) -> Mapping[str, Any]:
    """Return `config`. Raises InvalidArgumentError unless it is a mapping with string keys."""
    if isinstance(config, Mapping) and all(isinstance(key, str) for key in config):
        return config
    raise InvalidArgumentError(
        f"The configuration of an embedding function must be a dict with string keys, got {shown(config)}."
    )
