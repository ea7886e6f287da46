"""Packages that only some functions need: found, or asked for by the name of their extra."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ..errors import InvalidArgumentError


def require(package: str, extra: str, source: str, distribution: str | None = None) -> Any:
    """The module `package`. Raises InvalidArgumentError that says how to install it.

    distribution  what to install for it, where that is called otherwise
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise  # it is there, and lacks something itself: that is another message
        raise InvalidArgumentError(
            f"{source} needs a package that is not installed: pip install 'chroma-arrow[{extra}]' "
            f"(or: pip install {distribution or package.replace('_', '-')})."
        ) from None


def is_plain(value: object) -> bool:
    """Whether `value` is JSON data, and can be stored in a configuration."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(is_plain(inner) for inner in value)
    return value is None or isinstance(value, (str, bool, int, float))


def require_arrow() -> None:
    """Raise InvalidArgumentError where the client is installed without what tables need."""
    for package in ("pyarrow", "orjson"):
        if importlib.util.find_spec(package) is None:
            raise InvalidArgumentError(
                f"tables and SQL need the package {package}, which is not installed: "
                "pip install 'chroma-arrow-client[arrow]'"
            )
