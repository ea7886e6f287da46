"""Checks the columns of a write call and builds the `Records` that the engine writes.

Owns: the rules for the columns that a call may and must have. The modules `sequences` (ids, texts),
`vectors` and `metadata` read and check the single columns.
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

# The columns from which a call without embeddings may be embedded. An update may have none of them.
_SOURCES: dict[Mode, tuple[Source, ...]] = {
    "add": ("documents", "images", "uris"),
    "upsert": ("documents", "images"),
    "update": ("documents", "images"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """One checked write call. Columns that were not given are None; all others have len(ids) entries.

    given  mask (n,) of the rows that have an embedding, if a table has rows without; None: all rows have one
    """

    ids: list[str]
    embeddings: Floats | None
    metadatas: Entries | None
    documents: Sequence[str | None] | None
    images: list[npt.NDArray[Any]] | None
    uris: Sequence[str | None] | None
    given: npt.NDArray[np.bool_] | None = None

    def without(self, known: Collection[str]) -> Batch:
        """Return the records whose id is not in `known`, in the same order."""
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
        """Return the records for the engine: these columns with the final embeddings."""
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
    """Check the columns of one write call, each by itself and all against each other.

    Raises InvalidArgumentError (a ValueError), InvalidTypeError (also a TypeError) or
    DuplicateIDError. The message names the column, the position, the value and the remedy.
    """
    batch = Batch(
        ids=check_ids(ids),
        embeddings=None if embeddings is None else as_matrix(embeddings),
        metadatas=None if metadatas is None else check_metadatas(metadatas),
        documents=None
        if documents is None
        # a document may be missing only if its embedding is given or stored already
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


def embedding_source(mode: Mode, batch: Batch, *, loads: bool = False) -> Source | None:
    """Return the column to embed for a call without embeddings. None if the call needs no embedding.

    An upsert of metadata or uris alone returns None, because it is valid if all its ids are stored. If the
    collection `loads` uris, what these point to is embedded.
    """
    allowed = _SOURCES[mode]
    present = [field for field in allowed if getattr(batch, field) is not None]
    if mode == "upsert" and not present and loads and batch.uris is not None:
        return "uris"
    if len(present) == 1:
        return present[0]
    if not present and (mode == "update" or (mode == "upsert" and carries_data(batch))):
        return None
    raise needs_source(mode, present)


def lacking(mode: Mode, batch: Batch) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return the rows that have a document but no embedding, and these documents.

    Raises InvalidArgumentError for a row that has neither, except in an update.
    """
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
    """Return the batch with the embeddings of `rows` filled in."""
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
    """Raise IDAlreadyExistsError if some ids of a strict `add` are stored already."""
    if known:
        raise IDAlreadyExistsError(
            f"{len(known)} of the ids are stored already: {shown(sorted(known)[:5])}; "
            "use upsert to replace them, or add without strict to keep them"
        )


def refuse_new(ids: Sequence[str], known: Collection[str]) -> None:
    """Raise InvalidArgumentError if an `upsert` with nothing to embed has ids that are not stored."""
    if len(known) < len(ids):
        unknown = [new for new in ids if new not in known]
        raise InvalidArgumentError(
            f"{needs_source('upsert')}: {len(unknown)} of the ids are new, as {shown(unknown[0])}"
        )


def size_of(column: Any) -> int:
    """Return the length of a column of unchecked input. 0 if the column has no length."""
    try:
        return len(column)
    except TypeError:
        return 0


def carries_data(batch: Batch) -> bool:
    """Whether the call has metadata or uris."""
    return batch.metadatas is not None or batch.uris is not None


def needs_source(mode: Mode, present: Sequence[str] = ()) -> InvalidArgumentError:
    """Return the error for a call with no column to embed, or with more than one."""
    return InvalidArgumentError(
        f"Exactly one of {', '.join(_SOURCES[mode])} must be provided when embeddings are not, "
        f"got {', '.join(present) or 'none'}"
    )


def check_images(images: Any) -> list[npt.NDArray[Any]]:
    """Return images as a list of arrays with at least two dimensions.

    A single array with two or three dimensions is one image.
    """
    if isinstance(images, np.ndarray) and images.dtype != object:
        images = [images] if images.ndim <= 3 else list(images)
    column = as_list(images)
    if not column:
        raise InvalidArgumentError("Non-empty lists are required for ['images'], got []")
    for index, image in enumerate(column):
        if not isinstance(image, np.ndarray) or image.ndim < 2:
            raise InvalidArgumentError(
                f"Expected image to be a numpy array of two or more dimensions, got {shown(image)} "
                f"at index {index} of images"
            )
    return column


def given_rows(documents: Sequence[str | None]) -> npt.NDArray[np.bool_]:
    """Return the mask (n,) of the entries that are not None."""
    return np.fromiter((text is not None for text in documents), dtype=np.bool_, count=len(documents))


def scatter(vectors: Floats, rows: npt.NDArray[np.bool_]) -> Floats:
    """Return float32 (n, dim): the vectors in the rows where `rows` (n,) is True, zeros in the others."""
    if rows.all():
        return vectors
    out = np.zeros((len(rows), vectors.shape[1]), dtype=np.float32)
    out[rows] = vectors
    return out
