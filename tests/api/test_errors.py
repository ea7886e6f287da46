"""The error classes: one tree, wire names, status codes."""

from __future__ import annotations

import pytest

from chroma import errors

TABLE = [
    ("InvalidArgumentError", "InvalidArgumentError", 400),
    ("NotFoundError", "NotFoundError", 404),
    ("DuplicateIDError", "DuplicateID", 400),
    ("InternalError", "InternalError", 500),
    ("AuthorizationError", "AuthorizationError", 401),
    ("ChromaAuthError", "AuthError", 403),
    ("UniqueConstraintError", "UniqueConstraintError", 409),
    ("InvalidDimensionException", "InvalidDimension", 400),
    ("IDAlreadyExistsError", "IDAlreadyExists", 409),
    ("InvalidUUIDError", "InvalidUUID", 400),
    ("InvalidHTTPVersion", "InvalidHTTPVersion", 400),
    ("BatchSizeExceededError", "BatchSizeExceededError", 413),
    ("RateLimitError", "RateLimitError", 429),
    ("QuotaError", "QuotaError", 400),
    ("VersionMismatchError", "VersionMismatchError", 500),
]


@pytest.mark.parametrize(("name", "wire", "code"), TABLE)
def test_each_class_has_its_wire_name(name: str, wire: str, code: int) -> None:
    cls = getattr(errors, name)
    error = cls() if name == "ChromaAuthError" else cls("what happened")
    assert issubclass(cls, errors.ChromaError)
    assert cls.name() == wire
    assert error.code() == code


def test_a_message_is_kept() -> None:
    error = errors.NotFoundError("no such thing")
    assert (str(error), error.message(), error.trace_id) == ("no such thing", "no such thing", None)


def test_an_auth_error_never_tells_why() -> None:
    assert errors.ChromaAuthError().message() == "Forbidden"


@pytest.mark.parametrize(
    ("name", "builtin"), [("InvalidArgumentError", ValueError), ("InvalidTypeError", TypeError)]
)
def test_input_errors_are_also_the_builtin_ones(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)
    assert issubclass(getattr(errors, name), errors.InvalidArgumentError)


def test_a_taken_name_is_also_an_internal_error() -> None:
    """Edge 11."""
    assert issubclass(errors.UniqueConstraintError, errors.InternalError)
