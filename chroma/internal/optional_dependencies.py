"""Imports optional packages. The error for a missing package names the extra that installs it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from typing import Any

from ..errors import InvalidArgumentError
from .telemetry_opt_out import opt_out


def require(package: str, extra: str | None, source: str, distribution: str | None = None) -> Any:
    """Import the module `package`. Raises InvalidArgumentError, with the install command, if it is missing.

    extra         the extra of chroma-arrow that installs it; None: there is none
    distribution  the name of the distribution, if it differs from that of the package
    """
    opt_out()
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != package.partition(".")[0]:
            raise  # the package exists but one of its own imports is missing
        command = f"pip install {distribution or package.replace('_', '-')}"
        if extra is not None:
            command = f"{installing(extra)} (or: {command})"
        raise InvalidArgumentError(f"{source} needs a package that is not installed: {command}.") from None


def installed(package: str) -> bool:
    """Whether `require` would find the module `package`. Imports nothing."""
    return importlib.util.find_spec(package) is not None


def installing(extra: str) -> str:
    """Return the command that installs an extra. In a checkout, it installs the extra from there."""
    command = f"pip install 'chroma-arrow[{extra}]'"
    checkout = _checkout()
    return command if checkout is None else f"{command}, from the checkout pip install '{checkout}[{extra}]'"


def _checkout() -> str | None:
    """Return the folder that this package was installed from. None if it came from an index."""
    from importlib import metadata
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        origin = metadata.distribution("chroma-arrow").read_text("direct_url.json")
        path = url2pathname(urlsplit(json.loads(origin or "{}").get("url", "")).path)
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return path if path and os.path.isfile(os.path.join(path, "pyproject.toml")) else None


def is_plain(value: object) -> bool:
    """Whether `value` is JSON data that a configuration can store."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(is_plain(inner) for inner in value)
    return value is None or isinstance(value, (str, bool, int, float))


def require_arrow() -> None:
    """Raise InvalidArgumentError if the client is installed without the packages that tables need."""
    for package in ("pyarrow", "orjson"):
        if importlib.util.find_spec(package) is None:
            raise InvalidArgumentError(
                f"tables and SQL need the package {package}, which is not installed: "
                "pip install 'chroma-arrow-client[arrow]'"
            )
