"""Translates the engine's errors to those of `chroma.errors`."""

from __future__ import annotations

from .. import errors
from ..storage.interface import errors as storage_errors

_COUNTERPARTS: dict[type[storage_errors.StorageError], type[errors.ChromaError]] = {
    storage_errors.InvalidType: errors.InvalidTypeError,
    storage_errors.UnmatchedKey: errors.UnmatchedKeyError,
    storage_errors.InvalidArgument: errors.InvalidArgumentError,
    storage_errors.NotFound: errors.NotFoundError,
    storage_errors.AlreadyExists: errors.UniqueConstraintError,
    storage_errors.Closed: errors.ClosedError,
    storage_errors.ReadOnly: errors.ReadOnlyError,
    storage_errors.WriteFailed: errors.WriteFailedError,
    storage_errors.OutOfMemory: errors.InternalError,
    storage_errors.FormatTooNew: errors.FormatTooNewError,
    storage_errors.NotADatabase: errors.NotADatabaseError,
}


class translated:
    """A context manager that raises the engine's errors as their counterparts in `chroma.errors`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, storage_errors.StorageError):
            __tracebackhide__ = True
            raise counterpart(error) from cause(error)


# The text of such an error says all that is known; the engine's own error would only print it twice.
_TOLD = (
    storage_errors.InvalidArgument,
    storage_errors.NotFound,
    storage_errors.AlreadyExists,
    storage_errors.Closed,
    storage_errors.ReadOnly,
    storage_errors.FormatTooNew,
    storage_errors.NotADatabase,
)


def cause(error: storage_errors.StorageError) -> storage_errors.StorageError | None:
    """The cause to give to the counterpart of an engine error. None for one whose text says all."""
    return None if isinstance(error, _TOLD) else error


def counterpart(error: storage_errors.StorageError) -> Exception:
    """Return the public error for an error of the engine."""
    if isinstance(error, storage_errors.Corruption):
        return errors.CorruptionError(str(error), error.path, error.offset)
    for origin in type(error).__mro__:
        if origin in _COUNTERPARTS:
            return _COUNTERPARTS[origin](str(error))
    return error
