"""User input in any accepted shape to `storage.types.Records`, checked.

Owns which columns a call may and must carry. How one column is read and checked is in
`columns` (ids, texts), `vectors` and `metadata`; nothing here loops over records.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import IDAlreadyExistsError, InvalidArgumentError, InvalidDimensionException
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Floats, Mode, Records
from .metadata import Entries, check_metadatas
from .sequences import as_list, check_ids, check_lengths, check_texts
from .vectors import as_matrix

Source = Literal["documents", "images", "uris"]

# What a call without embeddings may be embedded from. An update may carry none of them.
_SOURCES: dict[Mode, tuple[Source, ...]] = {
    "add": ("documents", "images", "uris"),
    "upsert": ("documents", "images"),
    "update": ("documents", "images"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """One write call after checking. Columns not given are None; the others have len(ids) entries.

    given  rows (n,) whose embedding is given, where a table leaves out some; None: all of them
    """

    ids: list[str]
    embeddings: Floats | None
    metadatas: Entries | None
    documents: Sequence[str | None] | None
    images: list[npt.NDArray[Any]] | None
    uris: Sequence[str | None] | None
    given: npt.NDArray[np.bool_] | None = None

    def without(self, known: Collection[str]) -> Batch:
        """The records whose id is not in `known`, in the same order."""
        if not known:
            return self
        rows = [row for row, name in enumerate(self.ids) if name not in known]

        def take(column: Sequence[Any] | None) -> list[Any] | None:
            return None if column is None else [column[row] for row in rows]

        return Batch(
            ids=[self.ids[row] for row in rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            metadatas=take(self.metadatas),
            documents=take(self.documents),
            images=take(self.images),
            uris=take(self.uris),
            given=None if self.given is None else self.given[rows],
        )

    def records(
        self, embeddings: Floats | None, has_embedding: npt.NDArray[np.bool_] | None = None
    ) -> Records:
        """What the engine writes: these columns with the final embeddings."""
        return Records(
            ids=self.ids,
            embeddings=embeddings,
            documents=self.documents,
            metadatas=self.metadatas,
            uris=self.uris,
            has_embedding=has_embedding,
        )


def read_batch(
    mode: Mode,
    ids: Any,
    *,
    embeddings: Any = None,
    metadatas: Any = None,
    documents: Any = None,
    images: Any = None,
    uris: Any = None,
) -> Batch:
    """The columns of one write call, checked alone and against each other.

    Raises InvalidArgumentError (a ValueError), InvalidTypeError (also a TypeError) or
    DuplicateIDError; the text names the column, the place, the value and the remedy.
    """
    batch = Batch(
        ids=check_ids(ids),
        embeddings=None if embeddings is None else as_matrix(embeddings),
        metadatas=None if metadatas is None else check_metadatas(metadatas),
        documents=None
        if documents is None
        # only an embedding given, or stored already, can stand in for a missing text
        else check_texts(
            documents, "document", "documents", allow_none=embeddings is not None or mode == "update"
        ),
        images=None if images is None else check_images(images),
        uris=None if uris is None else check_texts(uris, "uri", "uris", allow_none=True),
    )
    check_lengths(
        batch.ids,
        embeddings=None if batch.embeddings is None else range(len(batch.embeddings)),
        metadatas=batch.metadatas,
        documents=batch.documents,
        images=batch.images,
        uris=batch.uris,
    )
    return batch


def embedding_source(mode: Mode, batch: Batch) -> Source | None:
    """The column to embed when the call carries no embeddings; None when there is none to embed.

    An upsert of metadata or uris alone gives None: it is right where all ids are stored.
    """
    allowed = _SOURCES[mode]
    present = [field for field in allowed if getattr(batch, field) is not None]
    if len(present) == 1:
        return present[0]
    if not present and (mode == "update" or (mode == "upsert" and carries_data(batch))):
        return None
    raise needs_source(mode, present)


def lacking(mode: Mode, batch: Batch) -> tuple[npt.NDArray[np.intp], list[str]]:
    """The rows without an embedding that have a document, and these. Outside of updates all must have one."""
    assert batch.given is not None
    missing = np.flatnonzero(~batch.given)
    documents = batch.documents or [None] * len(batch.ids)
    rows = np.asarray([row for row in missing.tolist() if documents[row] is not None], np.intp)
    if mode != "update" and len(rows) < len(missing):
        bare = next(row for row in missing.tolist() if documents[row] is None)
        raise InvalidArgumentError(
            f"row {bare} of the table, id {shown(batch.ids[bare])}, has neither an embedding nor a document"
        )
    return rows, [text for row in rows.tolist() if (text := documents[row]) is not None]


def filled(batch: Batch, rows: npt.NDArray[np.intp], vectors: Floats) -> Batch:
    """The batch with embeddings for some more rows."""
    assert batch.given is not None and batch.embeddings is not None
    if vectors.shape[1] != batch.embeddings.shape[1]:
        raise InvalidDimensionException(
            f"the embedding function gives {vectors.shape[1]} numbers, and the table's embeddings have "
            f"{batch.embeddings.shape[1]}"
        )
    matrix, given = batch.embeddings.copy(), batch.given.copy()
    matrix[rows], given[rows] = vectors, True
    return replace(batch, embeddings=matrix, given=None if given.all() else given)


def refuse_stored(known: Collection[str]) -> None:
    """IDAlreadyExistsError if a strict `add` finds some of its ids stored."""
    if known:
        raise IDAlreadyExistsError(
            f"{len(known)} of the ids are stored already: {shown(sorted(known)[:5])}; "
            "use upsert to replace them, or add without strict to keep them"
        )


def refuse_new(ids: Sequence[str], known: Collection[str]) -> None:
    """An error if an `upsert` with nothing to embed has ids that are not stored."""
    if len(known) < len(ids):
        unknown = [new for new in ids if new not in known]
        raise InvalidArgumentError(
            f"{needs_source('upsert')}: {len(unknown)} of the ids are new, as {shown(unknown[0])}"
        )


def size_of(column: Any) -> int:
    """How many entries a column of unchecked input may have; 0 if that cannot be told."""
    try:
        return len(column)
    except TypeError:
        return 0


def carries_data(batch: Batch) -> bool:
    """Whether the call carries metadata or uris."""
    return batch.metadatas is not None or batch.uris is not None


def needs_source(mode: Mode, present: Sequence[str] = ()) -> InvalidArgumentError:
    """The error of a call that gives nothing, or too much, to embed."""
    return InvalidArgumentError(
        f"Exactly one of {', '.join(_SOURCES[mode])} must be provided when embeddings are not, "
        f"got {', '.join(present) or 'none'}"
    )


def check_images(images: Any) -> list[npt.NDArray[Any]]:
    """Images as arrays of two or more dimensions; one array of two or three is one image."""
    if isinstance(images, np.ndarray) and images.dtype != object:
        images = [images] if images.ndim <= 3 else list(images)
    column = as_list(images)
    if not column:
        raise InvalidArgumentError("Non-empty lists are required for ['images'], got []")
    for place, image in enumerate(column):
        if not isinstance(image, np.ndarray) or image.ndim < 2:
            raise InvalidArgumentError(
                f"Expected image to be a numpy array of two or more dimensions, got {shown(image)} "
                f"at index {place} of images"
            )
    return column


def given_rows(documents: Sequence[str | None]) -> npt.NDArray[np.bool_]:
    """Which entries of a column are not None, as a mask (n,)."""
    return np.fromiter((text is not None for text in documents), dtype=np.bool_, count=len(documents))


def scatter(vectors: Floats, rows: npt.NDArray[np.bool_]) -> Floats:
    """The vectors at the places where `rows` (n,) is True, zeros elsewhere: float32 (n, dim)."""
    if rows.all():
        return vectors
    out = np.zeros((len(rows), vectors.shape[1]), dtype=np.float32)
    out[rows] = vectors
    return out
