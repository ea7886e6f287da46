"""The credentials file: its format, the hashes in it, and safe changes to it.

The file is JSON, must be readable by its owner only, and holds only hashes of secrets. Tokens are 256
random bits generated here, hashed with SHA-256. Passwords are hashed with scrypt, each with its own salt.
A change replaces the whole file under a lock, so that readers see either the old file or the new one.

    {"version": 1, "entries": [{"name": "app", "kind": "token", "role": "write",
      "access": ["acme/*"], "secret": "sha256$…", "created": "2026-01-31T12:00:00+00:00",
      "expires": null}]}
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...errors import ChromaError, InvalidArgumentError, NotFoundError, ReadOnlyError, UniqueConstraintError

VERSION = 1
KINDS = ("token", "basic")
ROLES = ("read", "write", "admin")  # each includes the permissions of those before it
EVERYTHING = "*"
PREVIOUS = ".previous"  # the end of the name of an entry that holds the old token of another

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 1024
_LOCK_SECONDS = 10.0

# scrypt with 16 MiB and five passes, which takes about a fifth of a second, once per password and process.
_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 5
_MOST_MEMORY = 1 << 28


@dataclass(frozen=True, slots=True)
class Entry:
    """One credential.

    name    the user name if the kind is "basic"; otherwise only a label for the entry
    kind    one of KINDS
    role    one of ROLES
    access  "*", or "tenant/*" and "tenant/database"
    secret  the hash
    created, expires  ISO 8601; `expires` may be None

    Raises InvalidArgumentError for invalid values. The message does not show the secret.
    """

    name: str
    kind: str
    role: str
    access: tuple[str, ...]
    secret: str = field(repr=False)
    created: str = ""
    expires: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidArgumentError(
                f"the name {self.name!r:.100} is none: expected letters, digits and . _ @ + -, 128 at most"
            )
        for what, value, known in (("kind", self.kind, KINDS), ("role", self.role, ROLES)):
            if value not in known:
                raise InvalidArgumentError(
                    f"{self.name}: the {what} is {value!r:.100}: expected one of {', '.join(known)}"
                )
        if not self.access:
            raise InvalidArgumentError(f"{self.name}: access is empty: expected '*' or 'tenant/database'")
        for text in self.access:
            if text == EVERYTHING:
                continue
            tenant, slash, database = text.rpartition("/") if isinstance(text, str) else ("", "", "")
            wild = tenant == EVERYTHING or (EVERYTHING in database and database != EVERYTHING)
            if not slash or not tenant or not database or wild:
                raise InvalidArgumentError(
                    f"{self.name}: access has {text!r:.200}: expected '*', 'tenant/*' or 'tenant/database'"
                )
            if self.role == "admin" and database != EVERYTHING:
                raise InvalidArgumentError(
                    f"{self.name}: an admin has whole tenants or everything, not the database {database!r}; "
                    "role write may do everything inside a database"
                )
        expected = _is_token_hash if self.kind == "token" else _is_password_hash
        if not isinstance(self.secret, str) or not expected(self.secret):
            raise InvalidArgumentError(
                f"{self.name}: the secret is no hash of a {self.kind} that is known here"
            )
        if not isinstance(self.created, str):
            raise InvalidArgumentError(f"{self.name}: created is {self.created!r:.100}: expected a text")
        if self.expires is not None:
            _seconds(self.expires, self.name)

    @property
    def expired(self) -> bool:
        """Whether the credential has expired."""
        return self.expires is not None and _seconds(self.expires, self.name) <= time.time()


def access_of(tenants: Sequence[str], databases: Sequence[str], default_tenant: str) -> tuple[str, ...]:
    """The access that the options `--tenant` and `--database` grant. Without either, it is everything."""
    if not databases:
        return tuple(f"{tenant}/{EVERYTHING}" for tenant in tenants) or (EVERYTHING,)
    if len(tenants) > 1:
        raise InvalidArgumentError("--database is of one tenant: give --tenant once, or make several entries")
    tenant = tenants[0] if tenants else default_tenant
    return tuple(f"{tenant}/{database}" for database in databases)


# ---------------------------------------------------------------------------- hashes


def new_secret() -> str:
    """A new secret of 256 random bits, as text."""
    return secrets.token_urlsafe(32)


def hash_token(token: bytes) -> str:
    """The hash of a token. It needs no salt or cost, because 256 random bits cannot be guessed."""
    return f"sha256${hashlib.sha256(token).hexdigest()}"


def hash_password(password: bytes) -> str:
    """The hash of a password, with its own salt. Takes about a fifth of a second."""
    salt = os.urandom(16)
    return _joined(salt, _scrypt(password, salt, _COST, _BLOCK, _PARALLEL))


def _joined(salt: bytes, hashed: bytes) -> str:
    parts = (_COST, _BLOCK, _PARALLEL, base64.b64encode(salt).decode(), base64.b64encode(hashed).decode())
    return "scrypt$" + "$".join(map(str, parts))


def nobodys_password() -> str:
    """A hash that matches no password. Comparing with it takes as long as with a real hash."""
    return _joined(os.urandom(16), os.urandom(32))


def is_password(hashed: str, password: bytes) -> bool:
    """Whether the hash is that of the password. Takes the same time in both cases."""
    cost, block, parallel, salt, expected = _parts(hashed)
    return hmac.compare_digest(_scrypt(password, salt, cost, block, parallel), expected)


def _scrypt(password: bytes, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password, salt=salt, n=cost, r=block, p=parallel, maxmem=_MOST_MEMORY, dklen=32
    )  # fmt: skip


def _parts(hashed: str) -> tuple[int, int, int, bytes, bytes]:
    kind, cost, block, parallel, salt, expected = hashed.split("$")
    if kind != "scrypt":
        raise ValueError(kind)
    numbers = int(cost), int(block), int(parallel)
    return (*numbers, base64.b64decode(salt, validate=True), base64.b64decode(expected, validate=True))


def _is_password_hash(hashed: str) -> bool:
    try:
        cost, block, parallel, salt, expected = _parts(hashed)
    except (ValueError, binascii.Error):
        return False
    cheap = cost >= 2 and cost & (cost - 1) == 0 and 1 <= block <= 64 and 1 <= parallel <= 64
    return cheap and 128 * cost * block <= _MOST_MEMORY // 2 and len(salt) >= 8 and len(expected) == 32


def _is_token_hash(hashed: str) -> bool:
    return re.fullmatch(r"sha256\$[0-9a-f]{64}", hashed) is not None


def check_password(password: str) -> bytes:
    """A user's new password as bytes. Raises InvalidArgumentError if it is too short or too long."""
    encoded = password.encode()
    if not _SHORTEST_PASSWORD <= len(encoded) <= LONGEST_PASSWORD:
        raise InvalidArgumentError(
            f"the password has {len(encoded)} bytes: expected {_SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
        )
    return encoded


# ---------------------------------------------------------------------------- the file


def read_entries(path: Path) -> list[Entry]:
    """The entries of the file, in order.

    Raises NotFoundError if the file does not exist. Raises InvalidArgumentError if other users may read it,
    if it is damaged, or if it has an unknown key, kind or role.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise InvalidArgumentError(
                    f"the credentials file {path} has mode {mode & 0o777:04o}, so that others can read or "
                    f"change it: run `chmod 600 {path}`"
                )
            content = file.read()
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no credentials file {path}; `chroma auth create NAME --file {path} …` makes one"
        ) from None
    except OSError as error:
        raise ReadOnlyError(f"the credentials file {path} cannot be read: {error.strerror}") from None
    try:
        return _entries(json.loads(content, object_pairs_hook=_once))
    except (ValueError, RecursionError) as error:  # InvalidArgumentError is a ValueError
        reason = error.message() if isinstance(error, ChromaError) else "it is no JSON"
        raise InvalidArgumentError(f"the credentials file {path} cannot be used: {reason}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without duplicate keys. Duplicate keys are rejected because, for example, either of two
    roles could be the intended one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgumentError(f"the key {twice!r:.100} is there twice")
    return found


def _entries(content: Any) -> list[Entry]:
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise InvalidArgumentError(f"expected an object with version {VERSION}")
    listed = content.get("entries")
    if set(content) != {"version", "entries"} or not isinstance(listed, list):
        raise InvalidArgumentError("expected a list 'entries', and no keys besides it and 'version'")
    entries: dict[str, Entry] = {}
    known = {found.name for found in fields(Entry)}
    for item in listed:
        if not isinstance(item, dict) or not isinstance(item.get("access"), list):
            raise InvalidArgumentError("expected each entry to be an object with a list 'access'")
        name = item.get("name")
        if not isinstance(name, str):
            raise InvalidArgumentError(f"an entry has the name {name!r:.100}: expected a text")
        wrong = sorted((set(item) - known) | (known - {"created", "expires"} - set(item)))
        if wrong:
            raise InvalidArgumentError(f"the entry {name!r:.100} has the keys {wrong} too many or too few")
        if name in entries:
            raise InvalidArgumentError(f"there are two entries named {name!r:.100}")
        entry = Entry(**item | {"access": tuple(item["access"])})
        entries[entry.name] = entry
    return list(entries.values())


def add_entry(path: Path, entry: Entry) -> None:
    """Add an entry, and create the file if it does not exist. Raises UniqueConstraintError if the entry
    exists."""

    def added(entries: list[Entry]) -> list[Entry]:
        if entry.name.endswith(PREVIOUS):
            raise InvalidArgumentError(
                f"the name {entry.name!r} ends with {PREVIOUS!r}, as old tokens of `chroma auth rotate` do"
            )
        if any(other.name == entry.name for other in entries):
            raise UniqueConstraintError(f"there is an entry named {entry.name!r} already; revoke it first")
        return [*entries, entry]

    _change(path, added, missing=True)


def remove_entry(path: Path, name: str) -> None:
    """Remove an entry, with its previous token. Raises NotFoundError if it does not exist."""

    def removed(entries: list[Entry]) -> list[Entry]:
        kept = [entry for entry in entries if entry.name not in (name, name + PREVIOUS)]
        if len(kept) == len(entries):
            raise NotFoundError(f"{path} has no entry named {name!r:.100}")
        return kept

    _change(path, removed, missing=False)


def rotate_entry(path: Path, name: str, secret: str, grace: float, period: float | None) -> Entry:
    """Give an entry a new secret, and return it.

    secret  the hash of the new secret
    grace   the number of seconds for which the old token stays valid, in an entry named NAME.previous
    period  the number of seconds until the new secret expires; None: as long as the old one was made for
    """
    rotated: list[Entry] = []

    def changed(entries: list[Entry]) -> list[Entry]:
        old = next((entry for entry in entries if entry.name == name), None)
        if old is None:
            raise NotFoundError(f"{path} has no entry named {name!r:.100}")
        if old.kind == "basic" and grace:
            raise InvalidArgumentError(
                f"{name} has a password, and a user has only one: --grace-hours is for tokens"
            )
        seconds = _period(old) if period is None else period
        new = replace(old, secret=secret, created=now(), expires=None if seconds is None else now(seconds))
        rotated.append(new)
        kept = [new if entry is old else entry for entry in entries if entry.name != name + PREVIOUS]
        if grace and not old.expired:
            ends = time.time() + grace
            if old.expires is None or _seconds(old.expires, name) > ends:
                old = replace(old, expires=now(grace))
            kept.append(replace(old, name=name + PREVIOUS))
        return kept

    _change(path, changed, missing=False)
    return rotated[0]


def _period(entry: Entry) -> float | None:
    """For how many seconds an entry was made. None if it never expires."""
    if entry.expires is None:
        return None
    if not entry.created:
        raise InvalidArgumentError(f"{entry.name} expires and does not say when it was made: give --days")
    return _seconds(entry.expires, entry.name) - _seconds(entry.created, entry.name)


def _change(path: Path, change: Callable[[list[Entry]], list[Entry]], missing: bool) -> None:
    path = Path(os.path.realpath(path))
    with _locked(path):
        entries = [] if missing and not path.exists() else read_entries(path)
        content = {"version": VERSION, "entries": [asdict(entry) for entry in change(entries)]}
        _replace(path, (json.dumps(content, indent=1) + "\n").encode())


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # created with mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")  # the file itself is replaced, so it cannot hold the lock
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ReadOnlyError(f"{lock} cannot be written: {error.strerror}; choose another --file") from None
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ReadOnlyError(f"another process is changing {path}; try again") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def now(later: float = 0.0) -> str:
    """The current UTC time plus `later` seconds, in the format of entries."""
    return datetime.fromtimestamp(int(time.time() + later), timezone.utc).isoformat()


def _seconds(moment: str, name: str) -> float:
    try:
        read = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"{name}: expires is {moment!r:.100}: expected a time as 2027-01-31T12:00:00+00:00"
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=timezone.utc)).timestamp()
