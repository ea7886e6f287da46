"""Settings from options, variables and files; what is refused, and how it is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from chroma.cli import cli
from chroma.errors import InvalidArgumentError
from chroma.server.settings.legacy_names import OLD_KEYS, OLD_VARIABLES, ONLY, REFUSED_KEYS, REFUSED_VARIABLES
from chroma.server.settings.server_settings import ServerSettings, declared
from chroma.server.settings.sources import read_file, read_settings

ROOT = Path(__file__).resolve().parents[3]

TOML = """
path = "/data"
port = 9000
cors_origins = ["http://a", "http://b"]
allow_reset = true
log_level = "DEBUG"
request_seconds = 30

[open_telemetry]
endpoint = "http://collector:4317"
service_name = "mine"
"""
YAML = """
persist_path: /data
listen_address: "::1"
port: 9000
max_payload_size_bytes: 41943040
cors_allow_origins: ["*"]
allow_reset: false # the default
open_telemetry:
  endpoint: http://collector:4317
"""


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_files_in_both_languages(tmp_path: Path) -> None:
    assert read_settings({"config": str(written(tmp_path, "a.toml", TOML))}, {}) == ServerSettings(
        path="/data", port=9000, cors_origins=("http://a", "http://b"), allow_reset=True, log_level="debug",
        request_seconds=30, otel_endpoint="http://collector:4317", otel_service_name="mine",
    )  # fmt: skip
    assert read_settings({}, {"CHROMA_CONFIG": str(written(tmp_path, "a.yaml", YAML))}) == ServerSettings(
        path="/data", host="::1", port=9000, max_body_bytes=41943040, cors_origins=("*",),
        otel_endpoint="http://collector:4317",
    )  # fmt: skip
    assert read_settings({"config": str(written(tmp_path, "b.yml", "# nothing\n"))}, {}) == ServerSettings()


def test_the_order(tmp_path: Path) -> None:
    file = str(written(tmp_path, "a.toml", "port = 1\nworkers = 1\nthreads = 1\nqueue = 1\n"))
    variables = {"CHROMA_SERVER_HTTP_PORT": "2", "CHROMA_SERVER_THREAD_POOL_SIZE": "2"}
    variables |= {"CHROMA_PORT": "3", "CHROMA_WORKERS": "3", "CHROMA_CONFIG": file}
    settings = read_settings({"port": 4, "host": None}, variables)
    assert (settings.port, settings.workers, settings.threads, settings.queue) == (4, 3, 2, 1)
    assert read_settings({}, variables).port == 3
    assert read_settings({}, {"PERSIST_DIRECTORY": "/old", "CHROMA_PERSIST_PATH": "/new"}).path == "/new"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "prot = 1", "'prot'.*'port'"),
        ("a.toml", "log-level = 'info'", "'log-level'.*'log_level'"),
        ("a.yaml", "cors_allow_origin: '*'", "'cors_allow_origin'.*'cors_allow_origins'"),
        ("a.yaml", "utterly: different", "'utterly'"),
        ("a.yaml", "sqlite_filename: x", "'sqlite_filename'.*SQLite"),
        ("a.yaml", "sqlitedb: {hash_type: md5}", "'sqlitedb'.*SQLite"),
        ("a.yaml", "circuit_breaker: {requests: 10}", "'circuit_breaker'.*queue"),
        ("a.yaml", "open_telemetry: {filters: []}", "open_telemetry.filters"),
        ("a.yaml", "path: /a\npersist_path: /b", "mean the same"),
        ("a.yaml", "port: 1\nport: 2", "'port' twice"),
        ("a.yaml", "port: '1'", "'port'.*integer"),
        ("a.yaml", "port: true", "'port'.*integer"),
        ("a.yaml", "allow_reset: 1", "'allow_reset'.*true or false"),
        ("a.yaml", "path: 5", "'path'.*a text"),
        ("a.yaml", "cors_origins: [1]", "'cors_origins'.*list"),
        ("a.yaml", "port: 70000", "port is 70000"),
        ("a.yaml", "log_format: xml", "log_format.*text, json"),
        ("a.yaml", "auth_token: geheim", "CHROMA_AUTH_TOKEN"),
        ("a.yaml", "ssl_keyfile_password: geheim", "CHROMA_SSL_KEYFILE_PASSWORD"),
        ("a.yaml", "ssl_certfile: x.pem", "ssl_keyfile is not"),
        ("a.yaml", "- port", "no settings"),
        ("a.yaml", "port: [", "no valid YAML"),
        ("a.yaml", "port: !!python/name:os.system", "no valid YAML"),
        ("a.toml", "port =", "no valid TOML"),
        ("a.json", "{}", ".toml, .yaml or .yml"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_settings({"config": str(written(tmp_path, name, text))}, {})
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "geheim" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="No such file"):
        read_file(tmp_path / "none.toml")
    with pytest.raises(InvalidArgumentError, match="directory"):
        read_file(tmp_path)
    (tmp_path / "a.toml").write_bytes(b"path = '\xff'")
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        read_file(tmp_path / "a.toml")


def test_a_token_as_other_servers_have_it() -> None:
    provider = {
        "CHROMA_SERVER_AUTHN_PROVIDER": "chromadb.auth.token_authn.TokenAuthenticationServerProvider",
        "CHROMA_SERVER_AUTHN_CREDENTIALS": "test-token",
        "CHROMA_AUTH_TOKEN_TRANSPORT_HEADER": "X-Chroma-Token",
    }
    settings = read_settings({}, provider)
    assert (settings.auth_token, settings.auth_token_header) == ("test-token", "X-Chroma-Token")
    assert settings.authenticates
    assert "test-token" not in repr(settings)
    with pytest.raises(InvalidArgumentError, match="keep one") as caught:
        read_settings({"auth_file": "a.json"}, provider)
    assert "test-token" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CHROMA_SERVER_AUTHN_CREDENTIALS": "geheim"}, "AUTHN_CREDENTIALS.*AUTHN_PROVIDER"),
        ({"CHROMA_SERVER_AUTHN_PROVIDER": "a.TokenAuthenticationServerProvider"}, "AUTHN_CREDENTIALS"),
        (
            {
                "CHROMA_SERVER_AUTHN_PROVIDER": "a.BasicAuthenticationServerProvider",
                "CHROMA_SERVER_AUTHN_CREDENTIALS_FILE": "geheim",
            },
            "chroma auth create NAME --kind basic",
        ),
        ({"CHROMA_SERVER_AUTHN_CREDENTIALS_FILE": "geheim"}, "chroma auth create"),
        ({"CHROMA_SERVER_AUTHN_PROVIDER": "a.B", "CHROMA_SERVER_AUTHN_CREDENTIALS": "geheim"}, "one prov"),
        ({"CHROMA_SERVER_AUTHZ_PROVIDER": "a.SimpleRBACAuthorizationProvider"}, "--role"),
        ({"CHROMA_SERVER_AUTHZ_CONFIG_FILE": "f"}, "--role"),
        ({"CHROMA_SERVER_AUTH_PROVIDER": "token"}, "before 0.5"),
        ({"CHROMA_SERVER_AUTH_CREDENTIALS": "geheim"}, "before 0.5"),
        ({"CHROMA_SERVER_AUTH_IGNORE_PATHS": "{}"}, "heartbeat"),
        ({"CHROMA_AUTH_TOKEN_TRANSPORT_HEADER": "X-Other"}, "X-Chroma-Token"),
        ({"CHROMA_AUTH_FIEL": "geheim"}, "CHROMA_AUTH_FILE"),
        ({"CHROMA_SSL_CERT": "geheim"}, "CHROMA_SSL_CERT"),
        ({"CHROMA_SERVER_SSL_ENABLED": "true"}, "CHROMA_SSL_CERTFILE"),
        ({"CHROMA_SERVER_PORT": "9000"}, "CHROMA_SERVER_PORT.*nearest"),
        ({"CHROMA_SERVER_SOMETHING": "1"}, "CHROMA_SERVER_SOMETHING"),
        ({"IS_PERSISTENT": "FALSE"}, "IS_PERSISTENT.*folder"),
        ({"CHROMA_SERVER_API_DEFAULT_PATH": "/api/v1"}, "/api/v2"),
        ({"CHROMA_OVERWRITE_SINGLETON_TENANT_DATABASE_ACCESS_FROM_AUTH": "true"}, "OVERWRITE"),
        ({"CHROMA_OTEL_GRANULARITY": "some"}, "CHROMA_OTEL_GRANULARITY"),
        ({"CHROMA_OTEL_COLLECTION_HEADERS": "{}"}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"CHROMA_OPEN_TELEMETRY__FILTERS": "x"}, "ENDPOINT"),
        ({"CHROMA_SQLITE_FILENAME": "x"}, "SQLite"),
        ({"CHROMA_SQLITEDB__HASH_TYPE": "md5"}, "SQLite"),
        ({"CHROMA_LOG_CONFIG": "log.yml"}, "CHROMA_LOG_LEVEL"),
        ({"CHROMA_SSL_CERTFILE": "x"}, "ssl_keyfile is not"),
    ],
)  # fmt: skip
def test_variables_that_are_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_settings({}, variables)
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "geheim" not in str(caught.value)


def test_small_letters_hide_no_variable() -> None:
    with pytest.raises(InvalidArgumentError, match="CHROMA_SERVER_AUTHZ_PROVIDER"):
        read_settings({}, {"chroma_server_authz_provider": "x"})
    assert read_settings({}, {"chroma_port": "1", "CHROMA_PORT": "2", "Chroma_Workers": "3"}).port == 2


def test_bounds_are_told() -> None:
    found = CliRunner().invoke(cli, ["run", "--port", "-1"])
    assert found.exit_code == 2 and "-1 is not in the range 0 to 65535" in found.output


def test_variables_that_are_honoured() -> None:
    variables = {
        "IS_PERSISTENT": "TRUE", "ANONYMIZED_TELEMETRY": "False", "CHROMA_SERVER_API_DEFAULT_PATH": "/api/v2",
        "CHROMA_OVERWRITE_SINGLETON_TENANT_DATABASE_ACCESS_FROM_AUTH": "false",
        "CHROMA_LISTEN_ADDRESS": "::1", "CHROMA_PERSIST_PATH": "/data", "CHROMA_ALLOW_RESET": "true",
        "CHROMA_MAX_PAYLOAD_SIZE_BYTES": "2048", "CHROMA_CORS_ALLOW_ORIGINS": '["*"]',
        "CHROMA_OPEN_TELEMETRY__ENDPOINT": "http://c", "CHROMA_OTEL_SERVICE_NAME": "mine",
        "CHROMA_TIMEOUT_KEEP_ALIVE": "30", "CHROMA_CLIENT_AUTH_CREDENTIALS": "of clients",
        "CHROMA_MEMORY_LIMIT_BYTES": "1", "CHROMA_SERVER_AUTHN_PROVIDER": "", "CHROMA_LOG_LEVEL": "INFO",
        # as Kubernetes sets them
        "CHROMA_SERVICE_HOST": "10.0.0.1", "CHROMA_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "CHROMA_PORT": "tcp://10.0.0.1:8000", "CHROMA_SERVER_PORT": "tcp://10.0.0.1:8000",
        "CHROMA_SERVER_SERVICE_PORT_HTTP": "8000", "CHROMA_AUTH_SERVICE_HOST": "10.0.0.1",
    }  # fmt: skip
    assert read_settings({}, variables) == ServerSettings(
        host="::1", path="/data", allow_reset=True, memory_limit_bytes=1, max_body_bytes=2048,
        cors_origins=("*",),
        otel_endpoint="http://c", otel_service_name="mine", keep_alive_seconds=30,
    )  # fmt: skip
    old = {"CHROMA_OTEL_COLLECTION_ENDPOINT": "http://c"}
    assert read_settings({}, old | {"CHROMA_OTEL_GRANULARITY": "all"}).otel_endpoint == "http://c"
    assert read_settings({}, old | {"CHROMA_OTEL_GRANULARITY": "none"}).otel_endpoint == ""


def test_unknown_variables_are_told(caplog: pytest.LogCaptureFixture) -> None:
    assert read_settings({}, {"CHROMA_WORKER": "3", "CHROMA_COLLECTION": "docs"}) == ServerSettings()
    assert "CHROMA_WORKER means nothing here; the nearest known one is CHROMA_WORKERS" in caplog.text
    assert "CHROMA_COLLECTION means nothing here" in caplog.text


def test_every_setting_by_every_way(tmp_path: Path) -> None:
    for name, default, about in declared():
        value: object = about.choices[-1] if about.choices else "x"
        if name == "metrics_listen":
            value = "127.0.0.1:9464"
        if isinstance(default, bool):
            value = not default
        elif isinstance(default, int):
            value = about.low + 1
        elif isinstance(default, tuple):
            value = ("https://x",) if name == "console_frame_ancestors" else ("x",)
        pair = {"ssl_certfile", "ssl_keyfile"} if name in ("ssl_certfile", "ssl_keyfile") else {name}
        text = (
            ",".join(value)
            if isinstance(value, tuple)
            else str(value).lower()
            if about.choices
            else str(value)
        )
        read = read_settings({}, {f"CHROMA_{key.upper()}": text for key in pair})
        assert getattr(read, name) == value
        assert getattr(read_settings(dict.fromkeys(pair, value), {}), name) == value
        if not about.secret:
            written_as = json.dumps(value) if isinstance(value, tuple) else text
            file = written(tmp_path, "a.yaml", "".join(f"{key}: {written_as}\n" for key in pair))
            assert getattr(read_settings({"config": str(file)}, {}), name) == value


def test_secrets_are_not_shown() -> None:
    assert "geheim" not in repr(
        ServerSettings(auth_token="geheim", ssl_keyfile_password="geheim", ssl_certfile="c", ssl_keyfile="k")
    )


def flag_of(name: str) -> str:
    """The option of a setting; those that are repeated are in the singular."""
    flag = "--" + name.replace("_", "-")
    repeated = ("cors_origins", "allowed_hosts", "console_frame_ancestors")
    return flag.removesuffix("s") if name in repeated else flag


def test_the_help_is_complete() -> None:
    text = CliRunner().invoke(cli, ["run", "--help"], prog_name="chroma").output
    for name, _, about in declared():
        option = flag_of(name)
        assert (f" {option} " in text) != about.secret, option
        assert about.group in text
    assert "--config" in text


def test_the_command_reads_the_file(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["run", *arguments], prog_name="chroma")
        assert result.exit_code == 2, result.output
        return result.output

    file = str(written(tmp_path, "a.toml", "prot = 1"))
    assert "'prot'" in said("--config", file)
    assert "'prot'" in said(file)
    assert "two files" in said("--config", file, file)
    assert "No such file" in said("--config", str(tmp_path / "none.toml"))


def test_the_dotenv_file_counts_as_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the older servers: who protected a server there must not find it open."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, ".env", "CHROMA_SERVER_AUTHZ_PROVIDER=x\n")
    result = CliRunner().invoke(cli, ["run"], prog_name="chroma")
    assert (result.exit_code, "CHROMA_SERVER_AUTHZ_PROVIDER" in result.output) == (2, True)


def test_the_guide_names_every_setting_and_every_older_name() -> None:
    guide = (ROOT / "docs" / "server.md").read_text("utf-8")
    for name, _, about in declared():
        option = flag_of(name)
        assert about.secret or f"`{option}`" in guide, option
    for name in [*OLD_VARIABLES, *REFUSED_VARIABLES, *ONLY, *OLD_KEYS, *REFUSED_KEYS]:
        assert f"`{name}" in guide, name
