"""Finds out why the first request to an address failed: http was meant where https is spoken, or the reverse.

Owns: the probe. It connects once more, sends no credentials, and runs only after a failure.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from ..errors import ServerConnectionError

_SECONDS = 2.0


def explained(error: ServerConnectionError, url: str) -> ServerConnectionError:
    """Return the error to raise for a first request to `url` that failed: one that names the right scheme,
    or the same error."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    broke = _has(error, httpx.RemoteProtocolError) or _has(error, httpx.ReadError)
    if parts.scheme == "http" and broke and _speaks_https(host, parts.port or 80):
        return ServerConnectionError(
            f"{parts.netloc} speaks https, not http: connect to https://{parts.netloc}, or pass ssl=True"
        )
    if parts.scheme == "https" and _has(error, ssl.SSLError) and _speaks_http(host, parts.port or 443):
        return ServerConnectionError(
            f"{parts.netloc} speaks http, not https: connect to http://{parts.netloc}, without ssl=True; or "
            "give the server a certificate (chroma run --ssl-certfile … --ssl-keyfile …)"
        )
    return error


def untrusted(error: BaseException) -> str | None:
    """Return why a server's certificate was refused, with the remedy. None if it was not."""
    found = _has(error, ssl.SSLCertVerificationError)
    if not isinstance(found, ssl.SSLCertVerificationError):
        return None
    why = getattr(found, "verify_message", "") or str(found)
    if "mismatch" in why or "not valid for" in why:
        return f"the server's certificate is for another name ({why}); use the name that it is for"
    if "expired" in why or "not yet valid" in why:
        return f"the server's certificate is out of date ({why}); it has to be renewed on the server"
    return (
        f"this machine does not know who issued the server's certificate ({why}); pass its certificate file "
        "as ca='ca.pem' (on the command line --ca ca.pem, as a variable CHROMA_CA)"
    )


def _has(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Return the first error of a kind among an error and what caused it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found


def _speaks_https(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent over this connection
    with suppress(OSError), socket.create_connection((host, port), _SECONDS) as plain:
        with context.wrap_socket(plain, server_hostname=host):
            return True
    return False


def _speaks_http(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), _SECONDS) as plain:
        plain.sendall(f"HEAD / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return plain.recv(5) == b"HTTP/"
    return False
