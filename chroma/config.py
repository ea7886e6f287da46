"""`Settings`: typed keys from arguments, the environment and a `.env` file.

A key takes its value from the first of these that sets it: the keyword argument, the environment
variable of the same name in upper case, the `.env` file in the working directory, the default.
The module imports only the standard library, so that reading the settings loads nothing heavy.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from .errors import InvalidArgumentError

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"
DEFAULT_PATH = ".chroma"

# Database and API implementations that configurations from before version 0.4 named.
_BEFORE_04 = {
    "duckdb",
    "duckdb+parquet",
    "clickhouse",
    "local",
    "rest",
    "chromadb.db.duckdb.DuckDB",
    "chromadb.db.duckdb.PersistentDuckDB",
    "chromadb.db.clickhouse.Clickhouse",
    "chromadb.api.local.LocalAPI",
}

# Assigning None says that there is no such thing. What needs it says so when a client is created.
_MAY_BE_CLEARED = ("persist_directory",)

_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}


class Settings:
    """Settings of a client or server.

    Unknown keywords are ignored with a warning. Keys that configure features missing from this
    package are accepted, so that existing programs start.

    anonymized_telemetry       accepted and ignored: this package sends no telemetry
    allow_reset                an embedded client allows `reset()` unless this is set to False
    is_persistent              `Client(settings)` opens `persist_directory` when True
    persist_directory          the folder of the database, default ".chroma"
    chroma_memory_limit_bytes  memory that indexes and metadata columns may hold; an index that needs
                               more is not loaded, and its records are compared one by one;
                               0: half of the memory of the machine, or of the container if that is less

    Settings of an HTTP client:
    chroma_server_host, chroma_server_http_port, chroma_server_ssl_enabled
                               the server's address; same meaning as the arguments of HttpClient
    chroma_server_headers      headers sent with every request
    chroma_server_ssl_verify   False trusts any certificate; a path names a file of trusted certificates
    chroma_client_auth_provider, chroma_client_auth_credentials
                               "…TokenAuthClientProvider" and a token, or
                               "…BasicAuthClientProvider" and "user:password"
    chroma_auth_token_transport_header
                               the header that carries the token: Authorization (default) or X-Chroma-Token
    chroma_http_connect_timeout_secs
                               maximum seconds to connect to the server, default 10
    chroma_http_timeout_secs   maximum seconds without a byte sent or received, default 600; None: no limit
    chroma_http_retries        further attempts after the first, default 3; a request is retried only
                               if it did not reach the server or is safe to repeat
    chroma_http_keepalive_secs, chroma_http_max_connections, chroma_http_max_keepalive_connections
                               limits of the connection pool
    chroma_http_progress       show a progress bar on stderr when a write takes several requests;
                               None: only on terminals
    chroma_overwrite_singleton_tenant_database_access_from_auth
                               if the credentials give access to exactly one tenant or one database,
                               the client uses it instead of the tenant or database passed to it

    Raises InvalidArgumentError (a ValueError) for a value of the wrong type and for a
    configuration from before version 0.4.
    """

    environment: str = ""
    anonymized_telemetry: bool = True
    allow_reset: bool = False
    is_persistent: bool = False
    persist_directory: str = DEFAULT_PATH
    chroma_memory_limit_bytes: int = 0
    chroma_segment_cache_policy: str | None = None
    migrations: str = "apply"
    migrations_hash_algorithm: str = "md5"
    tenant_id: str = "default"
    topic_namespace: str = "default"
    chroma_api_impl: str = ""
    chroma_db_impl: str | None = None

    chroma_server_host: str | None = None
    chroma_server_http_port: int | None = None
    chroma_server_headers: dict[str, str] | None = None
    chroma_server_ssl_enabled: bool | None = False
    chroma_server_ssl_verify: bool | str | None = None
    chroma_server_api_default_path: str = "/api/v2"
    chroma_server_cors_allow_origins: list[str] = []  # noqa: RUF012 - replaced, never changed
    chroma_server_nofile: int | None = None
    chroma_server_thread_pool_size: int = 40
    chroma_server_authn_provider: str | None = None
    chroma_server_authn_credentials: str | None = None
    chroma_server_authn_credentials_file: str | None = None
    chroma_server_auth_ignore_paths: dict[str, list[str]] | None = None
    chroma_server_authz_provider: str | None = None
    chroma_server_authz_config: str | None = None
    chroma_server_authz_config_file: str | None = None
    chroma_overwrite_singleton_tenant_database_access_from_auth: bool = False

    chroma_http_keepalive_secs: float | None = 40.0
    chroma_http_max_connections: int | None = None
    chroma_http_max_keepalive_connections: int | None = None
    chroma_http_connect_timeout_secs: float | None = 10.0
    chroma_http_timeout_secs: float | None = 600.0
    chroma_http_retries: int = 3
    chroma_http_progress: bool | None = None
    chroma_client_auth_provider: str | None = None
    chroma_client_auth_credentials: str | None = None
    chroma_auth_token_transport_header: str | None = None

    chroma_otel_collection_endpoint: str | None = ""
    chroma_otel_service_name: str | None = "chromadb"
    chroma_otel_collection_headers: dict[str, str] | None = None
    chroma_otel_granularity: str | None = None

    KEYS: ClassVar[tuple[str, ...]]

    def __init__(self, **values: Any) -> None:
        self._given: frozenset[str] = frozenset()
        unknown = sorted(set(values) - set(self.KEYS))
        if unknown:
            from difflib import get_close_matches

            similar = [near for key in unknown for near in get_close_matches(key, self.KEYS, 1)]
            warnings.warn(
                f"Settings ignores the unknown keys {unknown}; similar ones are {similar}; "
                "Settings.KEYS lists all",
                UserWarning,
                stacklevel=2,
            )
        dotenv = read_dotenv(Path(".env"))
        for key in self.KEYS:
            if key in values:
                setattr(self, key, _check(key, values[key], _KINDS[key]))
            elif (text := os.environ.get(key.upper(), dotenv.get(key.upper()))) is not None:
                setattr(self, key, _parse(key, text, _KINDS[key]))

    def given(self, key: str) -> bool:
        """Whether the key was set explicitly instead of keeping its default."""
        return key in self._given

    def require(self, key: str) -> Any:
        """Return the value of the key. Raises InvalidArgumentError if the value is None."""
        value = self[key]
        if value is None:
            raise InvalidArgumentError(f"the setting {key!r} is needed: pass Settings({key}=…)")
        return value

    def __getitem__(self, key: str) -> Any:
        if key not in self.KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __setattr__(self, key: str, value: Any) -> None:
        if key in self.KEYS:
            if value is not None or key not in _MAY_BE_CLEARED:
                value = _check(key, value, _KINDS[key])
            object.__setattr__(self, "_given", self._given | {key})
        object.__setattr__(self, key, value)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((key, self[key]) for key in self.KEYS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings):
            return NotImplemented
        return dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def copy(self, *, update: Mapping[str, Any] | None = None) -> Settings:
        """Return an independent copy, with other values for the keys of `update`.

        The copy keeps the record of which keys were set.
        """
        twin = object.__new__(Settings)
        twin.__dict__.update(self.__dict__)
        for key, value in (update or {}).items():
            if key not in self.KEYS:
                raise InvalidArgumentError(f"Settings has no key {key!r}; Settings.KEYS lists all")
            setattr(twin, key, value)
        return twin

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Settings:
        """The same as `copy`. Chroma's settings have this name from pydantic."""
        return copy.deepcopy(self).copy(update=update) if deep else self.copy(update=update)

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]:
        """Return the values by key, all or only those that were set."""
        return {key: value for key, value in self if not exclude_unset or self.given(key)}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let models of pydantic have fields of this type, from an instance or from a mapping of its keys."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            _from_field, serialization=core_schema.plain_serializer_function_ser_schema(dict)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"title": "Settings", "type": "object"}

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={self._shown(key)}" for key in self.KEYS if self.given(key))
        return f"Settings({shown})"

    def _shown(self, key: str) -> str:
        """The value without secrets: headers and the URL of a server may have some, too."""
        value = self[key]
        if value and key.endswith("_credentials"):
            return "'…'"
        if key == "chroma_server_headers" and isinstance(value, Mapping):
            return repr(dict.fromkeys(value, "…"))
        if key == "chroma_server_host" and isinstance(value, str) and "@" in value:
            before, _, host = value.rpartition("@")
            scheme, separator, _ = before.partition("://")
            return repr(f"{scheme}://…@{host}" if separator else f"…@{host}")
        return repr(value)


def _from_field(value: Any) -> Settings:
    if isinstance(value, Settings):
        return value
    if isinstance(value, Mapping):
        return Settings(**value)
    raise InvalidArgumentError(f"Expected chroma.Settings or a mapping of its keys, got {value!r}")


def _kinds() -> dict[str, str]:
    """Return the declared type of each key, as the annotations of `Settings` spell it."""
    return {
        key: str(kind)
        for key, kind in Settings.__annotations__.items()
        if key != "KEYS" and not key.startswith("_")
    }


_KINDS = _kinds()
Settings.KEYS = tuple(_KINDS)


def _check(key: str, value: Any, kind: str) -> Any:
    """Return the value in its declared type. Parses strings, which scripts pass for keys of any type."""
    if key in ("chroma_db_impl", "chroma_api_impl") and value in _BEFORE_04:
        raise InvalidArgumentError(
            f"Settings({key}={value!r}) is a configuration of Chroma before 0.4. Use "
            "chroma.PersistentClient(path=…) or chroma.EphemeralClient() instead; "
            "COMPATIBILITY.md has the migration of old programs and data"
        )
    if value is None:
        if "None" in kind:
            return None
        raise InvalidArgumentError(f"Settings({key}=None): expected {kind}")
    if isinstance(value, Path) and "str" in kind.split(" | "):
        return str(value)
    for option in kind.split(" | "):
        if _is(option, value):
            return float(value) if option == "float" else value
    if isinstance(value, str):
        return _parse(key, value, kind)
    raise InvalidArgumentError(f"Settings({key}={value!r}): expected {kind}")


def _is(option: str, value: Any) -> bool:
    match option:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "None":
            return value is None
        case _:
            return isinstance(value, dict if option.startswith("dict") else list)


def _parse(key: str, text: str, kind: str) -> Any:
    """Parse text from the environment or a script into the declared type."""
    readers: dict[str, Callable[[str], Any]] = {
        "bool": _to_bool,
        "int": int,
        "float": float,
        "str": str,
        "None": _to_none,
    }
    for option in kind.split(" | "):
        try:
            value = readers.get(option, json.loads)(text)
        except ValueError:
            continue
        if _is(option, value):
            return value
    raise InvalidArgumentError(f"the setting {key} ({key.upper()}) is {text!r}: expected {kind}")


def _to_none(text: str) -> None:
    if text.strip().lower() not in ("", "none", "null"):
        raise ValueError(text)


def _to_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(text)


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the `KEY=value` lines of a `.env` file, keys in upper case. {} if the file is missing."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        warnings.warn(f"{path} is not read: {error}", UserWarning, stacklevel=3)
        return {}
    values = {}
    for line in lines:
        key, separator, value = line.strip().removeprefix("export ").partition("=")
        if not separator or key.startswith("#"):
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = value.partition(" #")[0].rstrip()
        values[key.strip().upper()] = value
    return values


class System:
    """Settings that clients are created from. Exists for test suites that use chromadb's `System`.

    `chroma.factories.from_system(system)` returns a client. Components cannot be replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __repr__(self) -> str:
        return f"System({self.settings!r})"
