"""All errors that the package raises deliberately.

    ChromaError
    ├── InvalidArgumentError          the input cannot be used (also a ValueError)
    │   ├── InvalidTypeError          ... because of its type (also a TypeError)
    │   ├── UnmatchedKeyError         a change by filter names a key that no record has
    │   ├── DuplicateIDError          an id occurs twice in one call
    │   ├── InvalidDimensionException a vector has the wrong length
    │   └── InvalidUUIDError          not a UUID
    ├── NotFoundError                 tenant, database or collection does not exist
    ├── InternalError                 the engine failed
    │   └── UniqueConstraintError     a name is taken
    ├── IDAlreadyExistsError          strict add of an id that is stored
    ├── AuthorizationError            the caller is known, the call is forbidden
    ├── ChromaAuthError               the caller is unknown
    ├── BatchSizeExceededError        more records than the server accepts in one call
    ├── InvalidHTTPVersion            the server uses a different version of HTTP
    ├── RateLimitError                too many calls (hosted servers)
    ├── QuotaError                    too much data (hosted servers)
    ├── VersionMismatchError          client and server are incompatible
    ├── ServerConnectionError         no server, or a lost connection (also a ConnectionError, ValueError)
    ├── ServerTimeoutError            the server did not answer in time (also a TimeoutError)
    ├── UnsupportedError              not supported here (also a NotImplementedError)
    ├── ClosedError                   the client was closed
    ├── ReadOnlyError                 the folder cannot be written
    ├── WriteFailedError              the system refused a write or a sync (also an OSError)
    ├── CorruptionError               a file is damaged; `path` and `offset` say where
    ├── FormatTooNewError             written by a later version of the format
    └── NotADatabaseError             the path is a file, or a folder of another program

Reads that name such a key give a warning, UnmatchedKeyWarning (a UserWarning).

Each class defines its wire name and its HTTP status, so that server and client share one
table. Every class in `storage/interface/errors.py` has a counterpart here.
"""

from __future__ import annotations

from typing import ClassVar

from .storage.interface.short_repr import printable
from .storage.interface.unmatched import UnmatchedKeyWarning as UnmatchedKeyWarning


class ChromaError(Exception):
    """Base class of all errors of this package."""

    wire_name: ClassVar[str] = "ChromaError"
    status: ClassVar[int] = 400
    trace_id: str | None = None
    durable_rows: int | None = None
    method: str | None = None  # the method whose name the text begins with

    def code(self) -> int:
        """Return the error's numeric code: the HTTP status, unless the class overrides it."""
        return self.status

    def message(self) -> str:
        """Return the error text without the class name."""
        return printable(", ".join(str(part) for part in self.args))

    def __str__(self) -> str:
        return printable(super().__str__())

    @classmethod
    def name(cls) -> str:
        """Return the name of the error in the wire protocol."""
        return cls.wire_name


class InvalidArgumentError(ChromaError, ValueError):
    """The input cannot be used. The message names the argument, the value and the remedy."""

    wire_name = "InvalidArgumentError"


class InvalidTypeError(InvalidArgumentError, TypeError):
    """The input has the wrong type."""


class UnmatchedKeyError(InvalidArgumentError):
    """No record can match a condition of the filter that selects the records to change.

    It names a key that no record has, or compares a key with values of a type that it never has.
    `missing_ok=True` makes the change all the same.
    """


class DuplicateIDError(InvalidArgumentError):
    """An id occurs more than once in one call."""

    wire_name = "DuplicateID"


class InvalidDimensionException(InvalidArgumentError):
    """A vector has the wrong length."""

    wire_name = "InvalidDimension"


class InvalidUUIDError(InvalidArgumentError):
    """The text is not a UUID."""

    wire_name = "InvalidUUID"


class NotFoundError(ChromaError):
    """A tenant, database or collection does not exist."""

    wire_name = "NotFoundError"
    status = 404


class InternalError(ChromaError):
    """The engine failed."""

    wire_name = "InternalError"
    status = 500


class UniqueConstraintError(InternalError):
    """A tenant, database or collection with this name already exists.

    Derives from InternalError because programs written for Chroma catch InternalError.
    """

    wire_name = "UniqueConstraintError"
    status = 409


class IDAlreadyExistsError(ChromaError):
    """A strict `add` contained an id that the collection already has."""

    wire_name = "IDAlreadyExists"
    status = 409


class AuthorizationError(ChromaError):
    """The call is not allowed."""

    wire_name = "AuthorizationError"
    status = 403

    def code(self) -> int:
        """Return 401, which existing programs compare with, although the server's HTTP status is 403."""
        return 401


class ChromaAuthError(ChromaError):
    """The server does not recognize the caller's credentials."""

    wire_name = "AuthError"
    status = 403

    def message(self) -> str:
        """Return `Forbidden` in every case, so that the caller does not learn the reason."""
        return "Forbidden"


class BatchSizeExceededError(ChromaError):
    """The call has more records than the server accepts in one call."""

    wire_name = "BatchSizeExceededError"
    status = 413


class InvalidHTTPVersion(ChromaError):
    """The server uses a different version of HTTP."""

    wire_name = "InvalidHTTPVersion"


class RateLimitError(ChromaError):
    """The caller made too many calls in a short time."""

    wire_name = "RateLimitError"
    status = 429


class QuotaError(ChromaError):
    """The account's limit on stored data is exceeded."""

    wire_name = "QuotaError"


class VersionMismatchError(ChromaError):
    """The versions of client and server are incompatible."""

    wire_name = "VersionMismatchError"
    status = 500


class ServerConnectionError(ChromaError, ConnectionError, ValueError):
    """Nothing answers at the address, the answer is not a Chroma server's, or the connection broke.

    Derives from ValueError because programs written for Chroma catch ValueError when they connect.
    """

    wire_name = "ServerConnectionError"
    status = 503


class ServerTimeoutError(ChromaError, TimeoutError):
    """The server did not answer in time. The call may still take effect."""

    wire_name = "ServerTimeoutError"
    status = 504


class UnsupportedError(ChromaError, NotImplementedError):
    """The call exists in the API but is not supported here."""

    wire_name = "UnsupportedError"
    status = 501


class ClosedError(ChromaError):
    """The client is closed. Open a new client."""

    wire_name = "ClosedError"
    status = 503


class ReadOnlyError(ChromaError):
    """The folder cannot be written."""

    wire_name = "ReadOnlyError"
    status = 403


class WriteFailedError(ChromaError, OSError):
    """The operating system refused a write or a sync. The call stored nothing, unless the message
    says that this is uncertain."""

    wire_name = "WriteFailedError"
    status = 507


class CorruptionError(ChromaError):
    """A file is damaged. `path` is its path; `offset` is the byte position of the damage, if known."""

    wire_name = "CorruptionError"
    status = 500

    def __init__(self, message: str, path: str | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset


class FormatTooNewError(ChromaError):
    """The folder was written by a later version of the format."""

    wire_name = "FormatTooNewError"
    status = 500


class NotADatabaseError(ChromaError):
    """The path is a file, or a folder of another program."""

    wire_name = "NotADatabaseError"
