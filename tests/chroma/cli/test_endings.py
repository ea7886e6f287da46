"""Exit codes, also of processes that are interrupted or not listened to; output; completion."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import chroma
from chroma import errors
from chroma.cli.exit_codes import CODES, code_of
from chroma.cli.main import COMMANDS
from chroma.cli.output import cell, cut, width_of

from ..server.processes import Served, environment, running
from .running import read, run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]


def start(*arguments: str | Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "chroma", *map(str, arguments)],
        cwd=ROOT,
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_exit_codes_of_errors() -> None:
    wanted = {
        errors.CorruptionError("x"): 1,
        errors.InvalidArgumentError("x"): 2,
        errors.ReadOnlyError("x"): 2,
        errors.NotFoundError("x"): 3,
        errors.ServerConnectionError("x"): 4,
        errors.ServerTimeoutError("x"): 4,
        errors.ChromaAuthError("x"): 5,
        errors.AuthorizationError("x"): 5,
        errors.UniqueConstraintError("x"): 6,
    }
    assert {type(error): code_of(error) for error in wanted} == {
        type(error): code for error, code in wanted.items()
    }
    assert set(wanted.values()) < set(CODES)


def test_unknown_commands_have_a_nearest_name() -> None:
    for arguments, told in (
        (["lss"], "No such command 'lss'; the nearest is 'ls'."),
        (["imports"], "No such command 'imports'; the nearest is 'import'."),
        (["zzzzzz"], "No such command 'zzzzzz'; chroma --help lists them."),
        (["auth", "creat"], "No such command 'creat'; the nearest is 'create'."),
    ):
        result = run(*arguments)
        assert result.exit_code == 2 and told in result.stderr


def test_nobody_answers() -> None:
    result = run("ls", "http://127.0.0.1:9")
    assert result.exit_code == 4 and "running at http://127.0.0.1:9" in result.stderr


def test_errors_that_nobody_foresaw(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(chroma, "Client", broken)
    result = run("count", database, "notes")
    assert result.exit_code == 70
    assert "Traceback" in result.stderr and "oops" in result.stderr


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("secured")
    secrets = {}
    for name, options in (("reader", ["--kind", "token"]), ("ana", ["--kind", "basic"])):
        made = run("auth", "create", name, "--role", "read", "--file", folder / "auth.json", *options)
        secrets[name] = made.stdout.strip()
    with running(folder / "db", "--auth-file", str(folder / "auth.json")) as served:
        yield served, secrets


def test_credentials(secured: tuple[Served, dict[str, str]], database: Path) -> None:
    served, secrets = secured
    assert run("ls", served.url).exit_code == 5
    refused = run("ls", served.url, "--token", "wrong")
    assert refused.exit_code == 5
    assert "the credentials are missing, wrong or expired" in refused.stderr
    assert "--token" in refused.stderr and "CHROMA_TOKEN" in refused.stderr
    token, password = secrets["reader"], secrets["ana"]
    for options, variables in (
        (["--token", token], {}),
        ([], {"CHROMA_TOKEN": token}),
        (["--user", f"ana:{password}"], {}),
        ([], {"CHROMA_USER": f"ana:{password}"}),
        (["--header", f"X-Chroma-Token: {token}"], {}),
        ([], {"CHROMA_CLIENT_AUTH_PROVIDER": "token", "CHROMA_CLIENT_AUTH_CREDENTIALS": token}),
    ):
        result = run("ls", served.url, *options, env=variables)
        assert result.exit_code == 0, result.output
        assert token not in result.output and password not in result.output
    assert run("copy", database, served.url, "--to-token", token).exit_code == 5
    assert run("ls", served.url, "--token", token, "--user", "a:b").exit_code == 2
    assert run("ls", served.url, "--header", "nonsense").exit_code == 2


def test_the_url_wins_over_variables_that_name_a_server(served: str) -> None:
    variables = {"CHROMA_SERVER_HOST": "elsewhere", "CHROMA_SERVER_HTTP_PORT": "1"}
    assert run("count", served, "notes", env=variables).output == "3\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection whose output does not fit into a pipe."""
    folder = tmp_path_factory.mktemp("many") / "db"
    with chroma.PersistentClient(folder) as client:
        many = client.create_collection("many", embedding_function=None)
        many.add(
            ids=[f"{i}" for i in range(5000)],
            embeddings=[[1.0, 2.0]] * 5000,
            documents=["a text that fills the pipe " * 4] * 5000,
        )
    return folder


@pytest.mark.parametrize(
    ("options", "unbuffered"),
    [
        (["get", "--all"], ""),
        (["get", "--all", "--json"], ""),
        (["get", "--all", "--json"], "1"),
        (["sql", "--json"], "1"),
        (["export", "-", "--format", "jsonl"], "1"),
        (["export", "-", "--format", "arrow"], ""),
    ],
)
def test_nobody_reads_the_output(many: Path, options: list[str], unbuffered: str) -> None:
    command, *rest = options
    what = "select * from many" if command == "sql" else "many"
    process = start(command, many, what, *rest, PYTHONUNBUFFERED=unbuffered)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.buffer.read(1)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 141


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["get", "--help"], ["get", "missing", "notes"]]
)
def test_nobody_reads_at_all(arguments: list[str], tmp_path: Path) -> None:
    """An error keeps its exit code if nobody reads the message."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "chroma", *arguments]
    error = arguments[-1] == "notes"
    streams = {"stdout": subprocess.DEVNULL, "stderr": writing} if error else {"stdout": writing}
    done = subprocess.run(
        command, cwd=ROOT, env=environment({"PYTHONUNBUFFERED": ""}), timeout=60, check=False, **streams
    )
    os.close(writing)
    assert done.returncode == (2 if error else 141)


def test_programs_without_standard_streams(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a window system, and daemons: sys.stdout and sys.stderr are None."""
    code = (
        "import sys; sys.stdin = sys.stdout = sys.stderr = None; sys.argv = ['chroma', *sys.argv[1:]]; "
        "from chroma.cli import main; main()"
    )

    def exit_code(*arguments: str | Path) -> int:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=environment({}), timeout=60, check=False).returncode

    assert exit_code("get", database, "notes") == 0
    assert exit_code("get", database, "none") == 3
    assert exit_code("export", database, "notes", "-", "--format", "jsonl") == 2
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with chroma.PersistentClient(database) as client:
        notes = client.get_collection("notes", embedding_function=None)
        notes.export(database.parent / "b.parquet", progress=True)
        notes.load(database.parent / "b.parquet", on_conflict="upsert", progress=True)


def test_ctrl_c(tmp_path: Path) -> None:
    """While it waits for a server that does not answer."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start("ls", f"http://127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(30)
        connection, _ = silent.accept()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        connection.close()
    assert process.returncode == 130
    assert said.strip() == "Interrupted."


def test_cells() -> None:
    assert [cell(value) for value in (None, True, 1234, "a\nb\tc", {"ü": [1]})] == [
        "-", "true", "1,234", "a b c", '{"ü": [1]}',
    ]  # fmt: skip
    assert cell("\x1b[31mred") == "\\x1b[31mred", "what a terminal would act on is shown"
    assert width_of("日本") == 4 and width_of("é") == 1
    assert cut("abcdef", 4) == "abc…" and cut("abc", 3) == "abc" and cut("日本語", 4) == "日…"


def test_json_is_readable(database: Path) -> None:
    text = run("get", database, "notes", "a", "--include", "embeddings", "--json").output
    assert '"embedding": [1.0, 0.0, 0.0, 0.0]' in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_CHROMA_COMPLETE" in result.output and result.stderr == ""


def test_a_second_name_of_the_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts["chroma-arrow"] == scripts["chroma"] == "chroma.cli:main"
    code = "import sys; sys.argv[0] = '/bin/chroma-arrow'; from chroma.cli import main; main()"

    def said(*arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said("--help").startswith("Usage: chroma-arrow ")
    script = said("completion", "bash")
    assert "_CHROMA_ARROW_COMPLETE" in script and "chroma-arrow" in script


def completed(words: str) -> list[str]:
    code = "import sys; sys.argv = ['chroma']; from chroma.cli import main; main()"
    variables = {"_CHROMA_COMPLETE": "bash_complete", "COMP_WORDS": words}
    variables["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    return [line.partition(",")[2] for line in answer.stdout.splitlines() if line]


def test_completing(database: Path, tmp_path: Path) -> None:
    assert completed("chroma re") == ["recall", "rename", "restore"]
    assert completed(f"chroma get {database} ") == ["notes", "empty"]
    assert completed(f"chroma query {database} no") == ["notes"]
    assert completed("chroma get http://127.0.0.1:9 ") == []
    assert completed(f"chroma get {tmp_path / 'missing'} ") == []
    assert not (tmp_path / "missing").exists()


def test_the_guide_has_all_of_it() -> None:
    guide = (ROOT / "docs" / "cli.md").read_text("utf-8")
    codes = guide[guide.index("## Exit codes") :]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", codes, re.M)} == set(CODES)
    keys = guide[guide.index("## JSON") : guide.index("## Exit codes")]
    for listed in (listed for section in COMMANDS.values() for listed in section):
        assert re.search(rf"\b{listed.name}\b", guide), listed.name
        command = listed.load()
        if any(parameter.name == "as_json" for parameter in command.params):
            assert re.search(rf"^\|[^|]*`{listed.name}`", keys, re.M), listed.name


def test_what_prints_data_prints_json(database: Path, tmp_path: Path) -> None:
    """The rest is tried in the tests of each command."""
    assert read("version") == {"version": chroma.__version__}
    assert set(read("models", "where")) == {"source", "model"}
