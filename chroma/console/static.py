"""The console's files: which there are, their media types, their bytes as they are and compressed.

Owns: the folder `static/`, and the headers that make browsers load nothing from anywhere else. A file is read
when it is first asked for, and again when it has changed, so that work on the console needs no restart.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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
    path = FOLDER / name
    if not _NAME.fullmatch(name) or path.suffix not in _TYPES or not path.is_file():
        return None
    found = path.stat()
    return _read(name, found.st_mtime_ns, found.st_size)


@lru_cache(256)
def _read(name: str, changed: int, size: int) -> Asset:
    path = FOLDER / name
    content = path.read_bytes()
    zipped = None if path.suffix in _COMPRESSED_ALREADY else gzip.compress(content, 9, mtime=0)
    if zipped is not None and len(zipped) >= len(content):
        zipped = None
    return Asset(content, zipped, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:24]}"')


def headers(frame_ancestors: Sequence[str] = ()) -> dict[str, str]:
    """The headers of every file. `frame_ancestors` are the origins whose pages may show the console."""
    framed = " ".join(frame_ancestors) or "'none'"
    allowed = {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {framed}",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",  # browsers ask with the ETag, so that an upgrade shows at once
        "Vary": "Accept-Encoding",
    }
    return allowed if frame_ancestors else allowed | {"X-Frame-Options": "DENY"}
