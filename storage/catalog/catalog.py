"""The catalog of tenants, databases and collections.

Owns: `catalog.json` and the catalog's log, names and their uniqueness. This module does not deal with
records.

A change is one JSON frame in the log. A change is durable before it is acknowledged, and every process sees
it at the next call. `catalog.json` has the state at the beginning of its log, and is rewritten when the log
has grown. This file also marks a folder as a database, and carries the format version.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from ..interface.errors import (
    AlreadyExists,
    Corruption,
    InvalidArgument,
    Missing,
    NotADatabase,
    NotFound,
    StorageError,
)
from ..interface.nearest_names import instead
from ..interface.values import CollectionInfo
from ..interface.version_names import check_current, check_new, given_name, is_version
from ..io.disk import Folder
from ..manifest import put_both, unwrap_state, wrap_state
from ..validation.file_names import CATALOG_LOG, json_shown
from ..validation.json_fields import Fields, parsed
from ..wal import log as logs
from ..wal.follow import follow, read_stable
from ..wal.log import START, Frame, Log
from .changes import read_change, read_collection

NAME, COPY, LOCK = "catalog.json", "catalog.copy", "catalog.lock"
DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
_DEFAULT_DATABASE_ID = str(uuid.UUID(int=0))
_REWRITE_FRAMES = 2000
_REMEMBERED = 1000  # deleted collections whose names messages tell
_ATTEMPTS = 50  # attempts to read a catalog that other processes rewrite meanwhile
_log = logging.getLogger("chroma")


@dataclass(slots=True)
class CatalogState:
    """The state of the catalog.

    databases    maps (tenant, database) to the database's id
    collections  maps an id to the collection
    names        maps (tenant, database) to {collection name: collection id}
    """

    tenants: dict[str, None] = field(default_factory=dict)
    databases: dict[tuple[str, str], str] = field(default_factory=dict)
    collections: dict[str, CollectionInfo] = field(default_factory=dict)
    names: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    deleted: dict[str, CollectionInfo] = field(default_factory=dict)  # the last ones, for messages

    def apply(self, change: Mapping[str, Any]) -> None:
        """Apply a change that was already checked."""
        match change["do"]:
            case "reset":
                # Concurrent readers always find the default database, in the old state or the new one.
                scope = DEFAULT_TENANT, DEFAULT_DATABASE
                self.names, self.databases = {scope: {}}, {scope: _DEFAULT_DATABASE_ID}
                self.tenants, self.collections = {DEFAULT_TENANT: None}, {}
            case "create tenant":
                self.tenants[change["tenant"]] = None
            case "create database":
                scope = change["tenant"], change["database"]
                self.databases[scope], self.names[scope] = change["id"], {}
            case "delete database":
                scope = change["tenant"], change["database"]
                for id in self.names.pop(scope).values():
                    self._remember(self.collections.pop(id))
                del self.databases[scope]
            case "put collection":
                info = CollectionInfo(**change["collection"])
                old = self.collections.get(info.id)
                names = self.names[info.tenant, info.database]
                if old is not None and old.name != info.name:
                    # A renamed collection keeps its place in creation order.
                    renamed = {info.name if name == old.name else name: id for name, id in names.items()}
                    names = self.names[info.tenant, info.database] = renamed
                names[info.name] = info.id
                self.collections[info.id] = info
            case "delete collection":
                info = self.collections.pop(change["id"])
                del self.names[info.tenant, info.database][info.name]
                self._remember(info)

    def _remember(self, info: CollectionInfo) -> None:
        self.deleted[info.id] = info
        if len(self.deleted) > _REMEMBERED:
            del self.deleted[next(iter(self.deleted))]

    def replay(self, path: str, payload: bytes) -> None:
        """Apply the change in a frame of the log at `path`. Raises Corruption if it is invalid."""
        self._take(read_change(parsed(path, payload, "a change:")), path)

    def _take(self, change: Mapping[str, Any], path: str) -> None:
        """Apply a change from the file at `path`. Raises Corruption if it does not fit the state."""
        why = self._misfit(change)
        if why is not None:
            raise Corruption(path, f"to {change['do']}: {why}")
        self.apply(change)

    def _misfit(self, change: Mapping[str, Any]) -> str | None:
        """Return why a change does not fit the state, or None if it fits."""
        match change["do"]:
            case "create database":
                scope = change["tenant"], change["database"]
                if change["tenant"] not in self.tenants:
                    return f"there is no tenant {json_shown(change['tenant'])}"
                return f"there is a database {json_shown(scope)} already" if scope in self.databases else None
            case "delete database":
                scope = change["tenant"], change["database"]
                return None if scope in self.databases else f"there is no database {json_shown(scope)}"
            case "put collection":
                info = change["collection"]
                scope = info["tenant"], info["database"]
                if scope not in self.names:
                    return f"there is no database {json_shown(scope)}"
                if self.names[scope].get(info["name"], info["id"]) != info["id"]:
                    return f"the name {json_shown(info['name'])} is taken"
                old = self.collections.get(info["id"])
                if old is not None and (old.tenant, old.database) != scope:
                    return f"{info['id']} is in another database"
            case "delete collection":
                return None if change["id"] in self.collections else f"there is no {change['id']}"
        return None

    def to_json(self) -> dict[str, Any]:
        return {
            "tenants": list(self.tenants),
            "databases": [[*scope, id] for scope, id in self.databases.items()],
            "collections": [_entry(info) for info in self.collections.values()],
        }

    @classmethod
    def read(cls, data: Fields) -> CatalogState:
        """Read a state that `to_json` wrote. Raises Corruption for invalid data."""
        state = cls()
        for tenant in data.items("tenants"):
            state._take(read_change(Fields(data.path, {"do": "create tenant", "tenant": tenant})), data.path)
        for index, entry in enumerate(data.items("databases")):
            if type(entry) is not list or len(entry) != 3:
                raise data.wrong(
                    f"databases[{index}]", f"is {json_shown(entry)}, not a tenant, a name and an id"
                )
            given = {"do": "create database", "tenant": entry[0], "database": entry[1], "id": entry[2]}
            state._take(read_change(Fields(data.path, given, f"databases[{index}]")), data.path)
        for info in data.each("collections"):
            state._take({"do": "put collection", "collection": read_collection(info)}, data.path)
        return state

    def count(self) -> int:
        """Return the number of collections, without versions of them."""
        return sum(not is_version(info) for info in list(self.collections.values()))

    def copy(self) -> CatalogState:
        """Return a copy of the state."""
        names = {scope: dict(ids) for scope, ids in self.names.items()}
        return CatalogState(
            dict(self.tenants), dict(self.databases), dict(self.collections), names, dict(self.deleted)
        )


def _entry(info: CollectionInfo) -> dict[str, Any]:
    """Return the JSON form of a collection. Without a schema it is that of earlier programs."""
    entry = asdict(info)
    if info.schema is None:
        del entry["schema"]
    return entry


def log_of(folder: Folder) -> str:
    """Return the name of the catalog's first log."""
    return Fields(f"{folder.path}/{NAME}", unwrap_state(folder, NAME)).name("log", CATALOG_LOG)


def begin_log(folder: Folder, first: int) -> str:
    """Create an empty log of the catalog, durably, and return its name."""
    name = f"catalog-{first:016d}.wal"
    folder.remove(name)  # an interrupted attempt may have left it
    Log.create(folder, name, first).close()
    folder.sync()
    return name


def write(folder: Folder, state: CatalogState, log: str) -> None:
    """Write the state with which the log begins, durably."""
    put_both(folder, NAME, COPY, wrap_state({"log": log, **state.to_json()}))


class _NextLogUnreadable(Exception):
    """The log that an END frame names is damaged or missing. The cause is the Corruption."""


def _opened(log: Log, folder: Folder, frame: Frame) -> Log:
    try:
        return log.following(folder, frame)
    except Corruption as error:
        raise _NextLogUnreadable from error


class Catalog:
    """The catalog of a database. Thread-safe. Every call sees the changes by all processes."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._state = CatalogState()
        self._frames = 0
        self._passed: list[Log] = []  # logs that have ended and may not be synced yet
        self._log: Log
        self._stale = False  # whether to load the catalog again: a change may or may not be in the log
        if not folder.exists(NAME):
            self._found()
        self._inode = self._folder_inode()
        self._load()

    # ------------------------------------------------------------------ state

    def _found(self) -> None:
        """Create a database in the folder, unless another process does so first."""
        if self._folder.exists("chroma.sqlite3"):
            path = shlex.quote(str(self._folder.path))
            raise NotADatabase(
                f"{self._folder.path} holds a database of chromadb (chroma.sqlite3). Bring it into a "
                "new folder, "
                f"without changing this one, with: chroma migrate --from {path} --to {path}-arrow"
            )
        self._folder.create()
        with self._folder.lock(LOCK):
            if self._folder.exists(NAME):
                return
            if self._folder.exists(COPY):
                unwrap_state(self._folder, COPY)
                self._folder.replace(NAME, self._folder.read(COPY))
                return
            if self._folder.exists("collections"):
                raise Corruption(
                    f"{self._folder.path}/{NAME}", "the file is missing, but its database is there"
                )
            state = CatalogState()
            state.apply({"do": "reset"})
            write(self._folder, state, begin_log(self._folder, 1))

    def copy(self) -> CatalogState:
        """Return a copy of the current state."""
        with self._lock:
            return self._current().copy()

    def _load(self) -> None:
        """Load the whole catalog. Until this is complete, calls without the lock see the old state."""
        if self._stale and self._inode != self._folder_inode():
            raise self._gone()  # what is there now is another database
        path = f"{self._folder.path}/{NAME}"

        def read(_: object) -> Catalog:
            data = Fields(path, unwrap_state(self._folder, NAME))
            fresh = Catalog.__new__(Catalog)
            fresh._folder, fresh._frames, fresh._passed = self._folder, 0, []
            fresh._log = Log.open(self._folder, data.name("log", CATALOG_LOG))
            fresh._state = CatalogState.read(data)
            fresh._follow(False, loading=True)
            return fresh

        fresh = read_stable(path, lambda: self._folder.file_version(NAME), read, attempts=_ATTEMPTS)
        self._state, self._frames, self._passed = fresh._state, fresh._frames, fresh._passed
        self._log, self._stale = fresh._log, False

    def _follow(self, writing: bool, loading: bool = False) -> None:
        """Read and apply the new frames of the log and of the logs that follow it."""
        try:
            self._apply_new(writing)
        except _NextLogUnreadable as error:
            assert error.__cause__ is not None
            if loading:
                raise error.__cause__ from None
            self._load()  # the catalog was rewritten more than once; if not, this finds the same damage
            self._follow(writing, loading=True)
        except BaseException:
            self._stale = True  # a frame may have been read and not applied, or a log ended and not left
            raise

    def _apply_new(self, writing: bool) -> None:
        self._sync_passed(writing)
        for step in follow(self._folder, self._log, writing=writing, opened=_opened):
            if step.following is None:
                self._replay(step.frame)
                self._frames += 1
            else:
                self._passed.append(step.log)
                self._log, self._frames = step.following, 0
                self._sync_passed(writing)

    def _sync_passed(self, writing: bool) -> None:
        """Sync the earlier logs, so that no later change can survive a crash without their last frames."""
        while writing and self._passed:
            self._passed[0].sync_all()
            del self._passed[0]

    def _replay(self, frame: Frame) -> None:
        try:
            if frame.kind != logs.CATALOG:
                raise Corruption(self._log.path, f"frame {frame.sequence} has the unknown kind {frame.kind}")
            self._state.replay(self._log.path, frame.payload)
        except Corruption:
            self._log.unread(frame)  # so that every later call raises too
            raise

    def _current(self) -> CatalogState:
        """Return the newest state. Raises NotFound if the folder was removed or replaced."""
        if not self._log.linked():
            self.check_there()
        if self._stale or self._log.has_more():
            self._refresh()
        return self._state

    def _refresh(self) -> None:
        with self._lock:
            if self._stale:
                self._load()
            self._follow(False)

    def lost(self) -> bool:
        """Whether the folder was removed or replaced from outside."""
        if self._log.linked():
            return False
        try:
            self._refresh()  # the catalog may have been rewritten, which starts a new log
        except (Missing, NotFound):
            return True
        return not self._log.linked()

    def check_there(self) -> None:
        """Raise NotFound if the open folder was removed or replaced.

        Otherwise a change would be lost, and a read would return records that are gone from the folder.
        """
        if self.lost():
            raise self._gone()

    def _gone(self) -> NotFound:
        return NotFound(
            f"{self._folder.path} was removed or replaced while it was open; "
            "open a new client to start afresh"
        )

    def _folder_inode(self) -> int | None:
        version = self._folder.file_version("")
        return None if version is None else version[0]

    @contextlib.contextmanager
    def changing(self) -> Iterator[tuple[CatalogState, Callable[[dict[str, Any]], None]]]:
        """Yield the state under the write lock, and a function that commits a change to it."""
        with self._lock:
            with self._locked():
                if self._stale or self._log.broken:
                    self._load()  # opening the log again rewrites the frames that may not be on the disk
                self._follow(True)
                self.check_there()
                yield self._state, self._commit
                end = self._log.offset
            self._log.sync(end)
            self._log.record_watermark()  # done for every change, because changes are rare
            if self._frames >= _REWRITE_FRAMES:
                try:
                    self._rewrite()
                except StorageError as error:  # the change itself is durable
                    _log.warning("the catalog of %s could not be rewritten: %s", self._folder.path, error)
                    self._stale = True

    def _locked(self) -> contextlib.AbstractContextManager[bool]:
        try:
            return self._folder.lock(LOCK)
        except Missing:
            self.check_there()
            raise

    def _commit(self, change: dict[str, Any]) -> None:
        try:
            frame = orjson.dumps(change)
        except TypeError as error:
            raise InvalidArgument(
                f"the configuration or metadata cannot be stored as JSON: {error}; "
                "use str, int, float, bool, None, lists and dicts with str keys"
            ) from error
        try:
            self._log.append(logs.CATALOG, frame)
            self._state.apply(change)
            self._frames += 1
        except BaseException:
            self._stale = True  # after an interruption between log and state, only the log is up to date
            raise

    def _rewrite(self) -> None:
        """Begin a new log, end the old log with its name, then publish the state with which it begins."""
        with self._folder.lock(LOCK):
            self._follow(True)
            if self._frames < _REWRITE_FRAMES or self._log.offset == START:
                return
            name = begin_log(self._folder, self._log.sequence + 1)
            self._log.sync(self._log.append(logs.END, name.encode()))
            self._log.record_watermark()
            self._log, self._frames = Log.open(self._folder, name), 0
            write(self._folder, self._state, name)
            for old in self._folder.names():
                if old.startswith("catalog-") and old < name:
                    self._folder.remove(old)

    # ------------------------------------------------------------------ tenants and databases

    def create_tenant(self, name: str) -> None:
        with self.changing() as (state, commit):
            if name in state.tenants:
                raise AlreadyExists(f"Tenant [{name}] already exists")
            commit({"do": "create tenant", "tenant": name})

    def list_tenants(self) -> list[str]:
        """Return the tenants' names, sorted."""
        return sorted(self._current().tenants)

    def check_tenant(self, name: str) -> None:
        if name not in self._current().tenants:
            raise self._no_tenant(name)

    def _no_tenant(self, name: str) -> NotFound:
        return NotFound(f"Tenant [{name}] not found{instead(name, list(self._state.tenants), 'tenants')}")

    def create_database(self, tenant: str, name: str) -> None:
        with self.changing() as (state, commit):
            if tenant not in state.tenants:
                raise self._no_tenant(tenant)
            if (tenant, name) in state.databases:
                raise AlreadyExists(f"Database [{name}] already exists in tenant [{tenant}]")
            commit({"do": "create database", "tenant": tenant, "database": name, "id": str(uuid.uuid4())})

    def database_id(self, tenant: str, name: str) -> str:
        id = self._current().databases.get((tenant, name))
        if id is None:
            raise self.unknown_database(tenant, name)
        return id

    def unknown_database(self, tenant: str, name: str) -> NotFound:
        """The error for a name that no database of the tenant has."""
        others = [other for owner, other in list(self._state.databases) if owner == tenant]
        return NotFound(
            f"Database [{name}] not found in tenant [{tenant}]"
            f"{instead(name, others, 'databases')}. Are you sure it exists?"
        )

    def list_databases(self, tenant: str) -> list[tuple[str, str]]:
        """Return the names and ids of a tenant's databases, sorted by name."""
        state = self._current()
        return sorted((name, id) for (owner, name), id in list(state.databases.items()) if owner == tenant)

    # ------------------------------------------------------------------ collections

    def count_all(self) -> int:
        """Count the collections in all databases."""
        return self._current().count()

    def collection(self, id: str) -> CollectionInfo | None:
        return self._current().collections.get(id)

    def scoped(self, tenant: str, database: str, id: str) -> CollectionInfo:
        """Return a collection. Raises NotFound unless it is in this tenant and database."""
        info = self._current().collections.get(id)
        if info is None or (info.tenant, info.database) != (tenant, database):
            raise self._no_collection(tenant, database, id)
        return info

    def _no_collection(self, tenant: str, database: str, id: str) -> NotFound:
        gone = self._state.deleted.get(id)
        if gone is None or (gone.tenant, gone.database) != (tenant, database):
            return NotFound(f"Collection [{id}] does not exist")
        if is_version(gone):
            return NotFound(f"the snapshot {given_name(gone)!r} was dropped, or its collection was deleted")
        message = f"Collection [{gone.name}] does not exist any more: it was deleted; its id was {id}"
        if gone.name in self._state.names.get((tenant, database), {}):
            message += "; another collection has its name now: open that one with get_collection"
        return NotFound(message)

    def named(self, tenant: str, database: str, name: str) -> CollectionInfo:
        info = self._find(tenant, database, name)
        if info is None:
            raise self.unknown(tenant, database, name)
        return info

    def _find(self, tenant: str, database: str, name: str) -> CollectionInfo | None:
        """Return the collection of that name. Raises NotFound if the database does not exist."""
        state = self._current()
        self.database_id(tenant, database)
        id = state.names.get((tenant, database), {}).get(name)
        return None if id is None else state.collections.get(id)  # None: deleted between the two look-ups

    def unknown(self, tenant: str, database: str, name: str) -> NotFound:
        """The error for a name that no collection of the database has."""
        state = self._state
        ids = list(state.names.get((tenant, database), {}).values())
        infos = [info for info in map(state.collections.get, ids) if info is not None]
        others = [info.name for info in infos if not is_version(info)]
        return NotFound(f"Collection [{name}] does not exist{instead(name, others, 'collections')}")

    def list_collections(self, tenant: str, database: str, versions: bool = False) -> list[CollectionInfo]:
        """Return the collections in creation order; with `versions`, the versions of collections, too."""
        self.database_id(tenant, database)
        state = self._current()
        ids = list(state.names.get((tenant, database), {}).values())
        # Some may have been deleted between the two look-ups.
        found = [info for info in map(state.collections.get, ids) if info is not None]
        return found if versions else [info for info in found if not is_version(info)]

    def create_collection(
        self, info: CollectionInfo, get_or_create: bool, clear: Callable[[], None] | None = None
    ) -> tuple[CollectionInfo, bool]:
        """Add a collection, or with `get_or_create` return an existing one with the same name.

        Returns the collection, and whether it is new.

        clear  removes files that an interrupted deletion may have left; called under the write lock
        """
        if get_or_create:
            stored = self._find(info.tenant, info.database, info.name)
            if stored is not None:
                return stored, False
        with self.changing() as (state, commit):
            names = state.names.get((info.tenant, info.database))
            if names is None:
                raise self.unknown_database(info.tenant, info.database)
            if info.name in names:
                if get_or_create:
                    return state.collections[names[info.name]], False
                raise AlreadyExists(
                    f"Collection [{info.name}] already exists; choose another name, or open it with "
                    "get_collection or get_or_create_collection"
                )
            if info.id in state.collections:
                taken = state.collections[info.id]
                raise AlreadyExists(
                    f"Collection [{taken.name}] of {taken.tenant}/{taken.database} already exists "
                    "with the id "
                    f"{info.id}"
                )
            if is_version(info):
                check_new(info, [state.collections[id] for id in names.values()])
            if clear is not None:
                clear()
            commit({"do": "put collection", "collection": _entry(info)})
            return info, True

    def change_collection(self, tenant: str, database: str, id: str, **changes: Any) -> CollectionInfo:
        """Replace fields of a collection. Raises AlreadyExists if the new name is taken."""
        with self.changing() as (state, commit):
            info = state.collections.get(id)
            if info is None or (info.tenant, info.database) != (tenant, database):
                raise self._no_collection(tenant, database, id)
            check_current(info)
            new = replace(info, **changes)
            if new.name != info.name and new.name in state.names[tenant, database]:
                raise AlreadyExists(f"Collection [{new.name}] already exists; choose another name")
            if new != info:
                commit({"do": "put collection", "collection": _entry(new)})
            return new

    def close(self) -> None:
        with self._lock:  # a concurrent change writes its watermark into this file after its sync
            self._log.close()
