"""`ServerSettings`: what `chroma run` can be told, by option or by environment.

Every option has a variable CHROMA_<OPTION>; the names that operators of Chroma know stand for
the same settings. What promises safety and is not there yet is refused, never ignored.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..config import DEFAULT_PATH
from ..errors import InvalidArgumentError

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")

# Variables of other servers of this API, and the setting each stands for.
OLD_NAMES = {
    "ALLOW_RESET": "allow_reset",
    "PERSIST_DIRECTORY": "path",
    "CHROMA_SERVER_HOST": "host",
    "CHROMA_SERVER_HTTP_PORT": "port",
    "CHROMA_SERVER_CORS_ALLOW_ORIGINS": "cors_origins",
    "CHROMA_SERVER_THREAD_POOL_SIZE": "threads",
}

_REFUSED = {
    "CHROMA_SERVER_AUTHN_": "authentication is not available yet",
    "CHROMA_SERVER_AUTHZ_": "authorization is not available yet",
    "CHROMA_SERVER_AUTH_": "authentication is not available yet",
    "CHROMA_SERVER_NOFILE": "set the limit of open files with `ulimit -n`",
}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of one server.

    path           folder of the database; it is made if it is missing
    host, port     where to listen; port 0 takes any that is free
    workers        processes over the one folder
    threads        calls of the engine that run at once, per process
    queue          calls that may wait for a thread, per process; beyond that 503
    log_level      one of LOG_LEVELS
    allow_reset    whether POST /api/v2/reset deletes everything
    max_body_bytes longest request body; beyond that 413
    max_batch_size records per call that clients are told to keep to; larger calls work
    cors_origins   origins that browsers may call from; "*" is all
    allow_remote_without_auth  listen on other than loopback addresses without authentication
    drain_seconds  how long requests may take to finish after SIGTERM
    request_seconds  how long a body may take to arrive, and a call to be answered
    log_format     text or json
    metrics        whether GET /metrics answers
    otel_endpoint  where traces go by OTLP over HTTP; empty: nowhere
    otel_service_name  what they call this server
    """

    path: str = DEFAULT_PATH
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    threads: int = 16
    queue: int = 256
    log_level: str = "info"
    allow_reset: bool = False
    max_body_bytes: int = 1 << 30
    max_batch_size: int = 100_000
    cors_origins: tuple[str, ...] = ()
    allow_remote_without_auth: bool = False
    drain_seconds: int = 10
    request_seconds: int = 600
    log_format: str = "text"
    metrics: bool = True
    otel_endpoint: str = ""
    otel_service_name: str = "chroma"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("port", 0, 65_535), ("workers", 1, 256), ("threads", 1, 1024), ("queue", 0, 1_000_000),
            ("max_body_bytes", 1024, 1 << 40), ("max_batch_size", 1, 10_000_000), ("drain_seconds", 0, 3600),
            ("request_seconds", 1, 86_400),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidArgumentError(f"the setting {name} is {value}: expected {low} to {high}")
        if self.log_level not in LOG_LEVELS:
            raise InvalidArgumentError(
                f"the setting log_level is {self.log_level!r}: expected one of {', '.join(LOG_LEVELS)}"
            )
        if self.log_format not in ("text", "json"):
            raise InvalidArgumentError(
                f"the setting log_format is {self.log_format!r}: expected text or json"
            )
        if not self.path:
            raise InvalidArgumentError("the setting path is empty: name a folder")

    def check_reach(self) -> None:
        """Refuses to serve everybody who can reach the machine."""
        if not self.allow_remote_without_auth and not is_loopback(self.host):
            raise InvalidArgumentError(
                f"host {self.host!r} can be reached from other machines, and there is no authentication "
                "yet: listen on 127.0.0.1 behind a proxy that has it, or accept that everybody can read, "
                "change and delete everything with --allow-remote-without-auth"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def read_settings(options: Mapping[str, Any], environment: Mapping[str, str]) -> ServerSettings:
    """Options that are not None, then CHROMA_<NAME>, then the old names, then the defaults.

    Raises InvalidArgumentError, naming the variable, for values that cannot be read and for
    variables that ask for something the server does not have.
    """
    for name in sorted(environment):
        for start, reason in _REFUSED.items():
            if name.startswith(start) and environment[name].strip():
                raise InvalidArgumentError(f"the environment sets {name}: {reason}; unset it to start")
    values: dict[str, Any] = {}
    known = {field.name: field.default for field in fields(ServerSettings)}
    for old, name in OLD_NAMES.items():
        if environment.get(old, "").strip():
            values[name] = _read(environment[old], known[name], old)
    for name, default in known.items():
        variable = f"CHROMA_{name.upper()}"
        if name == "port" and environment.get(variable, "").startswith("tcp://"):
            continue  # Kubernetes sets this one itself for a service named chroma
        if environment.get(variable, "").strip():
            values[name] = _read(environment[variable], default, variable)
    values |= {name: value for name, value in options.items() if value is not None}
    return ServerSettings(**values)


def _read(text: str, default: Any, variable: str) -> Any:
    text = text.strip()
    if isinstance(default, bool):
        word = text.lower()
        if word in ("1", "true", "yes", "on"):
            return True
        if word in ("0", "false", "no", "off"):
            return False
        raise InvalidArgumentError(f"{variable} is {text!r}: expected true or false")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise InvalidArgumentError(f"{variable} is {text!r}: expected an integer") from None
    if isinstance(default, tuple):
        return _origins(text, variable)
    return text


def _origins(text: str, variable: str) -> tuple[str, ...]:
    """A JSON list, as the old variable has it, or origins with commas between them."""
    if not text.startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(origin, str) for origin in listed):
        raise InvalidArgumentError(f"{variable} is {text!r}: expected a list of origins")
    return tuple(listed)
