"""Who asks, and whether they may: decided from the headers and the path, before a body is read.

Credentials come from a file that is read again when it changes, or are one token. What a caller
may not do is refused with 403 whether or not the thing exists; without valid credentials every
answer but the open ones is 401.
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
from .password_checks import Passwords

_log = logging.getLogger("chroma.server")

# none   open to everybody
# known  whoever has valid credentials
# read, write, admin  a role of that level, for the tenant and database of the path;
#        admin without a tenant in the path: an admin of everything
Need = Literal["none", "known", "read", "write", "admin"]

_CHECK_SECONDS = 1.0  # the file is looked at this often at most


class Unauthenticated(ChromaAuthError):
    """Credentials are missing or wrong; `challenges` says which there are."""

    status = 401

    def __init__(self, message: str, challenges: tuple[str, ...]) -> None:
        super().__init__(message)
        self.challenges = challenges

    def message(self) -> str:
        """What is wrong, without anything of what was sent."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    name: str
    role: str
    access: tuple[str, ...]

    @property
    def everywhere(self) -> bool:
        """Whether no tenant is closed to the caller."""
        return EVERYTHING in self.access

    def databases(self, tenant: str) -> frozenset[str] | None:
        """The databases of a tenant that are open to the caller; None for all."""
        inside = {text.rpartition("/")[2] for text in self.access if text.rpartition("/")[0] == tenant}
        return None if self.everywhere or EVERYTHING in inside else frozenset(inside)

    def refusal(self, needs: Need, tenant: str | None, database: str | None) -> str | None:
        """Why the caller may not do something there; None if they may."""
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
        """The caller as clients ask for it; "*" where they have to choose."""
        tenants = {text.rpartition("/")[0] for text in self.access}
        attributes = {"role": self.role, "access": list(self.access)}
        if self.everywhere or len(tenants) != 1:
            return Identity(self.name, EVERYTHING, [EVERYTHING], attributes)
        (tenant,) = tenants
        inside = self.databases(tenant)
        return Identity(self.name, tenant, [EVERYTHING] if inside is None else sorted(inside), attributes)


EVERYBODY = Caller("", "admin", (EVERYTHING,))  # where there is no authentication


@dataclass(frozen=True, slots=True)
class _Table:
    """Entries by what requests carry."""

    tokens: Mapping[str, Entry] = field(default_factory=dict)  # by hash
    users: Mapping[str, Entry] = field(default_factory=dict)  # by name

    @staticmethod
    def of(entries: list[Entry]) -> _Table:
        return _Table(
            {entry.secret: entry for entry in entries if entry.kind == "token"},
            {entry.name: entry for entry in entries if entry.kind == "basic"},
        )


class _Source:
    """The entries in use. A file that cannot be read leaves the last good ones in force."""

    def __init__(self, path: Path | None, entries: list[Entry] | None = None) -> None:
        self._path = path
        self._stamp = self._look()  # before reading: a change in between is then seen later
        self._table = _Table.of(read_entries(path) if path is not None else entries or [])
        self._next = time.monotonic() + _CHECK_SECONDS

    def table(self, now: bool = False) -> _Table:
        if self._path is not None and (now or time.monotonic() >= self._next):
            self._next = time.monotonic() + _CHECK_SECONDS
            stamp = self._look()
            if now or stamp != self._stamp:
                self._stamp = stamp
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
        """What changes when the file does; its mode as well, for that decides whether it is read."""
        if self._path is None:
            return ()
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_mode


class Guard:
    """Admits or refuses requests. Raises the errors of reading the credentials when it is made."""

    def __init__(self, settings: ServerSettings) -> None:
        self._source: _Source | None = None
        if settings.auth_file:
            self._source = _Source(Path(settings.auth_file))
        elif settings.auth_token:
            secret = hash_token(settings.auth_token.encode())
            self._source = _Source(None, [Entry("anonymous", "token", "admin", (EVERYTHING,), secret)])
        self._header = settings.auth_token_header.lower()
        self._passwords = Passwords() if settings.auth_file else None

    @property
    def reloads(self) -> bool:
        """Whether there is a file to read again."""
        return self._passwords is not None

    def reload(self) -> None:
        """Read the file now. One that cannot be used changes nothing, and is logged."""
        if self._source is not None:
            self._source.table(now=True)

    async def admit(self, request: Request, needs: Need) -> Caller:
        """The caller of a request for what its path names.

        Raises Unauthenticated (401) or AuthorizationError (403).
        """
        if self._source is None or needs == "none":
            return EVERYBODY
        table = self._source.table()
        entry = await self._entry(request, table)
        if entry is None or entry.expired:
            challenges: tuple[str, ...] = ('Bearer realm="chroma"',)
            if table.users:
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
        """The entry whose secret the request carries."""
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
    entry = table.tokens.get(hashed)  # by hash: how long it takes says nothing about tokens
    return entry if entry is not None and hmac.compare_digest(entry.secret, hashed) else None


def _decoded(sent: str) -> tuple[str, bytes]:
    """User and password of basic authentication; a user nobody can be for what cannot be read."""
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
    """The answer for an error; for Unauthenticated with what the server would accept."""
    response = error_answer(error)
    for challenge in getattr(error, "challenges", ()):
        response.headers.append("WWW-Authenticate", challenge)
    return response
