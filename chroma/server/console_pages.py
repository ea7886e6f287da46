"""The handlers of the pages: the console's files, the redirects to it, and the greeting at `/`.

All locations are relative, so that they hold behind a proxy that serves the server under a prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console import static
from ..errors import NotFoundError
from .http.responses import Ready, to_json

if TYPE_CHECKING:
    from .routes import Call

_JSON = "application/json"


def greeting(call: Call) -> Ready:
    """What this server is, for programs. Browsers are sent to the console."""
    console = "console/" if call.settings.console else None
    if console is not None and "text/html" in call.headers.get("accept", "").lower():
        return _moved(console, 303)
    about = {"name": "Chroma-on-Arrow", "version": call.backend.version(), "docs": "docs", "console": console}
    return Ready(to_json(about), _JSON, {"Vary": "Accept"})


def console(call: Call) -> Ready:
    """The address of the console without its last slash."""
    return _moved("console/", 307)


def console_index(call: Call) -> Ready:
    """The console's page."""
    return _file(call, static.INDEX)


def console_file(call: Call) -> Ready:
    """A file of the console."""
    name, current = static.unversioned(call.encoded["path"])
    return _file(call, name, immutable=current)


def _moved(where: str, status: int) -> Ready:
    return Ready(b"", "text/plain", {"Location": where, "Vary": "Accept"}, status)


def _file(call: Call, name: str, *, immutable: bool = False) -> Ready:
    found = static.find(name)
    if found is None:
        raise NotFoundError(f"the console has no file {name!r:.200}")
    headers = static.headers(call.settings.console_frame_ancestors, immutable=immutable)
    headers["ETag"] = found.etag
    known = [tag.strip().removeprefix("W/") for tag in call.headers.get("if-none-match", "").split(",")]
    if found.etag in known or known == ["*"]:
        return Ready(b"", found.media_type, headers, 304)
    if found.zipped is not None and _takes_gzip(call.headers.get("accept-encoding", "")):
        return Ready(found.zipped, found.media_type, headers | {"Content-Encoding": "gzip"})
    return Ready(found.content, found.media_type, headers)


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in ("gzip", "*") and quality.replace(" ", "") not in (
            "q=0",
            "q=0.0",
            "q=0.00",
            "q=0.000",
        ):
            return True
    return False
