"""Encodes requests and interprets their outcomes. Sends nothing itself.

Owns: which requests are retried and after how long; the translation of network and server errors to those
of `chroma.errors`; the options of a connection pool.
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
from ..storage.interface import unmatched
from ..storage.interface.short_repr import shown
from ..wire import json_codec, warning_header
from .scheme_mismatch import untrusted

JSON_TYPE = "application/json"

# Seconds to wait before the second, third, … attempt. Each varies at random by up to half, so that
# clients disconnected at the same time do not all retry at the same time.
_PAUSES = (0.1, 0.3, 0.9, 2.0, 4.0)
_LONGEST_PAUSE = 30.0  # the limit on the seconds that a server asks for in Retry-After

_BUSY = (429, 502, 503)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)


# ---------------------------------------------------------------------------- requests


def encode(body: Any) -> bytes:
    """A JSON value as bytes. The caller has checked that it contains no NaN."""
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")


def segment(name: str) -> str:
    """A name quoted as one segment of a path, whatever characters it contains."""
    if not name:
        raise errors.NotFoundError("nothing has the empty name ''")
    try:
        quoted = quote(name, safe="")
    except UnicodeEncodeError:
        raise errors.InvalidArgumentError(f"the name {shown(name)} is not valid Unicode") from None
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted  # ".." would name the parent


def shown_url(base: str) -> str:
    """A URL without its credentials, for messages."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def pool_options(settings: Settings, secure: bool) -> dict[str, Any]:
    """The arguments of the connection pool, from the settings."""
    connect, whole = settings.chroma_http_connect_timeout_secs, settings.chroma_http_timeout_secs
    verify = settings.chroma_server_ssl_verify
    context: Any = secure and verify is not False  # False without TLS: loading certificates is slow
    if secure and isinstance(verify, str):
        import ssl

        try:
            context = ssl.create_default_context(cafile=verify)
        except (OSError, ValueError) as error:
            raise errors.InvalidArgumentError(
                f"{shown(verify)} is no file of certificates: {error}. It is named by ca=…, --ca, CHROMA_CA "
                "or Settings(chroma_server_ssl_verify=…)"
            ) from None
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
    """Whether a retry may succeed and is harmless even if the first attempt already took effect.

    `repeatable`: the request is idempotent. Other requests are retried only if the first attempt certainly
    had no effect. A timed-out request is not retried, because the server may still be executing it.
    """
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _BUSY and (repeatable or outcome.status_code == 429)
    if untrusted(outcome) is not None:
        return False
    return isinstance(outcome, _NOT_SENT) or (repeatable and isinstance(outcome, _BROKEN))


def pause(attempt: int, outcome: httpx.Response | httpx.HTTPError) -> float:
    """Seconds to wait before the next attempt: the server's Retry-After, otherwise a growing time with
    random variation."""
    wish = outcome.headers.get("Retry-After", "") if isinstance(outcome, httpx.Response) else ""
    if wish.isdecimal():
        return min(float(wish), _LONGEST_PAUSE)
    return _PAUSES[min(attempt, len(_PAUSES) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311 - not secret


# ---------------------------------------------------------------------------- outcomes


@contextmanager
def network_errors(url: str) -> Iterator[None]:
    """A context manager that raises network errors as errors of `chroma.errors`."""
    try:
        yield
    except httpx.HTTPError as error:
        raise network_error(error, url) from error


def network_error(error: httpx.HTTPError, url: str) -> errors.ChromaError:
    """The error of `chroma.errors` for a network error."""
    reason = str(error) or type(error).__name__
    refused = untrusted(error)
    if refused is not None:
        return errors.ServerConnectionError(f"no connection to {url}: {refused}")
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
        f"the connection to {url} broke: {reason.rstrip('.')}; the call may have taken effect"
    )


def read_json(response: httpx.Response, url: str) -> Any:
    """The JSON of a successful response."""
    try:
        return json.loads(response.content)
    except ValueError:
        raise errors.ServerConnectionError(
            f"{url} does not answer as a Chroma server: expected JSON, "
            f"got {shown(response.text)} from {response.request.url.path}"
        ) from None


def report_unmatched(response: httpx.Response) -> None:
    """Give the server's warnings of unmatched conditions as warnings of this process."""
    header = response.headers.get(warning_header.NAME)
    if header is not None:
        unmatched.report(warning_header.decode(header))


def error_of(response: httpx.Response) -> Exception:
    """The exception for an unsuccessful response.

    If the body is not JSON or names an unknown error, returns a plain Exception with the text of the
    response. If there is no body, the status determines the exception.
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
