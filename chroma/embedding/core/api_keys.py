"""The API keys of embedding providers: where they are read, and where they may be sent.

Invariant: a key stays in this process, except in requests to its provider. It is read from an argument
or an environment variable, and never appears in a configuration, a repr, an error or a URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from ...errors import AuthorizationError, InvalidArgumentError

HOSTS_VARIABLE = "CHROMA_EMBEDDING_HOSTS"

LATER: Any = object()
"""Given as `api_key` by `build_from_config`: the key is looked up at the first embedding, so that a
collection opens, and shows its configuration, where there is none."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[!-~]+")
_ADDRESS = re.compile(r"[!-\[\]-~]+")  # ASCII without spaces and backslashes
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.I)


class Key:
    """The API key of one embedding function.

    given     the `api_key` argument; None: the environment has the key; LATER: like None, but not checked now
    variable  the environment variable whose name is stored; None: the function works without a key
    usual     the provider's variables; if `variable` is one of them and is not set, the next one is used
    Raises InvalidArgumentError if a key is needed and none is set.
    """

    __module__ = "chroma.embedding"
    __slots__ = ("_given", "_source", "_usual", "stored", "variable")

    def __init__(self, source: str, given: str | None, variable: str | None, usual: Sequence[str]) -> None:
        if variable is not None and not (isinstance(variable, str) and _VARIABLE.fullmatch(variable)):
            raise InvalidArgumentError(
                f"{source}: `api_key_env_var` must be the name of an environment variable, such as "
                f"{usual[0]}; what was given cannot be one. A key itself goes into that variable or into "
                "`api_key`."
            )
        self.stored = given is LATER
        self.variable = variable
        self._source = source
        self._given = None if self.stored or given is None else _clean(given, source, "`api_key`")
        self._usual = tuple(usual) if variable in usual else ()
        if not self.stored:
            self.value()

    def value(self) -> str | None:
        """Return the current key. None if no key is set and none is needed."""
        if self._given is not None:
            return self._given
        if self.variable is None:
            return None
        names = list(dict.fromkeys((self.variable, *self._usual)))
        for name in names:
            if text := os.environ.get(name, "").strip():
                return _clean(text, self._source, f"the environment variable {name}")
        # a name in lower case may be a key that was passed by mistake, so the error does not repeat it
        shown = [name if name == name.upper() else "the one named by `api_key_env_var`" for name in names]
        raise InvalidArgumentError(
            f"{self._source} needs a key: pass `api_key`, or set the environment variable "
            f"{' or '.join(shown)}."
        )

    def __repr__(self) -> str:
        return f"Key({'argument' if self._given is not None else self.variable})"


def check_host(source: str, url: str) -> None:
    """Raise AuthorizationError unless the environment allows sending a key to the host of `url`.

    Applies to URLs from a stored configuration. Without this check, anyone who can write to a collection
    could make its readers send any of their environment variables to any host. Local hosts are allowed.
    """
    host = (urlsplit(url).hostname or "").lower()
    if host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host):
        return
    allowed = {name.strip().lower() for name in os.environ.get(HOSTS_VARIABLE, "").split(",")}
    if host not in allowed:
        raise AuthorizationError(
            f"The configuration stored with the collection tells {source} to send a key to {host!r}. If that "
            f"is right, set the environment variable {HOSTS_VARIABLE}={host}, or pass the function yourself: "
            f"get_collection(name, embedding_function={source}(…))."
        )


def check_url(source: str, argument: str, url: Any, *, whole: bool = False) -> str:
    """Return `url` without a trailing slash. `whole`: nothing is appended to the URL, so it may have a query.

    Raises InvalidArgumentError unless the URL is http(s) and all parsers find the same host in it. Also
    raises it if the URL contains secrets, which would be stored."""
    shown = f"{source}: `{argument}`"
    if not isinstance(url, str):
        raise InvalidArgumentError(f"{shown} must be a string such as 'http://localhost:8080', got {url!r}.")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and (parts.port or 1) > 0
        good = good and _HOST.fullmatch(parts.hostname or "") is not None
    except ValueError:
        good = False
    if not good or not _ADDRESS.fullmatch(url) or parts.fragment or (parts.query and not whole):
        raise InvalidArgumentError(f"{shown} must be a whole address such as 'http://localhost:8080'.")
    secrets = [name for name, _ in parse_qsl(parts.query) if is_secret_name(name)]
    if secrets or parts.username is not None or parts.password is not None:
        raise InvalidArgumentError(
            f"{shown} must not contain a password or a key: it is stored. Give the key by its own argument "
            "or variable."
        )
    return url.rstrip("/")


def as_path(source: str, argument: str, name: str) -> str:
    """Return a model's `name` as part of a URL path. Raises InvalidArgumentError if it leaves the path."""
    if not isinstance(name, str) or not all(part.strip(".") for part in name.split("/")):
        raise InvalidArgumentError(f"{source}: `{argument}` must be the name of a model, got {name!r}.")
    return quote(name, safe="/:")


def is_secret_name(name: str) -> bool:
    """Whether a header or an argument of this name is likely to hold a secret."""
    return re.search(r"auth|cookie|credential|key|password|secret|token", name, re.I) is not None


def _clean(text: object, source: str, origin: str) -> str:
    # the HTTP library would repeat a value that a header cannot hold in its error message
    if not isinstance(text, str) or not _SECRET.fullmatch(text.strip()):
        raise InvalidArgumentError(
            f"{source}: {origin} does not hold a key: keys are printable ASCII without spaces."
        )
    return text.strip()
