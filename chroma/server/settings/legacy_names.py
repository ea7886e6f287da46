"""The names of settings that other servers of this API use.

Each name is mapped to a setting of this package, rejected, or ignored with a warning. A name that concerns
security is either applied or rejected, never ignored.
"""

from __future__ import annotations

import re

# Variables, and the setting that each corresponds to. If several are set, the last one here takes precedence.
OLD_VARIABLES = {
    "ALLOW_RESET": "allow_reset",
    "PERSIST_DIRECTORY": "path",
    "CHROMA_HOST_ADDR": "host",
    "CHROMA_HOST_PORT": "port",
    "CHROMA_TIMEOUT_KEEP_ALIVE": "keep_alive_seconds",
    "CHROMA_SERVER_HOST": "host",
    "CHROMA_SERVER_HTTP_PORT": "port",
    "CHROMA_SERVER_CORS_ALLOW_ORIGINS": "cors_origins",
    "CHROMA_SERVER_THREAD_POOL_SIZE": "threads",
    "CHROMA_AUTH_TOKEN_TRANSPORT_HEADER": "auth_token_header",
    "CHROMA_OTEL_EXPORTER_ENDPOINT": "otel_endpoint",
    "CHROMA_OTEL_COLLECTION_ENDPOINT": "otel_endpoint",
    "CHROMA_OPEN_TELEMETRY__ENDPOINT": "otel_endpoint",
    "CHROMA_OPEN_TELEMETRY__SERVICE_NAME": "otel_service_name",
    "CHROMA_PERSIST_PATH": "path",
    "CHROMA_LISTEN_ADDRESS": "host",
    "CHROMA_CORS_ALLOW_ORIGINS": "cors_origins",
    "CHROMA_MAX_PAYLOAD_SIZE_BYTES": "max_body_bytes",
}

# Keys of configuration files. A dot separates a table from a key in it.
OLD_KEYS = {
    "persist_path": "path",
    "persist_directory": "path",
    "listen_address": "host",
    "cors_allow_origins": "cors_origins",
    "max_payload_size_bytes": "max_body_bytes",
    "open_telemetry.endpoint": "otel_endpoint",
    "open_telemetry.service_name": "otel_service_name",
}

_NO_SQLITE = "there is no SQLite file here; the folder is path"
_HEADERS = "set OTEL_EXPORTER_OTLP_HEADERS, the variable of OpenTelemetry itself"
_NOT_HOSTED = "it belongs to hosted servers"
_PARTS = "the parts of this server are not exchangeable"

REFUSED_KEYS = {
    "sqlite_filename": _NO_SQLITE,
    "sqlitedb": _NO_SQLITE,
    "sysdb": _PARTS,
    "log": _PARTS,
    "executor": _PARTS,
    "segment_manager": _PARTS,
    "collections_with_segments_provider": _PARTS,
    "default_knn_index": "a collection's configuration chooses its index",
    "circuit_breaker": "threads and queue bound how many requests are taken",
    "scorecard": _NOT_HOSTED,
    "scorecard_enabled": _NOT_HOSTED,
    "tenants_to_migrate_immediately": _NOT_HOSTED,
    "open_telemetry.filters": "log_level says what is logged",
}

_RENAMED = "that name is of versions before 0.5; use an --auth-file, made by `chroma auth create`"
_AUTHZ = (
    "roles and what they may reach are in the --auth-file: `chroma auth create NAME --role read --tenant T` "
    "makes an entry"
)

# Prefixes of variables that are rejected. The longest matching prefix gives the reason.
REFUSED_VARIABLES = {
    "CHROMA_SERVER_AUTHZ_": _AUTHZ,
    "CHROMA_SERVER_AUTH_": _RENAMED,
    "CHROMA_SERVER_AUTH_IGNORE_PATHS": (
        "which paths are open is fixed: heartbeat, version, pre-flight-checks and healthcheck"
    ),
    "CHROMA_SERVER_NOFILE": "set the limit of open files with `ulimit -n`",
    "CHROMA_SERVER_GRPC_PORT": "there is no gRPC",
    "CHROMA_LOG_CONFIG": "use CHROMA_LOG_LEVEL and CHROMA_LOG_FORMAT",
    "CHROMA_OTEL_COLLECTION_HEADERS": _HEADERS,
    "CHROMA_OTEL_EXPORTER_HEADERS": _HEADERS,
    "CHROMA_OPEN_TELEMETRY__": "of OpenTelemetry there are ENDPOINT and SERVICE_NAME",
    "CHROMA_SQLITE_FILENAME": _NO_SQLITE,
    "CHROMA_SQLITEDB__": _NO_SQLITE,
    "CHROMA_SYSDB_": _PARTS,
    "CHROMA_CIRCUIT_BREAKER__": REFUSED_KEYS["circuit_breaker"],
    "CHROMA_QUOTA_": "there are no quotas",
    "CHROMA_RATE_LIMIT": "there is no rate limit",
    "CHROMA_ASYNC_RATE_LIMIT": "there is no rate limit",
}

# Variables that are accepted only with the value that describes how this server behaves anyway.
ONLY = {
    "IS_PERSISTENT": (("1", "true", "t", "yes", "y", "on"), "the server always keeps its data in a folder"),
    "CHROMA_SERVER_API_DEFAULT_PATH": (("/api/v2", "apiversion.v2"), "the only path is /api/v2"),
    "CHROMA_OVERWRITE_SINGLETON_TENANT_DATABASE_ACCESS_FROM_AUTH": (
        ("0", "false", "f", "no", "n", "off"),
        "clients choose tenant and database themselves, within what their credentials allow",
    ),
}

# Matches names that seem to concern security. An unknown variable with such a name stops the start.
SAFETY = re.compile(r"^CHROMA_SERVER_|AUTH|SSL|TLS|TOKEN|CREDENTIAL|PASSWORD|SECRET")

# Variables that Kubernetes sets by itself for services whose name begins with "chroma".
KUBERNETES = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?$"
)
KUBERNETES_VALUE = re.compile(r"^(tcp|udp)://")
