"""What goes into a request and what its outcome means, without sending anything.

Owns: what is repeated and after how long; errors of the network and of a server as those of
`chroma.errors`; the options of a connection pool.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from .. import errors
from ..config import Settings
from ..storage.interface.short_repr import shown
from ..wire import json_codec

JSON_TYPE = "application/json"

# Before the second, third, … attempt, in seconds; each is varied by half, so that clients
# that were cut off together do not come back together.
_PAUSES = (0.1, 0.3, 0.9, 2.0, 4.0)
_LONGEST_PAUSE = 30.0  # whatever a server asks for in Retry-After

_BUSY = (429, 502, 503)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)


# ---------------------------------------------------------------------------- requests


def encode(body: Any) -> bytes:
    """A JSON value as bytes. The values were checked: there is no NaN among them."""
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")


def segment(name: str) -> str:
    """A name as one segment of a path, whatever it holds."""
    if not name:
        raise errors.NotFoundError("nothing has the empty name ''")
    try:
        quoted = quote(name, safe="")
    except UnicodeEncodeError:
        raise errors.InvalidArgumentError(f"the name {shown(name)} is not valid Unicode") from None
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted  # ".." would climb


def shown_url(base: str) -> str:
    """A URL without credentials, as messages show it."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def pool_options(settings: Settings, secure: bool) -> dict[str, Any]:
    """The settings as the pool takes them."""
    connect, whole = settings.chroma_http_connect_timeout_secs, settings.chroma_http_timeout_secs
    verify = settings.chroma_server_ssl_verify
    context: Any = secure and verify is not False  # reading the certificates takes time
    if secure and isinstance(verify, str):
        import ssl

        context = ssl.create_default_context(cafile=verify)
    return {
        "timeout": httpx.Timeout(whole, connect=connect, pool=None),
        "limits": httpx.Limits(
            max_connections=settings.chroma_http_max_connections,
            max_keepalive_connections=settings.chroma_http_max_keepalive_connections,
            keepalive_expiry=settings.chroma_http_keepalive_secs,
        ),
        "verify": context,
    }


# ---------------------------------------------------------------------------- repeating


def worth_repeating(outcome: httpx.Response | httpx.HTTPError, repeatable: bool) -> bool:
    """Whether the same request may succeed a little later, and does no harm if it took effect already.

    `repeatable`: two such requests do what one does. Others are worth it only where the first
    surely did nothing. After a timeout the server may still be at it: no second request.
    """
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _BUSY and (repeatable or outcome.status_code == 429)
    return isinstance(outcome, _NOT_SENT) or (repeatable and isinstance(outcome, _BROKEN))


def pause(attempt: int, outcome: httpx.Response | httpx.HTTPError) -> float:
    """How long to wait: what the server wishes, else a growing, varied time."""
    wish = outcome.headers.get("Retry-After", "") if isinstance(outcome, httpx.Response) else ""
    if wish.isdecimal():
        return min(float(wish), _LONGEST_PAUSE)
    return _PAUSES[min(attempt, len(_PAUSES) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311 - not secret


# ---------------------------------------------------------------------------- outcomes


@contextmanager
def network_errors(url: str) -> Iterator[None]:
    """A block in which what goes wrong on the network is raised as a class of `chroma.errors`."""
    try:
        yield
    except httpx.HTTPError as error:
        raise network_error(error, url) from error


def network_error(error: httpx.HTTPError, url: str) -> errors.ChromaError:
    """What went wrong on the way to a server or back, as a class of `chroma.errors`."""
    reason = str(error) or type(error).__name__
    if isinstance(error, _NOT_SENT):
        return errors.ServerConnectionError(
            f"Could not connect to a Chroma server. Are you sure it is running at {url}? ({reason})"
        )
    if isinstance(error, httpx.TimeoutException):
        return errors.ServerTimeoutError(
            f"no answer from {url} in time ({type(error).__name__}); the call may still take "
            "effect. Settings(chroma_http_timeout_secs=…) sets the limit"
        )
    return errors.ServerConnectionError(
        f"the connection to {url} broke: {reason}; the call may have taken effect"
    )


def read_json(response: httpx.Response, url: str) -> Any:
    """The JSON of an answer that is a success."""
    try:
        return json.loads(response.content)
    except ValueError:
        raise errors.ServerConnectionError(
            f"{url} does not answer as a Chroma server: expected JSON, "
            f"got {shown(response.text)} from {response.request.url.path}"
        ) from None


def error_of(response: httpx.Response) -> Exception:
    """The exception for an answer that is not a success.

    A name that is not on the wire's list, or a text that is no JSON, gives a plain Exception
    with what the server said; an answer without a body is told by its status.
    """
    text = response.text
    try:
        body = json.loads(text) if text else None
    except ValueError:
        return Exception(text)
    named = body is not None and body != {}
    if named and not json_codec.is_known_error(body):
        return Exception(text)
    return json_codec.error_from_json(response.status_code, body, response.headers.get("chroma-trace-id"))
