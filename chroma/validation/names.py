"""Checks names of tenants, databases and collections, identifiers, and paging numbers."""

from __future__ import annotations

import operator
import os
import re
from typing import Any
from uuid import UUID

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from .sequences import check_encodable

_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?")

_RULE = (
    "Expected a name containing 3-512 characters from [a-zA-Z0-9._-], starting and ending with a "
    "character in [a-zA-Z0-9], without '..', and not an IP address"
)


def check_name(name: Any) -> str:
    """Check the name of a collection or a database."""
    if not isinstance(name, str):
        raise InvalidTypeError(f"Validation error: name: Expected a name of type str, got {shown(name)}")
    if not 3 <= len(name) <= 512 or not _NAME.fullmatch(name) or ".." in name or _is_address(name):
        raise InvalidArgumentError(f"Validation error: name: {_RULE}, got {shown(name)}")
    return str.__str__(name)


def _is_address(name: str) -> bool:
    import ipaddress  # the import takes as long as a thousand name checks

    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_tenant_name(name: Any) -> str:
    """Check the name of a tenant: any string of at least three characters."""
    if not isinstance(name, str):
        raise InvalidTypeError(
            f"Validation error: name: Expected a tenant name of type str, got {shown(name)}"
        )
    if len(name) < 3:
        raise InvalidArgumentError(
            f"Validation error: name: Expected a tenant name of at least 3 characters, got {name!r}"
        )
    return check_str(name, "name")


def check_str(value: Any, argument: str) -> str:
    """Check the type of a name that the caller will look up."""
    if not isinstance(value, str):
        raise InvalidTypeError(f"Expected {argument} to be a str, got {shown(value)}")
    check_encodable([value], argument)
    return str.__str__(value)


def check_path(path: Any, argument: str) -> str:
    """Return the path of a folder as a string."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(f"Expected {argument} to be a str or a Path, got {shown(path)}")
    if not str(path):
        raise InvalidArgumentError(f"Expected {argument} to name a folder, got ''")
    return check_system_name(str(os.fspath(path)), argument)


def check_system_name(path: str, argument: str) -> str:
    """Check that the operating system can have a file of that name."""
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise InvalidArgumentError(
            f"Expected {argument} to be a path, got {shown(path)}, which has a character that no path has"
        )
    return path


def check_uuid(id: Any) -> str:
    """Return the canonical text of a UUID."""
    if isinstance(id, UUID):
        return str(id)
    try:
        return str(UUID(id))
    except (ValueError, AttributeError, TypeError):
        raise InvalidArgumentError(f"Expected id to be a UUID, got {shown(id)}") from None


def check_count(value: Any, argument: str) -> int:
    """Check a non-negative int, such as a limit or an offset. numpy ints are accepted."""
    number = check_int(value, argument)
    if number < 0:
        raise InvalidArgumentError(f"Expected {argument} to be zero or positive, got {number}")
    return number


def check_int(value: Any, argument: str) -> int:
    """Check an int of any type except bool."""
    if not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_"):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise InvalidTypeError(f"Expected {argument} to be an int, got {shown(value)}")


def check_optional_count(value: Any, argument: str) -> int | None:
    """Like `check_count`, but accepts None, which means "not given"."""
    return None if value is None else check_count(value, argument)
