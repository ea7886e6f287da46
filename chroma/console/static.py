"""The console's files: which there are, their media types, their bytes as they are and compressed.

Owns: the folder `static/`, and the headers that make browsers load nothing from anywhere else. A file is read
when it is first asked for, and again when it has changed, so that work on the console needs no restart.

The page refers to files below the version of the folder, which changes with each of them. Browsers keep such
a file for ever. Modules import each other by relative names, so they are below the same version.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .._version import __version__

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_COMPRESSED_ALREADY = frozenset({".png", ".woff2"})
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+]*-[0-9a-f]{12}")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(f"{_PART}(?:/{_PART})*")  # no dot first, so that no name leaves the folder


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. `zipped` is None if compression does not make it shorter."""

    content: bytes
    zipped: bytes | None
    media_type: str
    etag: str


def find(name: str) -> Asset | None:
    """The file with this name, relative to the folder; None if there is none that browsers may load."""
    if name == INDEX:
        return _page(version())
    path = FOLDER / name
    if not _NAME.fullmatch(name) or path.suffix not in _TYPES or not path.is_file():
        return None
    found = path.stat()
    return _read(name, found.st_mtime_ns, found.st_size)


def version() -> str:
    """The version of the folder: that of the package, and a hash of the names and contents of all files."""
    found = sorted(path for path in FOLDER.rglob("*") if path.suffix in _TYPES)
    stats = ((path, path.stat()) for path in found)
    return _version(tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats))


@lru_cache(4)
def _version(files: tuple[tuple[str, int, int], ...]) -> str:
    found = hashlib.sha256()
    for path, _, _ in files:
        found.update(Path(path).relative_to(FOLDER).as_posix().encode() + b"\0")
        found.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return f"{__version__}-{found.hexdigest()[:12]}"


def unversioned(name: str) -> tuple[str, bool]:
    """The name of a file without a version before it, and whether that is the version of the folder.

    A page that was opened before an upgrade may ask for files below the old version. It gets the new ones.
    """
    first, _, rest = name.partition("/")
    if not rest or not _VERSION.fullmatch(first):
        return name, False
    return rest, first == version()


@lru_cache(4)
def _page(version: str) -> Asset:
    content = (FOLDER / INDEX).read_bytes().replace(b'"static/', f'"static/{version}/'.encode())
    return _asset(INDEX, content)


@lru_cache(256)
def _read(name: str, changed: int, size: int) -> Asset:
    return _asset(name, (FOLDER / name).read_bytes())


def _asset(name: str, content: bytes) -> Asset:
    suffix = Path(name).suffix
    zipped = None if suffix in _COMPRESSED_ALREADY else gzip.compress(content, 9, mtime=0)
    if zipped is not None and len(zipped) >= len(content):
        zipped = None
    return Asset(content, zipped, _TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:24]}"')


def headers(frame_ancestors: Sequence[str] = (), *, immutable: bool = False) -> dict[str, str]:
    """The headers of every file. `frame_ancestors` are the origins whose pages may show the console."""
    framed = " ".join(frame_ancestors) or "'none'"
    allowed = {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {framed}",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # otherwise browsers ask with the ETag, so that an upgrade shows at once
        "Cache-Control": "public, max-age=31536000, immutable" if immutable else "no-cache",
        "Vary": "Accept-Encoding",
    }
    return allowed if frame_ancestors else allowed | {"X-Frame-Options": "DENY"}
