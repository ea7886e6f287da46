"""Read JSON objects from files, field by field.

Owns: the check that each field has the type and range that its reader relies on. A wrong field raises
Corruption with the file and the field, even if the checksum is correct.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..interface.errors import Corruption
from .file_names import Kind, json_shown

LARGEST = (1 << 62) - 1  # the largest number; larger numbers could overflow 64 bits when added to
_MISSING = object()


def parsed(path: str, data: bytes | memoryview, at: str = "") -> Fields:
    """Parse a JSON object from these bytes of a file."""
    try:
        return Fields(path, orjson.loads(data), at)
    except orjson.JSONDecodeError as error:
        raise Corruption(path, f"{at or 'its content'} is not JSON: {error}") from None


class Fields:
    """A JSON object in a file.

    path  the path of the file
    at    the place of the object in the file, for messages; "" for the whole file
    """

    __slots__ = ("_at", "_data", "path")

    def __init__(self, path: str, data: Any, at: str = "") -> None:
        self.path, self._at = path, at
        if type(data) is not dict:
            raise Corruption(path, f"{at or 'its content'} is {json_shown(data)}, not an object")
        self._data: dict[str, Any] = data

    def wrong(self, key: str, what: str) -> Corruption:
        return Corruption(self.path, f"{self._at}{'.' if self._at else ''}{key} {what}")

    def _get(self, key: str, default: Any = _MISSING) -> Any:
        value = self._data.get(key, default)
        if value is _MISSING:
            raise self.wrong(key, "is missing")
        return value

    def keys(self) -> set[str]:
        return set(self._data)

    def number(self, key: str, least: int = 0, most: int = LARGEST, default: Any = _MISSING) -> int:
        value = self._get(key, default)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"is {json_shown(value)}, not a whole number from {least} to {most}")
        return value

    def maybe_number(self, key: str, least: int, most: int = LARGEST, default: Any = _MISSING) -> int | None:
        return None if self._get(key, default) is None else self.number(key, least, most)

    def real(self, key: str, least: float, most: float) -> float:
        value = self._get(key)
        if type(value) not in (int, float) or not least <= value <= most:  # NaN is refused too
            raise self.wrong(key, f"is {json_shown(value)}, not a number from {least} to {most}")
        return float(value)

    def text(self, key: str) -> str:
        value = self._get(key)
        if type(value) is not str:
            raise self.wrong(key, f"is {json_shown(value)}, not a text")
        return value

    def maybe_text(self, key: str) -> str | None:
        return None if self._get(key) is None else self.text(key)

    def name(self, key: str, kind: Kind) -> str:
        field = f"{self._at}{'.' if self._at else ''}{key}"
        return kind.checked(self._get(key), self.path, field)

    def one_of(self, key: str, values: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in values:
            raise self.wrong(key, f"is {json_shown(value)}, not one of {', '.join(values)}")
        return value

    def items(self, key: str) -> list[Any]:
        value = self._get(key)
        if type(value) is not list:
            raise self.wrong(key, f"is {json_shown(value)}, not a list")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object without checking its fields."""
        value = self._get(key)
        if type(value) is not dict:
            raise self.wrong(key, f"is {json_shown(value)}, not an object")
        return value

    def fields(self, key: str) -> Fields:
        return Fields(self.path, self._get(key), f"{self._at}{'.' if self._at else ''}{key}")

    def maybe_fields(self, key: str) -> Fields | None:
        """Return an object, or None if the field is missing or null."""
        return None if self._get(key, None) is None else self.fields(key)

    def each(self, key: str, default: Any = _MISSING) -> list[Fields]:
        """Return a list of objects. A missing field is `default`, if that is given."""
        if default is not _MISSING and key not in self._data:
            return list(default)
        at = f"{self._at}{'.' if self._at else ''}{key}"
        return [Fields(self.path, item, f"{at}[{index}]") for index, item in enumerate(self.items(key))]
