"""What an embedding function is, and the checks on what it is given and returns.

Owns: the base class `EmbeddingFunction`, the shape check on `__call__`, and the one
normalisation of results to float32 vectors. Knows no model and no registry.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from ...errors import InvalidArgumentError
from ...storage.interface.short_repr import shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors: TypeAlias = list[npt.NDArray[np.float32]]

Space: TypeAlias = Literal["cosine", "l2", "ip"]
D = TypeVar("D", contravariant=True)

_HOOKS = ("name", "get_config", "build_from_config")


class EmbeddingFunction(Generic[D]):
    """Turns inputs (texts, or images) into vectors.

    A subclass defines `__call__(self, input)`; its result may be any nested sequence or
    array of numbers and reaches callers as a list of float32 vectors of one length, one
    per input. To be stored with a collection and found again when it is reopened, a
    subclass also defines `name`, `get_config` and `build_from_config` and is registered
    (creating a collection with it is enough). Without these three it still works, but has
    to be passed again to `get_collection`.

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
        """Embed `input`; one float32 vector per item."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(self, input)`")

    def embed_query(self, input: D) -> Vectors:
        """Embed queries. The same as `__call__` unless the model treats queries differently."""
        return self(input)

    @staticmethod
    def name() -> str:
        """The name the function is stored and registered under."""
        raise NotImplementedError("the embedding function defines no `name()`")

    def get_config(self) -> dict[str, Any]:
        """Plain JSON data from which `build_from_config` makes an equal function. No secrets."""
        raise NotImplementedError(f"{type(self).__name__} defines no `get_config()`")

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction[Any]:
        """The inverse of `get_config`."""
        raise NotImplementedError("the embedding function defines no `build_from_config(config)`")

    def default_space(self) -> Space:
        """The distance a collection uses when it names none. "l2" by default."""
        return "l2"

    def supported_spaces(self) -> list[Space]:
        """The distances that make sense for these vectors; all three by default."""
        return ["cosine", "l2", "ip"]

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise ValueError if `config` cannot be built from. Accepts everything by default."""

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise ValueError if a collection may not go from `old_config` to `new_config`."""

    def is_legacy(self) -> bool:
        """True if the function cannot be stored: one of `name`, `get_config` and
        `build_from_config` is missing."""
        return any(getattr(type(self), hook) is getattr(EmbeddingFunction, hook) for hook in _HOOKS)


def is_persistable(function: object) -> bool:
    """Whether `function` can be stored with a collection by name and configuration."""
    return isinstance(function, EmbeddingFunction) and not function.is_legacy()


def check_signature(function: object) -> None:
    """Raise unless the parameters of `function.__call__` are exactly `(self, input)`.

    Callers pass the argument by that name, so a wrong one would fail at the first write.
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
    """`result` of an embedding function as a list of float32 vectors (views of one array).

    expected  how many vectors are wanted; None: any number but zero
    source    the function's name, for messages
    Raises InvalidArgumentError for anything but a rectangular, finite, numeric, non-empty block.
    """
    import numpy as np  # loaded at the first embedding, not by `import chroma`

    def refuse(what: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"The embedding function {source} must return one non-empty vector of finite numbers per "
            f"input, all of one length: {what}."
        )

    try:
        block = np.asarray(result)
    except (ValueError, TypeError) as error:
        raise refuse(f"its result is not rectangular ({error})") from error
    if block.dtype.kind not in "fiu":
        raise refuse(f"its result has dtype {block.dtype}, value {shown(result)}")
    if block.ndim != 2 or 0 in block.shape:
        raise refuse(f"its result has shape {block.shape}")
    if expected is not None and len(block) != expected:
        raise refuse(f"it returned {len(block)} vectors for {expected} inputs")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is refused below
        block = np.ascontiguousarray(block, dtype=np.float32)
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise refuse(f"vector {int(np.argmin(finite))} holds NaN or infinity")
    return list(block)


def _normalised(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        given = kwargs["input"] if "input" in kwargs else next(iter(args), None)
        sized = isinstance(given, (list, tuple)) or (hasattr(given, "shape") and hasattr(given, "__len__"))
        return normalise(result, len(given) if sized and given is not None else None, type(self).__name__)

    return call


def config_mapping(config: object) -> Mapping[str, Any]:
    """`config` if it is a mapping with string keys, else InvalidArgumentError."""
    if isinstance(config, Mapping) and all(isinstance(key, str) for key in config):
        return config
    raise InvalidArgumentError(
        f"The configuration of an embedding function must be a dict with string keys, got {shown(config)}."
    )
