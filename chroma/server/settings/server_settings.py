"""`ServerSettings`: all settings of a server, each declared once.

The option of `chroma run`, the variable CHROMA_<NAME>, the key of the configuration file, the help text and
the bounds are all derived from the declarations here. `sources` reads the values.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from ...config import DEFAULT_PATH
from ...errors import InvalidArgumentError

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
LOG_FORMATS = ("text", "json")
TOKEN_HEADERS = ("Authorization", "X-Chroma-Token")

_HOST = re.compile(r"\*|(\*\.)?[^\s/:*@]+")

_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9._\[\]:-]+")

GROUPS = (_DATABASE, _LISTENING, _SAFETY, _LIMITS, _LOGS) = (
    "Database",
    "Listening",
    "Safety",
    "Limits",
    "Logs and measurements",
)


@dataclass(frozen=True, slots=True)
class About:
    """The declaration of a setting, without its name, type and default.

    group    the heading in the help
    help     the help text, one line
    low, high  the bounds of a number
    choices  the allowed values, if they are few
    secret   whether it can be set only by a variable, not by an option or file, and is never shown
    shown    the default as shown in the help
    item     the name of a list's item in the help
    """

    group: str
    help: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    secret: bool = False
    shown: str = ""
    item: str = ""


def _is(default: Any, group: str, help: str, low: int = 0, high: int = 0, **more: Any) -> Any:
    about = About(group, help, low, high, **more)
    return field(default=default, metadata={"about": about}, repr=not about.secret)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of one server. Raises InvalidArgumentError for values outside the bounds.

    `cors_origins` is a tuple of origins, where "*" allows all. `allowed_hosts` is a tuple of host names. An
    empty string means "not set".
    """

    path: str = _is(DEFAULT_PATH, _DATABASE, "Folder of the database; it is made if it is missing.")
    require_existing: bool = _is(
        False, _DATABASE, "Refuse to start if the folder holds no database, as where a disk is not mounted."
    )
    allow_reset: bool = _is(False, _DATABASE, "Let clients delete everything by reset.")
    backup_dir: str = _is("", _DATABASE, "Folder in which admins may make backups through the server.")
    max_batch_size: int = _is(
        100_000,
        _DATABASE,
        "Records per call that clients are told to keep to; larger calls work.",
        1,
        10_000_000,
    )
    memory_limit_bytes: int = _is(
        0,
        _DATABASE,
        "Memory of indexes and metadata columns, all processes; 0: half of what there is.",
        0,
        1 << 50,
        shown="half",
    )

    host: str = _is("127.0.0.1", _LISTENING, "Address to listen on.")
    port: int = _is(8000, _LISTENING, "Port; 0 takes a free one.", 0, 65_535)
    workers: int = _is(1, _LISTENING, "Processes over the one folder.", 1, 256)
    cors_origins: tuple[str, ...] = _is(
        (), _LISTENING, "Origin that browsers may call from, or *. Repeatable.", item="ORIGIN"
    )
    allowed_hosts: tuple[str, ...] = _is(
        (),
        _LISTENING,
        "Name that clients may call the server by, *.name, or *. Repeatable.",
        item="NAME",
    )
    console: bool = _is(True, _LISTENING, "Serve the console for browsers, at /console/.")
    console_frame_ancestors: tuple[str, ...] = _is(
        (), _LISTENING, "Origin whose pages may show the console in a frame. Repeatable.", item="ORIGIN"
    )
    keep_alive_seconds: int = _is(75, _LISTENING, "How long an idle connection stays open.", 1, 86_400)
    max_connections: int = _is(
        4096, _LISTENING, "Connections at once, per process; idle ones end for more.", 1, 1_000_000
    )
    drain_seconds: int = _is(10, _LISTENING, "How long requests may take to finish at a stop.", 0, 3600)

    auth_file: str = _is("", _SAFETY, "File of who may do what; see `chroma auth`.")
    auth_token_header: str = _is(
        "", _SAFETY, "Take tokens from this header only.", choices=TOKEN_HEADERS, shown="either"
    )
    auth_token: str = _is("", _SAFETY, "The one token that may do everything.", secret=True)
    ssl_certfile: str = _is("", _SAFETY, "Certificate chain in PEM; turns TLS on.")
    ssl_keyfile: str = _is("", _SAFETY, "The key of the certificate, in PEM.")
    ssl_keyfile_password: str = _is("", _SAFETY, "The password of the key.", secret=True)
    allow_remote_without_auth: bool = _is(
        False, _SAFETY, "Permit a --host that other machines reach, without authentication."
    )

    threads: int = _is(16, _LIMITS, "Calls that run at once, per process.", 1, 1024)
    queue: int = _is(256, _LIMITS, "Calls that may wait, per process; beyond that 503.", 0, 1_000_000)
    request_seconds: int = _is(600, _LIMITS, "How long a request may take.", 1, 86_400)
    idle_seconds: int = _is(
        60, _LIMITS, "How long a client may send or take nothing, where it is waited for.", 1, 86_400
    )
    min_bytes_per_second: int = _is(
        4096, _LIMITS, "What a client must send or take on average over as long.", 1, 1 << 30
    )
    max_body_bytes: int = _is(
        1 << 30, _LIMITS, "Longest request, unpacked; beyond that 413.", 1024, 1 << 40, shown="1 GiB"
    )
    max_answer_bytes: int = _is(
        256 << 20,
        _LIMITS,
        "What a query may hold in memory where it is not streamed; beyond that 413.",
        1024,
        1 << 40,
        shown="256 MiB",
    )
    max_header_bytes: int = _is(
        65_536, _LIMITS, "Longest request line and headers.", 1024, 1 << 24, shown="64 KiB"
    )

    log_level: str = _is("info", _LOGS, "info has a line for every request.", choices=LOG_LEVELS)
    log_format: str = _is("text", _LOGS, "One line or one JSON object per entry.", choices=LOG_FORMATS)
    metrics: bool = _is(True, _LOGS, "Answer /metrics, for Prometheus.")
    metrics_listen: str = _is("", _LOGS, "HOST:PORT for the metrics alone, without credentials.")
    otel_endpoint: str = _is("", _LOGS, "Where OpenTelemetry traces go.")
    otel_service_name: str = _is("chroma", _LOGS, "The name of this server in traces.")

    def __post_init__(self) -> None:
        for name, default, about in declared():
            value = getattr(self, name)
            if isinstance(default, int) and not isinstance(default, bool):
                if not about.low <= value <= about.high:
                    raise InvalidArgumentError(
                        f"the setting {name} is {value}: expected {about.low} to {about.high}"
                    )
            elif about.choices and value not in (default, *about.choices):
                raise InvalidArgumentError(
                    f"the setting {name} is {value!r}: expected one of {', '.join(about.choices)}"
                )
        for name in self.allowed_hosts:
            if not _HOST.fullmatch(name):
                raise InvalidArgumentError(
                    f"the setting allowed_hosts has {name!r}: expected a name without scheme, port and path, "
                    "as db.example.org, *.example.org or *"
                )
        for origin in self.console_frame_ancestors:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidArgumentError(
                    f"the setting console_frame_ancestors has {origin!r}: expected an origin, as "
                    "https://wiki.example.org"
                )
        if not self.path:
            raise InvalidArgumentError("the setting path is empty: name a folder")
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            given, missing = ("certfile", "keyfile") if self.ssl_certfile else ("keyfile", "certfile")
            raise InvalidArgumentError(
                f"ssl_{given} is set and ssl_{missing} is not: TLS needs --ssl-certfile and --ssl-keyfile"
            )
        self._check_metrics()
        if self.auth_file and self.auth_token:
            raise InvalidArgumentError(
                "auth_file and a token by variable are both set: keep one; `chroma auth create` puts "
                "tokens into the file"
            )

    def _check_metrics(self) -> None:
        if not self.metrics_listen:
            return
        host, port = self.metrics_address
        if not host or not 0 <= port <= 65_535:
            raise InvalidArgumentError(
                f"the setting metrics_listen is {self.metrics_listen!r}: expected HOST:PORT, as "
                "127.0.0.1:9464"
            )
        if not self.metrics:
            raise InvalidArgumentError(
                "metrics_listen is set and metrics is off: drop --no-metrics or --metrics-listen"
            )

    @property
    def metrics_address(self) -> tuple[str, int]:
        """The host and port in `metrics_listen`. The port is -1 if it is no number."""
        host, _, port = self.metrics_listen.rpartition(":")
        return host.strip("[]"), int(port) if port.isascii() and port.isdigit() else -1

    @property
    def authenticates(self) -> bool:
        """Whether callers must authenticate."""
        return bool(self.auth_file or self.auth_token)

    @property
    def encrypts(self) -> bool:
        """Whether the server uses TLS."""
        return bool(self.ssl_certfile)

    def check_reach(self) -> None:
        """Raises InvalidArgumentError if other machines could use the server without authentication, unless
        the settings allow that."""
        if self.authenticates or self.allow_remote_without_auth or is_loopback(self.host):
            return
        raise InvalidArgumentError(
            f"host {self.host!r} can be reached from other machines, and no authentication is set: make "
            "credentials with `chroma auth create` and name their file with --auth-file, or accept that "
            "everybody can read, change and delete everything with --allow-remote-without-auth"
        )


def declared() -> Iterator[tuple[str, Any, About]]:
    """Yields the name, default and description of every setting, in the order of their declaration."""
    for found in fields(ServerSettings):
        yield found.name, found.default, found.metadata["about"]


def is_loopback(host: str) -> bool:
    """Whether the address can be reached only from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
