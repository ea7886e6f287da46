"""Reads the index files of a chromadb collection: `<segment>/header.bin`, `data_level0.bin`, `length.bin` and
`index_metadata.pickle`.

hnswlib stores the elements of `data_level0.bin` consecutively, each as links, vector, label. The pickle maps
ids to labels; it is read with an unpickler that creates only plain values. In cosine space, the stored
vectors have length 1, and `length.bin` holds the factors by which they are multiplied when they are read.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CorruptionError
from ..storage.interface.values import Floats

_HEADER = struct.Struct(
    "<iQQQQQQ"
)  # version, offset, capacity, elements, element size, label offset, vector offset
_PERSISTED = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
NOTHING = -1


class _Persisted:
    """Replaces the class that releases before 1.0 pickled. Only its attributes are used."""


class _Plain(pickle.Unpickler):
    """Builds only dictionaries, strings and numbers. Refuses any other class or function in the file."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == _PERSISTED:
            return _Persisted
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no index of chromadb contains")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside itself")


class IndexFiles:
    """The vectors of an index by record id. Maps the large file; keeps 16 bytes and the id per element.

    last  the number of the last log entry that the index contains, according to the pickle
    Raises CorruptionError, which names the file, if the files are inconsistent.
    """

    def __init__(self, folder: str, rescaled: bool) -> None:
        self.folder = folder
        names = os.path.join(folder, "index_metadata.pickle")
        told = _read_pickle(names)
        labels = told.get("id_to_label")
        if not isinstance(labels, dict):
            raise CorruptionError(f"{names} does not say which record has which label", names)
        self.labels: dict[str, int] = labels
        last = told.get("max_seq_id")
        self.last = number(last) if isinstance(last, (int, bytes)) else None
        self._open(rescaled)

    def _open(self, rescaled: bool) -> None:
        header = self._path("header.bin")
        head = _read(header)
        if len(head) < _HEADER.size:
            raise CorruptionError(f"{header} is cut off: {len(head)} bytes", header)
        version, _, _, elements, size, label, vector = _HEADER.unpack_from(head)
        if version != 1 or not 0 < vector < label <= size - 8 or (label - vector) % 4:
            raise CorruptionError(f"{header} is not the header of an index that chromadb wrote", header)
        self.dimension = (label - vector) // 4
        self.elements = elements
        data = self._path("data_level0.bin")
        if _size(data) < elements * size:
            raise CorruptionError(
                f"{data} is cut off: {_size(data):,} bytes for {elements:,} elements of {size:,}", data
            )
        raw = _mapped(data, elements, size)
        found = np.ascontiguousarray(raw[:, label : label + 8]).view("<u8").ravel()
        self._order = np.argsort(found, kind="stable")
        self._sorted = found[self._order]
        self._vectors = raw[:, vector:label]
        self._lengths: npt.NDArray[np.float32] | None = None
        if rescaled:
            lengths = self._path("length.bin")
            if _size(lengths) < elements * 4:
                raise CorruptionError(f"{lengths} is cut off: {_size(lengths):,} bytes", lengths)
            self._lengths = np.fromfile(lengths, "<f4", elements)

    def read(self, ids: Sequence[str]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the vectors, float32 (n, dim), and the mask of the ids that are in the index. The vectors
        equal those that chromadb's own get() returns."""
        labels = np.array([self.labels.get(id, NOTHING) for id in ids], np.int64)
        there = np.zeros(len(ids), bool)
        vectors = np.zeros((len(ids), self.dimension), np.float32)
        if not self.elements:
            return vectors, there
        sought = labels.astype(np.uint64)
        indices = np.minimum(np.searchsorted(self._sorted, sought), self.elements - 1)
        there = (self._sorted[indices] == sought) & (labels != NOTHING)
        elements = self._order[indices[there]]
        found = np.ascontiguousarray(self._vectors[elements]).view("<f4")
        if self._lengths is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                found = found * self._lengths[elements][:, None]
        vectors[there] = found
        return vectors, there

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)


def rescaled(vectors: Floats) -> Floats:
    """Return the vectors as chromadb's get() returns them from an index in cosine space.

    They are scaled to length 1 and back with hnswlib's precision and order of operations, so that all bits
    are equal.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        total = np.zeros(len(vectors), np.float32)
        for column in range(vectors.shape[1]):
            total += vectors[:, column] * vectors[:, column]
        length = np.sqrt(total)
        unit = vectors * (np.float32(1) / (length + np.float32(1e-30)))[:, None]
        result: Floats = unit * length[:, None]
        return result


def number(value: int | bytes) -> int:
    """Return a sequence number, which older releases stored as big-endian bytes instead of an integer."""
    return int.from_bytes(value, "big") if isinstance(value, bytes) else int(value)


def _read_pickle(path: str) -> dict[str, Any]:
    try:
        told = _Plain(io.BytesIO(_read(path))).load()
    except CorruptionError:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        raise CorruptionError(f"{path} cannot be read: {error}", path) from error
    if isinstance(told, _Persisted):
        told = vars(told)
    if not isinstance(told, dict):
        raise CorruptionError(f"{path} holds {type(told).__name__}, not the ids of an index", path)
    return told


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CorruptionError(f"{path} cannot be read: {error.strerror}", path) from error


def _mapped(path: str, elements: int, size: int) -> Any:
    """Map the elements of a file as uint8 (elements, size)."""
    if not elements:
        return np.empty((0, size), np.uint8)
    try:
        return np.memmap(path, np.uint8, "r", shape=(elements, size))
    except OSError as error:
        raise CorruptionError(f"{path} cannot be read: {error.strerror}", path) from error


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise CorruptionError(f"{path} cannot be read: {error.strerror}", path) from error
