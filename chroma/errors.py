"""Every error the package raises on purpose.

    ChromaError
    ├── InvalidArgumentError          the input cannot be used (also a ValueError)
    │   ├── InvalidTypeError          ... because of its type (also a TypeError)
    │   ├── DuplicateIDError          an id occurs twice in one call
    │   ├── InvalidDimensionException a vector has the wrong length
    │   └── InvalidUUIDError          not a UUID
    ├── NotFoundError                 tenant, database or collection does not exist
    ├── InternalError                 the engine failed
    │   └── UniqueConstraintError     a name is taken
    ├── IDAlreadyExistsError          strict add of an id that is stored
    ├── AuthorizationError            known caller, forbidden call
    ├── ChromaAuthError               unknown caller
    ├── BatchSizeExceededError        more records than a server takes in one call
    ├── InvalidHTTPVersion            a server speaks another version of HTTP
    ├── RateLimitError                too many calls (hosted servers)
    ├── QuotaError                    too much data (hosted servers)
    ├── VersionMismatchError          client and server do not fit
    ├── ServerConnectionError         no server there, or it went away (also a ConnectionError, ValueError)
    ├── ServerTimeoutError            a server did not answer in time (also a TimeoutError)
    ├── UnsupportedError              not offered here (also a NotImplementedError)
    ├── ClosedError                   the client was closed
    ├── ReadOnlyError                 the folder cannot be written
    ├── WriteFailedError              the system refused a write or a sync (also an OSError)
    ├── CorruptionError               a file is damaged; `path` and `offset` say where
    ├── FormatTooNewError             written by a later version of the format
    └── NotADatabaseError             the path is a file, or a folder of another system

Each class owns its wire name and its HTTP status, so that a server and a client share one
table. For every class of `storage/interface/errors.py` there is a counterpart here.
"""

from __future__ import annotations

from typing import ClassVar


class ChromaError(Exception):
    """Base of all errors of this package."""

    wire_name: ClassVar[str] = "ChromaError"
    status: ClassVar[int] = 400
    trace_id: str | None = None
    durable_rows: int | None = None

    def code(self) -> int:
        """The error's numeric code; the HTTP status unless the class says otherwise."""
        return self.status

    def message(self) -> str:
        """The text without the class name."""
        return ", ".join(str(part) for part in self.args)

    @classmethod
    def name(cls) -> str:
        """The name the error has on the wire."""
        return cls.wire_name


class InvalidArgumentError(ChromaError, ValueError):
    """The input cannot be used; the text names the argument, the value and the remedy."""

    wire_name = "InvalidArgumentError"


class InvalidTypeError(InvalidArgumentError, TypeError):
    """The input has the wrong type."""


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
    """A tenant, database or collection of that name exists already.

    Derives from InternalError because programs written for Chroma catch that one.
    """

    wire_name = "UniqueConstraintError"
    status = 409


class IDAlreadyExistsError(ChromaError):
    """A strict `add` met an id that the collection holds."""

    wire_name = "IDAlreadyExists"
    status = 409


class AuthorizationError(ChromaError):
    """The call is not allowed."""

    wire_name = "AuthorizationError"
    status = 403

    def code(self) -> int:
        """401, the number existing programs compare with; a server answers 403."""
        return 401


class ChromaAuthError(ChromaError):
    """The caller is not who a server expects."""

    wire_name = "AuthError"
    status = 403

    def message(self) -> str:
        """Always `Forbidden`: the reason is not told to the caller."""
        return "Forbidden"


class BatchSizeExceededError(ChromaError):
    """More records than a server takes in one call."""

    wire_name = "BatchSizeExceededError"
    status = 413


class InvalidHTTPVersion(ChromaError):
    """A server speaks another version of HTTP."""

    wire_name = "InvalidHTTPVersion"


class RateLimitError(ChromaError):
    """Too many calls in a short time."""

    wire_name = "RateLimitError"
    status = 429


class QuotaError(ChromaError):
    """More data than the account may hold."""

    wire_name = "QuotaError"


class VersionMismatchError(ChromaError):
    """Client and server do not fit together."""

    wire_name = "VersionMismatchError"
    status = 500


class ServerConnectionError(ChromaError, ConnectionError, ValueError):
    """Nothing answers at the address, something else than a server does, or the connection broke.

    A ValueError because programs written for Chroma catch that one when they connect.
    """

    wire_name = "ServerConnectionError"
    status = 503


class ServerTimeoutError(ChromaError, TimeoutError):
    """A server did not answer in time. The call may still take effect."""

    wire_name = "ServerTimeoutError"
    status = 504


class UnsupportedError(ChromaError, NotImplementedError):
    """The call exists in the API but is not offered here."""

    wire_name = "UnsupportedError"
    status = 501


class ClosedError(ChromaError):
    """The client was closed; open a new one."""

    wire_name = "ClosedError"
    status = 503


class ReadOnlyError(ChromaError):
    """The folder cannot be written."""

    wire_name = "ReadOnlyError"
    status = 403


class WriteFailedError(ChromaError, OSError):
    """The operating system refused a write or a sync; nothing of the call was kept."""

    wire_name = "WriteFailedError"
    status = 507


class CorruptionError(ChromaError):
    """A file is damaged. `path` names it; `offset` is the byte position where known."""

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
    """The path is a file, or a folder of another system."""

    wire_name = "NotADatabaseError"
