"""Derives a server's URL and the headers of requests from the settings.

Pure functions; nothing here opens a connection.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..config import Settings
from ..errors import ChromaAuthError, InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import printable, shown
from ..validation.sequences import check_encodable

# Programs pass this as `chroma_api_impl` to make `Client(settings)` return an HTTP client.
HTTP_IMPLEMENTATION = "chromadb.api.fastapi.FastAPI"

MEMORY = "in memory"  # the location of a client that has neither a folder nor a server

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[ -~\t]*")
_TOKEN_HEADERS = {"authorization": "Authorization", "x-chroma-token": "X-Chroma-Token"}


def is_http(settings: Settings) -> bool:
    """Whether the settings ask for an HTTP client."""
    return "fastapi" in settings.chroma_api_impl.lower()


def settings_for(
    host: str, port: int | str, ssl: bool, headers: Mapping[str, str] | None, settings: Settings | None
) -> Settings:
    """A copy of the settings that names the server; the caller's object is not changed.

    Raises InvalidArgumentError (a ValueError) if the settings name another server.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise InvalidTypeError(f"Expected settings to be a chroma.Settings, got {shown(settings)}")
    resolved = Settings() if settings is None else settings.copy()
    if not isinstance(host, str) or not host:
        raise InvalidArgumentError(
            f"Expected host to be a name, an address or a URL, got {shown(host)}; leave it out for "
            "'localhost'"
        )
    number = _port(port)
    for argument, key, value in (
        ("host", "chroma_server_host", host),
        ("port", "chroma_server_http_port", number),
    ):
        named = resolved[key]
        if named and named != value:
            raise InvalidArgumentError(
                f"Settings({key}={named!r}) names another server than {argument}={value!r}; "
                "give one of them, or the same in both"
            )
        setattr(resolved, key, value)
    resolved.chroma_api_impl = HTTP_IMPLEMENTATION
    resolved.chroma_server_ssl_enabled = bool(ssl) or bool(resolved.chroma_server_ssl_enabled)
    if headers is not None:
        resolved.chroma_server_headers = checked_headers(headers)
    base_url(resolved)  # rejects an invalid host before anything is opened
    return resolved


def sign_in(
    settings: Settings,
    token: str | None,
    user: tuple[str, str] | None,
    ca: str | os.PathLike[str] | None,
) -> Settings:
    """Set the credentials and the certificates of a copy that `settings_for` made. Returns it.

    Arguments that are not given come from CHROMA_TOKEN, CHROMA_USER and CHROMA_CA. If the settings, headers
    or URL have credentials, CHROMA_TOKEN and CHROMA_USER are ignored.
    """
    if token is not None and user is not None:
        raise InvalidArgumentError("token=… and user=… are two ways to sign in: give one")
    chosen = token is not None or user is not None
    if chosen and settings.chroma_client_auth_provider:
        raise InvalidArgumentError(
            f"{'token' if user is None else 'user'}=… and Settings(chroma_client_auth_provider=…) are two "
            "ways to sign in: give one"
        )
    if not chosen and not _has_credentials(settings):
        token, user = _from_environment()
    if token is not None:
        if not isinstance(token, str) or not token:
            got = "an empty text" if token == "" else type(token).__name__  # a secret is never shown
            raise InvalidArgumentError(f"Expected token to be a text that the server knows, got {got}")
        settings.chroma_client_auth_provider, settings.chroma_client_auth_credentials = "token", token
    elif user is not None:
        settings.chroma_client_auth_provider = "basic"
        settings.chroma_client_auth_credentials = _name_and_password(user)
    if ca is not None:
        if not base_url(settings).startswith("https"):
            raise InvalidArgumentError(
                f"ca={str(ca)!r} is for https, and {location_of(settings)} is not: pass ssl=True, or a URL "
                "that begins with https://"
            )
        settings.chroma_server_ssl_verify = os.fspath(ca)
    elif settings.chroma_server_ssl_verify is None and os.environ.get("CHROMA_CA"):
        settings.chroma_server_ssl_verify = os.environ["CHROMA_CA"]
    return settings


@contextmanager
def credentials_explained() -> Iterator[None]:
    """Tells in an error about credentials how a program in Python gives them."""
    try:
        yield
    except ChromaAuthError as error:
        error.args = (
            f"{error}; in Python with token='…' or user=('name', '…'), or in the variable CHROMA_TOKEN or "
            "CHROMA_USER",
        )
        raise


def _has_credentials(settings: Settings) -> bool:
    headers = {str(name).lower() for name in settings.chroma_server_headers or {}}  # checked later
    return (
        bool(settings.chroma_client_auth_provider)
        or not headers.isdisjoint(_TOKEN_HEADERS)
        or "@" in (settings.chroma_server_host or "")
    )


def _from_environment() -> tuple[str | None, tuple[str, str] | None]:
    token, user = os.environ.get("CHROMA_TOKEN") or None, os.environ.get("CHROMA_USER") or None
    if token and user:
        raise InvalidArgumentError(
            "the variables CHROMA_TOKEN and CHROMA_USER are two ways to sign in: set one of them"
        )
    if user is None:
        return token, None
    name, colon, password = user.partition(":")
    if not colon:
        raise InvalidArgumentError("the variable CHROMA_USER has no colon: expected name:password")
    return None, (name, password)


def _name_and_password(user: Any) -> str:
    pair = user if isinstance(user, (tuple, list)) and len(user) == 2 else ()
    if not pair or not all(isinstance(part, str) for part in pair) or not pair[0] or ":" in pair[0]:
        raise InvalidArgumentError(
            "Expected user to be a name, without a colon, and a password, as user=('ana', '…')"
        )
    return f"{pair[0]}:{pair[1]}"


def _port(port: Any) -> int:
    try:
        number = int(port)
    except (TypeError, ValueError, OverflowError):
        number = -1
    fractional = isinstance(port, (bool, bytes)) or (isinstance(port, float) and port != number)
    if fractional or not 0 < number < 65_536:
        raise InvalidArgumentError(f"Expected port to be a number from 1 to 65535, got {shown(port)}")
    return number


def checked_headers(headers: Any) -> dict[str, str]:
    """The headers as texts that a request can have. Numbers become their digits."""
    if not isinstance(headers, Mapping):
        raise InvalidTypeError(f"Expected headers to be a dict of names and texts, got {shown(headers)}")
    found = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidArgumentError(f"headers has the name {shown(name)}, which no header has")
        if not isinstance(value, (str, int, float)):
            raise InvalidTypeError(f"the header {name!r} is a {type(value).__name__}: expected a text")
        if not _HEADER_VALUE.fullmatch(str(value)):
            raise InvalidArgumentError(
                f"the header {name!r} has a character that no header has: expected printable ASCII"
            )
        found[str.__str__(name)] = str.__str__(value) if isinstance(value, str) else str(value)
    return found


def settings_for_cloud(
    host: str, port: int | str, ssl: bool, key: str | None, settings: Settings | None
) -> Settings:
    """Like `settings_for`, with a key that is sent as X-Chroma-Token.

    Raises InvalidArgumentError (a ValueError) if the key is missing.
    """
    key = key or os.environ.get("CHROMA_API_KEY") or None
    if key is None:
        raise InvalidArgumentError(
            "CloudClient needs a key: pass api_key=…, or set the environment variable CHROMA_API_KEY"
        )
    if not isinstance(key, str):
        raise InvalidTypeError(f"Expected api_key to be a str, got {type(key).__name__}")
    resolved = settings_for(host, port, ssl, None, settings)
    resolved.chroma_client_auth_provider = "chromadb.auth.token_authn.TokenAuthClientProvider"
    resolved.chroma_client_auth_credentials = key
    resolved.chroma_auth_token_transport_header = "X-Chroma-Token"  # noqa: S105 - a header's name
    return resolved


def base_url(settings: Settings) -> str:
    """The URL that all routes start with, such as `http://localhost:8000/api/v2`.

    The host may be a whole URL, with or without the path of the API. The port is then taken from the URL.
    """
    host = settings.chroma_server_host or "localhost"
    route = "/" + settings.chroma_server_api_default_path.strip("/")
    scheme, separator, _ = host.partition("://")
    if separator and scheme not in ("http", "https"):
        raise InvalidArgumentError(f"Invalid URL. Unrecognized protocol - {scheme}: host={shown(host)}")
    if not separator:
        if "/" in host:
            raise InvalidArgumentError(
                "Invalid URL. Seems that you are trying to pass URL as a host but without specifying the "
                f"protocol. Please add http:// or https:// to the host: host={shown(host)}"
            )
        scheme = "https" if settings.chroma_server_ssl_enabled else "http"
        if host.count(":") > 1 and not host.startswith("["):
            host = f"[{host}]"  # an IPv6 address
        elif ":" in host and not host.startswith("["):
            raise InvalidArgumentError(
                f"Invalid host {shown(host)}: pass the port as port=…, or a URL as http://{printable(host)}"
            )
        _check_host(host[1:-1] if host.startswith("[") and host.endswith("]") else host, host)
        return f"{scheme}://{host}:{_port(settings.chroma_server_http_port or 8000)}{route}"
    from urllib.parse import quote, urlsplit  # imported late: a database in a folder needs neither

    try:
        parts = urlsplit(host)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise InvalidArgumentError(f"Invalid URL. {error}: host={shown(host)}") from None
    if not parts.hostname:
        raise InvalidArgumentError(f"Invalid URL. It names no host: host={shown(host)}")
    _check_host(parts.hostname, host)
    if settings.chroma_server_ssl_enabled:
        scheme = "https"
    path = quote("/" + parts.path.strip("/"), safe="/%").rstrip("/")
    return f"{scheme}://{parts.netloc}{path if path.endswith(route) else path + route}"


def _check_host(name: str, given: str) -> None:
    """Raise InvalidArgumentError for a name or URL that no host can have, as with blanks or empty labels."""
    try:
        given.encode()
        if ":" in name:
            import ipaddress  # takes as long as a thousand other checks

            ipaddress.ip_address(name.partition("%")[0])
        else:
            name.rstrip(".").encode("idna")
    except ValueError as error:
        raise InvalidArgumentError(f"Invalid host {shown(given)}: {error!s:.200}") from None
    if not name.strip(".") or any(character.isspace() or not character.isprintable() for character in given):
        raise InvalidArgumentError(f"Invalid host {shown(given)}: it has a blank or an unprintable character")


def location_of(settings: Settings) -> str:
    """The location that a client is connected to, for display: the server's URL without path and credentials,
    or the folder."""
    if is_http(settings):
        from urllib.parse import urlsplit

        parts = urlsplit(base_url(settings))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return settings.persist_directory if settings.is_persistent else MEMORY


def headers_for(settings: Settings) -> dict[str, str]:
    """The headers of every request: the user agent, the caller's own headers, and the credentials."""
    from .._version import __version__

    python = ".".join(map(str, sys.version_info[:2]))
    headers = {
        "Accept": "application/json",
        "User-Agent": f"chroma-arrow/{__version__} (Python {python})",
    }
    headers.update(checked_headers(settings.chroma_server_headers or {}))
    headers.update(_credentials(settings))
    return headers


def warn_if_readable(settings: Settings, stacklevel: int) -> None:
    """Warn if credentials would be sent unencrypted, where others may read them.

    stacklevel  how many calls below the caller's program this is called
    """
    from urllib.parse import urlsplit

    parts = urlsplit(base_url(settings))
    names = {name.lower() for name in headers_for(settings)}
    if parts.scheme != "http" or (names.isdisjoint(_TOKEN_HEADERS) and "@" not in parts.netloc):
        return
    if not _is_this_machine(parts.hostname or ""):
        warnings.warn(
            f"credentials go to {location_of(settings)} unencrypted, and whoever is between can read and use "
            "them: use https, with ssl=True or a URL that begins with https://; `chroma run` speaks it with "
            "--ssl-certfile and --ssl-keyfile. In a network that you trust, silence this with "
            "warnings.filterwarnings('ignore', 'credentials go to')",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def _is_this_machine(host: str) -> bool:
    """Whether what is sent to a host does not leave the machine. Names are not resolved."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _credentials(settings: Settings) -> dict[str, str]:
    provider, secret = settings.chroma_client_auth_provider, settings.chroma_client_auth_credentials
    if not provider:
        if secret:
            raise InvalidArgumentError(
                "Settings(chroma_client_auth_credentials=…) needs chroma_client_auth_provider: "
                "'chromadb.auth.token_authn.TokenAuthClientProvider' or "
                "'chromadb.auth.basic_authn.BasicAuthClientProvider'"
            )
        return {}
    kind = provider.rpartition(".")[2].lower()
    if kind not in ("tokenauthclientprovider", "token", "basicauthclientprovider", "basic"):
        raise InvalidArgumentError(
            f"Settings(chroma_client_auth_provider={provider!r}) is not known: use "
            "'chromadb.auth.token_authn.TokenAuthClientProvider' or "
            "'chromadb.auth.basic_authn.BasicAuthClientProvider'"
        )
    if not secret:
        raise InvalidArgumentError(
            "Settings(chroma_client_auth_provider=…) needs chroma_client_auth_credentials"
        )
    if kind.startswith("basic"):
        check_encodable([secret], "Settings(chroma_client_auth_credentials=…)")
        if ":" not in secret:
            raise InvalidArgumentError(
                "--user, CHROMA_USER, or Settings(chroma_client_auth_credentials=…) for basic authentication "
                "holds no colon: it is 'user:password'"
            )
        return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode('ascii')}"}
    name = settings.chroma_auth_token_transport_header or "Authorization"
    header = _TOKEN_HEADERS.get(name.lower())
    if header is None:
        raise InvalidArgumentError(
            f"Settings(chroma_auth_token_transport_header={name!r}): expected Authorization or X-Chroma-Token"
        )
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidArgumentError(
            "the token, given as token=…, --token, CHROMA_TOKEN or "
            "Settings(chroma_client_auth_credentials=…), holds a character that no token has, such as a "
            "blank or the end of a line: pass token.strip()"
        )
    return {header: f"Bearer {secret}" if header == "Authorization" else secret}
