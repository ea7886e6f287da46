"""Authenticates and authorizes requests, by their headers and path, before a body is read.

The credentials are a single token, or come from a file that is read again when it changes. A request that
the caller is not allowed to make gets 403, whether or not its target exists. Without valid credentials,
every route except the open ones returns 401.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from ...errors import AuthorizationError, ChromaAuthError, ChromaError, InvalidArgumentError
from ...requests.scope import Identity
from ..http.responses import error_answer
from ..observability import request_context
from ..settings.server_settings import ServerSettings
from .credentials_file import EVERYTHING, LONGEST_PASSWORD, ROLES, Entry, hash_token, read_entries
from .guests import Guests
from .password_checks import Passwords

_log = logging.getLogger("chroma.server")

# The permission that a route requires:
# none   no credentials
# known  any valid credentials
# read, write, admin  at least this role, for the tenant and database in the path. If the path has no
#        tenant, the caller must have access to everything
Need = Literal["none", "known", "read", "write", "admin"]

CONSOLE_HEADER = "x-chroma-console"  # the console's requests have it

_CHECK_SECONDS = 1.0  # the least time between checks whether the file has changed


class Unauthenticated(ChromaAuthError):
    """Credentials are missing or wrong. `challenges` lists the schemes that the server accepts."""

    status = 401

    def __init__(self, message: str, challenges: tuple[str, ...]) -> None:
        super().__init__(message)
        self.challenges = challenges

    def message(self) -> str:
        """The message. It contains nothing that the client sent."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request."""

    name: str
    role: str
    access: tuple[str, ...]

    @property
    def everywhere(self) -> bool:
        """Whether the caller has access to all tenants."""
        return EVERYTHING in self.access

    def databases(self, tenant: str) -> frozenset[str] | None:
        """The databases of a tenant that the caller has access to; None for all."""
        inside = {text.rpartition("/")[2] for text in self.access if text.rpartition("/")[0] == tenant}
        return None if self.everywhere or EVERYTHING in inside else frozenset(inside)

    def refusal(self, needs: Need, tenant: str | None, database: str | None) -> str | None:
        """The reason why the caller lacks the permission `needs` for a tenant and database, or None."""
        if needs in ("none", "known"):
            return None
        if ROLES.index(self.role) < ROLES.index(needs):
            return f"{self.name!r} has the role {self.role}, and this needs the role {needs}"
        if self.everywhere:
            return None
        if tenant is None:
            return f"{self.name!r} is bound to {', '.join(self.access)}, and this concerns the whole server"
        open_ones = self.databases(tenant)
        if open_ones is None or (database in open_ones if database is not None else bool(open_ones)):
            return None
        where = tenant if database is None else f"{tenant}/{database}"
        return f"{self.name!r} is bound to {', '.join(self.access)}, and not to {where!r:.200}"

    def identity(self) -> Identity:
        """The caller's identity, as clients request it. "*" stands for several tenants or databases, from
        which the client must choose."""
        tenants = {text.rpartition("/")[0] for text in self.access}
        attributes = {"role": self.role, "access": list(self.access)}
        if self.everywhere or len(tenants) != 1:
            return Identity(self.name, EVERYTHING, [EVERYTHING], attributes)
        (tenant,) = tenants
        inside = self.databases(tenant)
        return Identity(self.name, tenant, [EVERYTHING] if inside is None else sorted(inside), attributes)


EVERYBODY = Caller("", "admin", (EVERYTHING,))  # the caller of all requests without authentication


@dataclass(frozen=True, slots=True)
class _Table:
    """The credentials, indexed for look-up by requests."""

    tokens: Mapping[str, Entry] = field(default_factory=dict)  # by hash
    users: Mapping[str, Entry] = field(default_factory=dict)  # by name

    @staticmethod
    def of(entries: list[Entry]) -> _Table:
        return _Table(
            {entry.secret: entry for entry in entries if entry.kind == "token"},
            {entry.name: entry for entry in entries if entry.kind == "basic"},
        )


class _Source:
    """The credentials in use. If the file becomes unreadable or invalid, the previous ones stay in use."""

    def __init__(self, path: Path | None, entries: list[Entry] | None = None) -> None:
        self._path = path
        self._file_version = (
            self._look()
        )  # taken before reading, so that a change meanwhile is detected later
        self._table = _Table.of(read_entries(path) if path is not None else entries or [])
        self._next = time.monotonic() + _CHECK_SECONDS

    def table(self, now: bool = False) -> _Table:
        if self._path is not None and (now or time.monotonic() >= self._next):
            self._next = time.monotonic() + _CHECK_SECONDS
            file_version = self._look()
            if now or file_version != self._file_version:
                self._file_version = file_version
                self._read(self._path)
        return self._table

    def _read(self, path: Path) -> None:
        try:
            entries = read_entries(path)
        except ChromaError as error:
            _log.error(
                "the credentials are not renewed, those read before stay in force: %s", error.message()
            )
            return
        self._table = _Table.of(entries)
        _log.info("read %s credentials from %s", len(entries), path)

    def _look(self) -> tuple[int, ...]:
        """The version of the file, which changes with the file. It includes the mode, which decides whether
        the file is accepted."""
        if self._path is None:
            return ()
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_mode


class Guard:
    """Admits or rejects requests. The constructor raises the errors of reading the credentials."""

    def __init__(self, settings: ServerSettings, guests: Guests | None = None) -> None:
        """`guests` are the only callers, if there are any."""
        self._source: _Source | None = None
        if guests is not None:
            self._source = _Source(None, [guests.entry])
        elif settings.auth_file:
            self._source = _Source(Path(settings.auth_file))
        elif settings.auth_token:
            secret = hash_token(settings.auth_token.encode())
            self._source = _Source(None, [Entry("anonymous", "token", "admin", (EVERYTHING,), secret)])
        self._header = settings.auth_token_header.lower()
        self._passwords = Passwords() if settings.auth_file and guests is None else None

    @property
    def reloads(self) -> bool:
        """Whether the credentials come from a file, which can be read again."""
        return self._passwords is not None

    def reload(self) -> None:
        """Read the file now. If it cannot be used, that is logged, and the credentials stay the same."""
        if self._source is not None:
            self._source.table(now=True)

    async def admit(self, request: Request, needs: Need) -> Caller:
        """The caller of a request, if allowed to make it.

        Raises Unauthenticated (401) or AuthorizationError (403).
        """
        if self._source is None or needs == "none":
            return EVERYBODY
        table = self._source.table()
        entry = await self._entry(request, table)
        if entry is None or entry.expired:
            challenges: tuple[str, ...] = ('Bearer realm="chroma"',)
            if CONSOLE_HEADER in request.headers:
                challenges = ()  # the browser would ask for a password itself, instead of the console
            elif table.users:
                challenges += ('Basic realm="chroma", charset="UTF-8"',)
            _log.warning(
                "wrong or missing credentials from %s", request.client.host if request.client else "?"
            )
            raise Unauthenticated(
                "the credentials are missing, wrong or expired: send a token as `Authorization: Bearer …` or "
                "`X-Chroma-Token: …`, or a user and password by basic authentication",
                challenges,
            )
        caller = Caller(entry.name, entry.role, entry.access)
        request.scope[request_context.KEY].caller = caller.name
        refusal = caller.refusal(needs, _part(request, "tenant"), _part(request, "database"))
        if refusal is not None:
            raise AuthorizationError(refusal)
        return caller

    async def _entry(self, request: Request, table: _Table) -> Entry | None:
        """The entry that matches the request's credentials; None if there is none."""
        tokens, others = request.headers.getlist("x-chroma-token"), request.headers.getlist("authorization")
        if tokens and self._header != "authorization":
            return _by_token(table, tokens[0]) if len(tokens) == 1 else None
        if len(others) != 1:
            return None
        scheme, _, sent = others[0].partition(" ")
        if scheme.lower() == "bearer" and self._header != "x-chroma-token":
            return _by_token(table, sent.strip(" \t"))
        if scheme.lower() == "basic" and table.users and self._passwords is not None:
            name, password = _decoded(sent)
            entry = table.users.get(name)
            right = await self._passwords.check(entry, name, password, request.scope.get("client"))
            return entry if right else None
        return None


def _by_token(table: _Table, token: str) -> Entry | None:
    hashed = hash_token(token.encode("latin-1"))
    entry = table.tokens.get(hashed)  # looked up by hash, so that the timing reveals nothing about tokens
    return entry if entry is not None and hmac.compare_digest(entry.secret, hashed) else None


def _decoded(sent: str) -> tuple[str, bytes]:
    """The user and password from a basic authentication header. If the header cannot be decoded, returns a
    user name that no credential can have."""
    try:
        name, colon, password = base64.b64decode(sent.strip(" \t"), validate=True).partition(b":")
        if colon and len(password) <= LONGEST_PASSWORD:
            return name.decode(), password
    except (binascii.Error, ValueError):
        return "", b""
    return "", b""


def _part(request: Request, name: str) -> str | None:
    encoded = request.path_params.get(name)
    if encoded is None:
        return None
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"the {name} in the path is not valid UTF-8") from None


def refusal(error: Exception) -> Response:
    """The response for an error. For Unauthenticated, it lists the schemes that the server accepts."""
    response = error_answer(error)
    for challenge in getattr(error, "challenges", ()):
        response.headers.append("WWW-Authenticate", challenge)
    return response
