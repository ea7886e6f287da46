"""The schema of a function's stored configuration: its keys, the required keys, the fixed keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from ...errors import InvalidArgumentError, InvalidTypeError

TEXT: tuple[type, ...] = (str,)
MAYBE_TEXT: tuple[type, ...] = (str, NoneType)
MAYBE_INT: tuple[type, ...] = (int, NoneType)
MAYBE_BOOL: tuple[type, ...] = (bool, NoneType)
MAYBE_DICT: tuple[type, ...] = (dict, NoneType)


@dataclass(frozen=True, slots=True)
class Form:
    """The schema of one function's configuration.

    name    the name of the function
    types   the allowed types of each key
    needed  keys that a configuration must have
    fixed   keys that determine the vectors, so a collection cannot change them
    """

    name: str
    types: Mapping[str, tuple[type, ...]]
    needed: tuple[str, ...]
    fixed: tuple[str, ...]

    def check(self, config: Mapping[str, Any]) -> None:
        """Raise InvalidArgumentError for unknown or missing keys, InvalidTypeError for wrong types."""
        what = f"the configuration of the embedding function {self.name!r}"
        if unknown := sorted(set(config) - set(self.types)):
            raise InvalidArgumentError(f"Unknown keys {unknown} in {what}; it has {', '.join(self.types)}.")
        if missing := [key for key in self.needed if config.get(key) is None]:
            raise InvalidArgumentError(f"Missing keys {missing} in {what}.")
        for key, value in config.items():
            expected = self.types[key]
            if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
                names = " or ".join("null" if kind is NoneType else kind.__name__ for kind in expected)
                raise InvalidTypeError(f"{key!r} in {what} must be {names}, got {type(value).__name__}.")

    def check_update(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Raise InvalidArgumentError if vectors of `new` cannot be compared with vectors of `old`."""
        for key in self.fixed:
            if old.get(key) != new.get(key):
                raise InvalidArgumentError(
                    f"The embedding function {self.name!r} cannot be changed from {key}={old.get(key)!r} to "
                    f"{new.get(key)!r}: new vectors would not be comparable with the stored ones. Create a "
                    "collection for them and embed its texts again."
                )
