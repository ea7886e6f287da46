"""Stand-ins for names of chromadb that this package does not offer.

Invariant: a stand-in can be imported, named in annotations, `isinstance`, `except` and as a base class. Any
use of it raises UnsupportedError, which says why the name is not offered and what to use instead. A use is a
call of a function, an instance of a class or of its subclass, or a look at an attribute of a class.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

from ..errors import ChromaError, UnsupportedError
from .counterparts import REASONS


class StandInError(UnsupportedError, AttributeError):  # type: ignore[misc]  # both have a `name`
    """A name of chromadb that this package does not offer was used.

    Also an AttributeError, so that `hasattr` works on stand-ins.
    """


class _StandIn(ABCMeta):
    """The class of the classes that stand for others."""

    missing: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise StandInError(cls.missing)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise StandInError(f"{cls.missing} (asked for its attribute {name!r})")

    def __getitem__(cls, parameters: Any) -> Any:
        return cls

    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let models of pydantic have optional fields of this type. The type has no instances."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)

    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"title": cls.__name__, "type": "object"}


def stand_in_class(module: str, name: str, reason: str | None = None) -> type:
    return _StandIn(
        name, (), {"__module__": module, "__doc__": (text := _missing(module, name, reason)), "missing": text}
    )


def stand_in_exception(module: str, name: str) -> type:
    """An exception that this package never raises. Programs may catch it, raise it and derive from it."""
    return type(
        name, (ChromaError,), {"__module__": module, "__doc__": f"{module}.{name}: never raised here."}
    )


def stand_in_function(module: str, name: str) -> Any:
    text = _missing(module, name)

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise StandInError(text)

    missing.__name__ = missing.__qualname__ = name
    missing.__module__, missing.__doc__ = module, text
    return missing


def _missing(module: str, name: str, reason: str | None = None) -> str:
    """Return the message: the reason of the longest entry of REASONS that the name starts with."""
    full = f"{module}.{name}"
    if reason is not None:
        return (
            f"{full} is not available: {reason}, which is not installed: install it and import it from there"
        )
    _, why, instead = max(
        (entry for entry in REASONS if full.startswith(entry[0])), key=lambda entry: len(entry[0])
    )
    return f"{full} is not offered: {why}. Instead, {instead}"
