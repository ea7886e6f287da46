"""`plot`: checks the arguments, takes the sample, and converts records to a chart."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgumentError, InvalidTypeError
from ..internal.optional_dependencies import require
from ..rendering import text
from ..results.types import GetResult
from ..storage.interface.short_repr import shown
from ..storage.interface.values import CollectionInfo
from ..validation.names import check_int
from . import chart, projection

if TYPE_CHECKING:
    import altair as alt

_METHODS = ("pca", "tsne", "umap")
_COLOR_TYPES = ("category", "number")
_FORMATS = (".png", ".svg", ".html")
_COLUMNS = {"document": "documents", "uri": "uris", "id": "ids"}  # labels other than metadata keys


@dataclass(frozen=True, slots=True)
class PlotArguments:
    """The checked arguments of `plot`."""

    color_by: str | None
    color_type: str | None
    label: str | None
    limit: int
    method: str
    seed: int
    width: int
    height: int
    file: Path | None

    def sample(self, ids: Sequence[str]) -> list[str]:
        """Return the `limit` ids with the smallest hashes, so that no order of records biases the sample."""
        salt = self.seed.to_bytes(16, "little")
        hashes = [blake2b(id.encode(), digest_size=8, salt=salt).digest() for id in ids]
        return [ids[index] for index in sorted(nsmallest(self.limit, range(len(ids)), hashes.__getitem__))]


def check_plot(
    color_by: Any,
    label: Any,
    limit: Any,
    *,
    color_type: Any,
    method: Any,
    seed: Any,
    size: tuple[Any, Any],
    file: Any,
) -> PlotArguments:
    """Check all arguments of `plot` except the filter, and check that the needed packages are installed."""
    for argument, key in (("color_by", color_by), ("label", label)):
        if key is not None and not isinstance(key, str):
            raise InvalidTypeError(f"Expected {argument} to be a metadata key, got {shown(key)}")
    if method not in _METHODS:
        raise InvalidArgumentError(f"Expected method to be one of {', '.join(_METHODS)}, got {shown(method)}")
    if color_type is not None and color_type not in _COLOR_TYPES:
        raise InvalidArgumentError(
            f"Expected color_type to be one of {', '.join(_COLOR_TYPES)}, or None, got {shown(color_type)}"
        )
    if color_type is not None and color_by is None:
        raise InvalidArgumentError(
            f"color_type={shown(color_type)} is for the key in color_by, which is not given"
        )
    width, height = size
    numbers = {"limit": limit, "width": width, "height": height}
    for argument, value in numbers.items():
        if check_int(value, argument) < 1:
            raise InvalidArgumentError(f"Expected {argument} to be positive, got {value}")
    if not 0 <= check_int(seed, "seed") < 2**32:
        raise InvalidArgumentError(f"Expected seed to be between 0 and 2**32 - 1, got {seed}")
    path = _path(file)
    require("altair", "plot", "plot()")
    require("vl_convert", "plot", "plot()", "vl-convert-python")
    return PlotArguments(
        color_by=color_by,
        color_type=color_type,
        label=label,
        limit=limit,
        method=method,
        seed=seed,
        width=width,
        height=height,
        file=path,
    )


def draw(
    arguments: PlotArguments, info: CollectionInfo, records: GetResult, total: int
) -> alt.Chart | alt.LayerChart:
    """Draw the chart of these records, out of `total`. Writes the file if one is requested."""
    ids, vectors = records["ids"], records["embeddings"]
    if not ids or vectors is None:
        raise InvalidArgumentError(
            f"there is nothing to plot: collection {info.name!r} has no records, or none that match where"
        )
    space = str(info.configuration["hnsw"]["space"])
    if space == "cosine":
        vectors = projection.unit(vectors)
    laid = projection.project(arguments.method, vectors, space, arguments.seed)
    made = chart.make(
        laid,
        title=f"{info.name}: {_amount(len(ids), total)}",
        ids=ids,
        documents=[text.short(entry or "") for entry in records["documents"] or [None] * len(ids)],
        label=None if arguments.label is None else (arguments.label, _labels(arguments.label, records)),
        color=None
        if arguments.color_by is None
        else (arguments.color_by, _values(records, arguments.color_by)),
        color_type=_checked_type(arguments, records),
        size=(arguments.width, arguments.height),
    )
    if arguments.file is not None:
        chart.write(made, arguments.file)
    return made


def _checked_type(arguments: PlotArguments, records: GetResult) -> str | None:
    """Return `color_type`. Raises InvalidArgumentError for a scale of values that are not all numbers."""
    key = arguments.color_by
    if arguments.color_type == "number" and key is not None:
        odd = [entry for entry in _values(records, key) if not chart.is_number(entry)]
        if odd:
            raise InvalidArgumentError(
                f"color_type='number': the key {shown(key)} has the value {shown(odd[0])}; pass 'category'"
            )
    return arguments.color_type


def _amount(drawn: int, total: int) -> str:
    return f"{drawn:,} of {total:,} records" if drawn < total else text.count(drawn, "record")


def _path(file: Any) -> Path | None:
    if file is None:
        return None
    if not isinstance(file, (str, os.PathLike)):
        raise InvalidTypeError(f"Expected file to be a path, got {shown(file)}")
    path = Path(file)
    if path.suffix.lower() not in _FORMATS:
        raise InvalidArgumentError(
            f"Expected file to end with one of {', '.join(_FORMATS)}, got {shown(str(file))}"
        )
    if not path.parent.is_dir():
        raise InvalidArgumentError(f"file={str(file)!r}: there is no folder {str(path.parent)!r}; make it")
    return path


def _labels(label: str, records: GetResult) -> list[str]:
    metadatas = records["metadatas"] or []
    if label in _COLUMNS and not any(label in metadata for metadata in metadatas if metadata):
        column: list[Any] = records[_COLUMNS[label]]
        return [text.short(entry or "", 60) for entry in column]
    return ["" if entry is None else text.value(entry, 60) for entry in _values(records, label, "label")]


def _values(records: GetResult, key: str, argument: str = "color_by") -> list[Any]:
    metadatas: list[Mapping[str, Any] | None] = list(records["metadatas"] or [])
    known = {name for metadata in metadatas if metadata for name in metadata}
    if key not in known:
        names = ", ".join(shown(name, 40) for name in sorted(known)[:30])
        raise InvalidArgumentError(
            f"{argument}={shown(key)} is no metadata key of these records; the keys are: {names or 'none'}"
        )
    return [None if metadata is None else metadata.get(key) for metadata in metadatas]
