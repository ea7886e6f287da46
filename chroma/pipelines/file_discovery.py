"""Finds the files of a source in order, each with its format.

Arrow's file systems handle paths, globs, folders and URLs (s3://, gs://, hdfs://, file://).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Any, Literal

import pyarrow as pa
import pyarrow.fs as pafs

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..validation.sequences import check_encodable
from . import hive_partitions

Format = Literal["parquet", "arrow", "csv", "jsonl"]
FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
_MAGIC = re.compile(r"[*?\[]")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class File:
    """One file. `size` and `changed` (modification time in ns) show whether the file has changed.

    partition  the values of the columns that its folders hold, as in shop=north/part-0.parquet
    """

    path: str
    format: Format
    size: int
    changed: int | None
    system: Any
    partition: Mapping[str, pa.Scalar] = field(default_factory=dict)

    def file_version(self) -> list[Any]:
        """Return values that stay equal while the file is unchanged."""
        return [self.path, self.size, self.changed]


def is_source(value: Any) -> bool:
    """Whether a value names files: a path, or a list of them."""
    if isinstance(value, (str, os.PathLike)):
        return True
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(item, (str, os.PathLike)) for item in value)
    )


def named(source: Any, filesystem: Any = None) -> list[str]:
    """Return the paths of a source in a form that does not depend on the working directory."""
    sources: Sequence[Any] = source if isinstance(source, (list, tuple)) else [source]
    found = [system_of(os.fspath(item), filesystem) for item in sources]
    return [f"{getattr(system, 'type_name', type(system).__name__)}:{path}" for system, path in found]


def find(
    source: Any, format: str | None = None, filesystem: Any = None, without: str | None = None
) -> list[File]:
    """Return the files of a path, glob, folder or URL, or of a list of these, ordered by name. Excludes the
    local file `without`.

    Raises InvalidArgumentError if a path does not exist, a folder is empty, or a file has no known format.
    """
    if format is not None and format not in FORMATS.values():
        raise InvalidArgumentError(
            f"Expected format to be one of {', '.join(sorted(set(FORMATS.values())))}, got {shown(format)}"
        )
    sources: Sequence[Any] = source if isinstance(source, (list, tuple)) else [source]
    found: list[File] = []
    roots: list[str] = []
    for item in sources:
        files, root = _files(check_path(item, "source"), format, filesystem, without)
        found += files
        roots += [root] * len(files)
    paths = [file.path for file in found]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise InvalidArgumentError(f"the source names {twice} twice")
    partitions = hive_partitions.columns(paths, roots)
    return [replace(file, partition=partition) for file, partition in zip(found, partitions)]


def system_of(path: str, filesystem: Any = None) -> tuple[Any, str]:
    """Return the Arrow file system of a path or URL, and the path in it."""
    if isinstance(filesystem, pafs.FileSystem):
        return filesystem, path
    if filesystem is not None:
        if not hasattr(filesystem, "protocol"):
            raise InvalidTypeError(
                f"Expected filesystem to be a file system of Arrow or fsspec, got {shown(filesystem)}"
            )
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path
    if not _URL.match(path):
        return pafs.LocalFileSystem(), os.path.abspath(os.path.expanduser(path))
    try:
        system, inner = pafs.FileSystem.from_uri(path)
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(
            f"the address {shown(path, 200)} cannot be used: {error}; pass filesystem= with an Arrow or "
            "fsspec file system and the path on it"
        ) from None
    return system, inner


def _files(path: str, format: str | None, filesystem: Any, without: str | None) -> tuple[list[File], str]:
    """Return the files that a path names, and the folder in which it looks for them."""
    system, inner = system_of(path, filesystem)
    try:
        infos = _infos(system, inner)
    except OSError as error:
        raise InvalidArgumentError(f"the source {shown(path, 200)} cannot be read: {error}") from None
    if without is not None and isinstance(system, pafs.LocalFileSystem):
        if [info.path for info in infos] == [inner] == [without]:
            raise InvalidArgumentError(
                f"{shown(inner, 200)} is both the source and the file for rejected rows"
            )
        infos = [info for info in infos if info.path != without]
    files = []
    for info in sorted(infos, key=lambda info: info.path):
        kind = format_of(info.path, format)
        if kind is None:
            if len(infos) > 1:
                continue  # another file in a folder
            raise InvalidArgumentError(
                f"the file {shown(info.path, 200)} has no known ending: pass format='parquet', 'csv', "
                "'jsonl' or 'arrow'"
            )
        files.append(File(info.path, kind, info.size, info.mtime_ns, system))
    if not files:
        raise InvalidArgumentError(
            f"the source {shown(path, 200)} has no files to load: expected some that end with "
            f"{', '.join(FORMATS)}"
        )
    return files, _fixed(inner)


def _infos(system: Any, path: str) -> list[Any]:
    info = system.get_file_info(path)
    if info.type == pafs.FileType.NotFound and _MAGIC.search(path):
        return _globbed(system, path)
    if info.type == pafs.FileType.NotFound:
        raise InvalidArgumentError(f"there is no file or folder {shown(path, 200)}")
    if info.type == pafs.FileType.File:
        return [info]
    return _below(system, path)


def _below(system: Any, folder: str) -> list[Any]:
    """Return all files below a folder, except the hidden files that other programs write beside data."""
    found = system.get_file_info(pafs.FileSelector(folder, recursive=True))
    start = len(folder.rstrip("/")) + 1
    return [
        info
        for info in found
        if info.type == pafs.FileType.File and not any(map(_hidden, info.path[start:].split("/")))
    ]


def _hidden(name: str) -> bool:
    """Whether a name is of what other programs write beside data. A column may be called _a: _a=1 is data."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _fixed(path: str) -> str:
    """Return a path, or the folder that all files of a pattern are below."""
    return _MAGIC.split(path, maxsplit=1)[0].rpartition("/")[0] or "/" if _MAGIC.search(path) else path


def _globbed(system: Any, pattern: str) -> list[Any]:
    fixed = _fixed(pattern)
    if system.get_file_info(fixed).type == pafs.FileType.NotFound:
        raise InvalidArgumentError(f"there is no folder {shown(fixed, 200)}")
    parts = pattern.split("/")
    found = [info for info in _below(system, fixed) if _matches(info.path.split("/"), parts)]
    if not found:
        raise InvalidArgumentError(f"no file matches {shown(pattern, 200)}")
    return found


def _matches(path: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path matches a pattern, compared part by part. ** matches any number of folders."""
    if not parts:
        return not path
    if parts[0] == "**":
        return any(_matches(path[skip:], parts[1:]) for skip in range(len(path) + 1))
    return bool(path) and fnmatch(path[0], parts[0]) and _matches(path[1:], parts[1:])


def format_of(path: str, given: str | None = None) -> Format | None:
    """Return the given format, else the format that the file extension indicates, else None."""
    if given is not None:
        return given  # type: ignore[return-value]
    stem, ending = os.path.splitext(path.lower())
    if ending in _COMPRESSED:
        ending = os.path.splitext(stem)[1]
    return FORMATS.get(ending)


def check_path(path: Any, name: str) -> str:
    """Return a path as a string."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(f"Expected {name} to be a path or URL, got {shown(path)}")
    text = os.fspath(path)
    if isinstance(text, str):
        check_encodable([text], name)  # Arrow opens no other paths
    return text
