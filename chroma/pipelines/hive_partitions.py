"""Reads the columns that folders hold, as Hive, Spark and pandas write them: shop=north/part-0.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

import pyarrow as pa

from .text_types import decided

NONE = "__HIVE_DEFAULT_PARTITION__"  # the folder of rows without a value


def columns(paths: Sequence[str], roots: Sequence[str]) -> list[dict[str, pa.Scalar]]:
    """Return the values that the folders of each file hold, by column.

    Folders below a file's root count, and those right above the file. The values of all files decide the
    type of a column: int64, float64, bool or string, so that 01067 remains as it is.
    """
    found = [_pairs(path, root) for path, root in zip(paths, roots, strict=True)]
    names = dict.fromkeys(name for pairs in found for name in pairs)
    arrays = {name: decided([pairs.get(name) for pairs in found]) for name in names}
    return [{name: arrays[name][row] for name in pairs} for row, pairs in enumerate(found)]


def _pairs(path: str, root: str) -> dict[str, str | None]:
    folders = path.split("/")[:-1]
    below = len(root.rstrip("/").split("/")) if path.startswith(root.rstrip("/") + "/") else len(folders)
    while below and "=" in folders[below - 1]:
        below -= 1
    pairs = [folder.split("=", 1) for folder in folders[below:] if "=" in folder[1:]]
    return {unquote(name): None if value == NONE else unquote(value) for name, value in pairs}
