"""Protects the server from web pages of other origins, unless the settings allow them.

A browser sends requests on behalf of any page that it shows, and the browser's machine may be able to reach
this server. All requests other than plain reads are therefore rejected if they come from a page of another
origin. If the server requires no credentials, the Host header must also be one of the server's own names.
Without this check, an attacker could point another name at this server's address. A page of that name would
then look like a page of this server (DNS rebinding). Programs do not send the headers of browsers, so the
checks of the origin do not affect them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from ...errors import AuthorizationError, ChromaError
from ..settings.server_settings import ServerSettings, is_loopback

NO_SNIFFING = (b"x-content-type-options", b"nosniff")

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGES = (b"same-origin", b"none")  # "none": the user entered the address
_PORTS = {"http": 80, "https": 443}
# Nobody outside can register names in these domains. Names without a dot, which are accepted too, come from
# a DNS search list or a compose file.
_PRIVATE = (".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa")
# Names of this machine in hosts files and containers. Nobody outside can register them.
_LOCAL_NAMES = ("localhost.localdomain", "host.docker.internal")
_MOST_REMEMBERED = 256


class WrongHost(ChromaError):
    """The Host header names a server other than this one."""

    status = 421


class Gate:
    """Decides by the headers alone whether a request is rejected. `refusal` is called for every request."""

    def __init__(self, settings: ServerSettings) -> None:
        self._origins = frozenset(settings.cors_origins)
        self._hosts = tuple(name.lower() for name in settings.allowed_hosts)
        self._checks_host = not settings.authenticates or bool(self._hosts)
        self._private = not is_loopback(settings.host)
        self._own = {"localhost", *_LOCAL_NAMES, settings.host.strip("[]").lower()}
        if self._private:
            self._own.add(socket.gethostname().lower())
        self._known: set[bytes] = set()  # values of Host that were accepted before

    def refusal(self, method: str, headers: Mapping[bytes, bytes]) -> ChromaError | None:
        """The error for a request that is rejected; None if it is accepted."""
        host = headers.get(b"host")
        if self._checks_host and host and host not in self._known:  # browsers always send Host
            wrong = self._wrong_host(host)
            if wrong is not None:
                return wrong
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if (origin is None and site is None) or method in _READING:
            return None
        return self._foreign(origin, site, host)

    def _wrong_host(self, host: bytes) -> WrongHost | None:
        name = _name(host.decode("latin-1"))
        if not self._is_own(name):
            return WrongHost(
                f"this server is not known as {name!r:.300}: if it is meant, start it with --allowed-host "
                "and that name, or ask for credentials with --auth-file"
            )
        if len(self._known) < _MOST_REMEMBERED:
            self._known.add(host)
        return None

    def _is_own(self, name: str) -> bool:
        if name in self._own or name.endswith(".localhost") or _is_address(name):
            return True  # safe, because only names, not addresses, can be pointed at another server
        if self._private and name and ("." not in name or name.endswith(_PRIVATE)):
            return True
        return any(
            allowed in ("*", name) or (allowed.startswith("*.") and name.endswith(allowed[1:]))
            for allowed in self._hosts
        )

    def _foreign(self, origin: bytes | None, site: bytes | None, host: bytes | None) -> ChromaError | None:
        page = None if origin is None else origin.decode("latin-1")
        if "*" in self._origins or page in self._origins:
            return None
        if site is not None:  # set by the browser; correct even behind a proxy that changes Host
            own = site in _OWN_PAGES
        else:
            own = page is not None and host is not None and _is_same(page, host.decode("latin-1"))
        if own:
            return None
        where = "another site" if page in (None, "null") else f"{page!r:.300}"
        return AuthorizationError(
            f"a page of {where} may not do this: start the server with --cors-origin and the page's origin "
            "if it may"
        )


def _name(host: str) -> str:
    """The host name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, colon, port = host.rpartition(":")
    if colon and ":" not in name and (not port or port.isdigit()):
        host = name
    return host.strip().lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same(origin: str, host: str) -> bool:
    """Whether a page's origin is the server that the request was sent to."""
    try:
        page, server = urlsplit(origin), urlsplit(f"{origin.partition(':')[0]}://{host}")
        usual = _PORTS.get(page.scheme)
        return (
            usual is not None
            and page.hostname == server.hostname
            and (page.port or usual) == (server.port or usual)
        )
    except ValueError:
        return False
