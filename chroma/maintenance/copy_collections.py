"""`chroma.copy_collections`: copies collections from any database to any other.

A copy has the stored ids, vectors, documents, metadata and uris, in order, and the configuration, metadata
and embedding function of the collection. Nothing is embedded again. A copy is named `NAME.chroma-copying`
until it is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from .._sync.client import Client
from ..backend.embedded_protocol import is_embedded
from ..backend.protocol import Backend
from ..collection.schemas import without_found
from ..errors import (
    ChromaError,
    InternalError,
    InvalidArgumentError,
    InvalidTypeError,
    NotFoundError,
    UniqueConstraintError,
)
from ..internal.progress import bar
from ..requests.projection import ALL_FIELDS, Projection, ScanRequest
from ..requests.scope import Scope
from ..storage.interface.report_repr import report_html, report_repr
from ..storage.interface.requests import (
    ALL_RECORDS,
    CollectionChanges,
    GetRequest,
    NewCollection,
    Selection,
)
from ..storage.interface.short_repr import shown
from ..storage.interface.values import CollectionInfo, Records, Rows
from ..validation.names import check_name, check_str

OnConflict = Literal["error", "skip", "replace"]
_CHOICES = ("error", "skip", "replace")

_BATCH_BYTES = 32 << 20  # a batch of at least this size is stored directly as a segment
_PAGE_BYTES, _TEXT_BYTES, _MOST_ROWS = 8 << 20, 1000, 5000  # limits of a page requested from a server


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result for one collection. `name` is the name of the copy."""

    __module__ = "chroma"

    source: str
    name: str
    records: int
    outcome: Literal["copied", "replaced", "skipped"]

    __repr__ = report_repr
    _repr_html_ = report_html


def copy_collections(
    source: Client,
    target: Client,
    names: str | Sequence[str] | None = None,
    *,
    rename: Mapping[str, str] | None = None,
    on_conflict: OnConflict = "error",
    progress: bool | None = None,
) -> list[CopyReport]:
    """Copy collections from one client's database to another client's database.

    source, target  clients for a folder, memory or a server, each with its tenant and database
    names           the collections to copy; default: all collections of the database
    rename          {name: name of the copy}
    on_conflict     if the target has the name already: "error" raises before anything is copied, "skip" skips
                    the collection, "replace" replaces it once the copy is complete
    progress        show a progress bar; None: on terminals and in notebooks, after a second

    Vectors and values are copied exactly. A copy is a snapshot of the collection, and memory use is bounded.
    A server that cannot stream Arrow is read in pages instead, and all ids are held in memory. Between
    databases of the same folder, the copy shares the files. A failed copy leaves nothing behind. A copy that
    is killed leaves `NAME.chroma-copying`, which the next copy removes. Raises NotFoundError for a name that
    the source does not have, UniqueConstraintError for a name that is taken.
    """
    for argument, client in (("source", source), ("target", target)):
        if not isinstance(client, Client):
            raise InvalidTypeError(
                f"Expected {argument} to be a client (PersistentClient, HttpClient, …), got {shown(client)}"
            )
    if on_conflict not in _CHOICES:
        raise InvalidArgumentError(f"Expected on_conflict to be one of {_CHOICES}, got {shown(on_conflict)}")
    jobs = _jobs(source, target, names, rename or {}, on_conflict)
    return [_copy(source, target, job, on_conflict, progress) for job in jobs]


@dataclass(frozen=True, slots=True)
class _Job:
    info: CollectionInfo
    name: str
    taken: bool


def _jobs(
    source: Client,
    target: Client,
    names: str | Sequence[str] | None,
    rename: Mapping[str, str],
    on_conflict: OnConflict,
) -> list[_Job]:
    """Check all names and return the copies to make."""
    scope, into = _scope(source), _scope(target)
    infos = {info.name: info for info in source._backend.list_collections(scope, None, None)}
    if names is None:
        chosen = list(infos)
    else:
        chosen = [check_str(name, "names") for name in ([names] if isinstance(names, str) else names)]
    for name in [*chosen, *rename]:
        if name not in infos:
            raise NotFoundError(f"Collection [{name}] does not exist in {scope.tenant}/{scope.database}")
    there = {info.name: info for info in target._backend.list_collections(into, None, None)}
    jobs = [
        _Job(infos[name], check_name(rename.get(name, name)), rename.get(name, name) in there)
        for name in dict.fromkeys(chosen)
    ]
    twice = {job.name for job in jobs if sum(other.name == job.name for other in jobs) > 1}
    if twice:
        raise InvalidArgumentError(f"rename gives several collections the name {sorted(twice)[0]!r}")
    for job in jobs:
        if job.taken and on_conflict == "error":
            raise UniqueConstraintError(
                f"Collection [{job.name}] already exists in {into.tenant}/{into.database}: choose "
                "on_conflict (--on-conflict) skip or replace, or another name; nothing was copied"
            )
        if job.taken and on_conflict == "replace" and there[job.name].id == job.info.id:
            raise InvalidArgumentError(f"collection {job.name!r} cannot be replaced by itself")
    return jobs


def _copy(
    source: Client, target: Client, job: _Job, on_conflict: OnConflict, progress: bool | None
) -> CopyReport:
    if job.taken and on_conflict == "skip":
        return CopyReport(job.info.name, job.name, 0, "skipped")
    backend, into = target._backend, _scope(target)
    aside = _aside(job.name, "chroma-copying")
    with suppress(NotFoundError):
        backend.delete_collection(into, aside)  # left by a copy that was killed
    try:
        if is_embedded(backend) and backend.shares_folder(source._backend):
            made = backend.fork_into(job.info.ref, into, aside)
        else:
            new = NewCollection(
                name=aside,
                metadata=job.info.metadata,
                configuration=job.info.configuration,
                schema=without_found(job.info.schema),
            )
            made = backend.create_collection(into, new)
            _copy_records(source, target, job, made, progress)
        records = backend.count(made.ref, ALL_RECORDS)
        _name(backend, into, made, job)
    except BaseException:
        with suppress(ChromaError):  # the original error is raised instead
            backend.delete_collection(into, aside)
        raise
    return CopyReport(job.info.name, job.name, records, "replaced" if job.taken else "copied")


def _name(backend: Backend, into: Scope, made: CollectionInfo, job: _Job) -> None:
    """Give the copy its name. The collection that had the name is deleted afterwards."""
    if not job.taken:
        backend.modify_collection(made.ref, CollectionChanges(name=job.name))
        return
    old = backend.get_collection(into, job.name)
    away = _aside(job.name, "chroma-replaced")
    with suppress(NotFoundError):
        backend.delete_collection(into, away)
    backend.modify_collection(old.ref, CollectionChanges(name=away))
    try:
        backend.modify_collection(made.ref, CollectionChanges(name=job.name))
    except BaseException:
        backend.modify_collection(old.ref, CollectionChanges(name=job.name))
        raise
    backend.delete_collection(into, away)


def _copy_records(
    source: Client, target: Client, job: _Job, made: CollectionInfo, progress: bool | None
) -> None:
    backend = source._backend
    shown_bar = bar(progress, job.name, total=backend.count(job.info.ref, ALL_RECORDS))
    copied = 0
    try:
        for rows in _pages(backend, job.info):
            if not rows.ids:
                continue
            records = Records(rows.ids, rows.embeddings, rows.documents, rows.metadatas, rows.uris)
            target._backend.write(made.ref, "add", records)
            copied += len(rows.ids)
            if shown_bar is not None:
                shown_bar.update(len(rows.ids))
    finally:
        if shown_bar is not None:
            shown_bar.close()
    stored = target._backend.count(made.ref, ALL_RECORDS)
    if stored != copied:
        raise InternalError(
            f"{copied} records of {job.info.name!r} were copied, but {stored} arrived; the copy is removed"
        )


def _pages(backend: Backend, info: CollectionInfo) -> Iterator[Rows]:
    """Yield all records: a snapshot if the backend can stream, else page by page."""
    if backend.streams:
        yield from _streamed(backend.batches(info.ref, ScanRequest(projection=Projection(form="json"))))
        return
    # Pages are selected by id, because concurrent writes would shift pages selected by offset.
    ids = backend.get(info.ref, GetRequest()).ids
    size = _PAGE_BYTES // (_TEXT_BYTES + 4 * (info.dimension or 1536))
    size = max(1, min(_MOST_ROWS, size))
    for start in range(0, len(ids), size):
        page = Selection(ids=ids[start : start + size])
        yield backend.get(info.ref, GetRequest(selection=page, fields=ALL_FIELDS))


def _streamed(batches: Any) -> Iterator[Rows]:
    """Yield the rows of a stream in batches of about `_BATCH_BYTES`."""
    import pyarrow as pa

    from ..wire.arrow_codec import rows_from_table

    waiting: list[Any] = []
    with batches:
        for batch in batches:
            waiting.append(batch)
            if sum(each.nbytes for each in waiting) >= _BATCH_BYTES:
                yield rows_from_table(pa.Table.from_batches(waiting))
                waiting = []
    if waiting:
        yield rows_from_table(pa.Table.from_batches(waiting))


def _scope(client: Client) -> Scope:
    return Scope(client.tenant, client.database)


def _aside(name: str, what: str) -> str:
    """Return the temporary name for a copy. It is always the same for the same name."""
    if len(name) > 480:
        name = f"{name[:440]}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    return f"{name}.{what}"
