"""The commands: output, JSON, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import chroma
from chroma.cli import cli
from chroma.cli.main import COMMANDS


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="chroma")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "db"
    with chroma.PersistentClient(folder) as client:
        collection = client.create_collection("numbers", configuration={"hnsw": {"space": "cosine"}})
        collection.add(ids=["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]])
        collection.delete(ids=["b"])
    return folder


def test_version() -> None:
    assert run("version").output == f"{chroma.__version__}\n"
    assert chroma.__version__ in run("--version").output


def test_help_documents_the_exit_codes() -> None:
    assert re.search(r"\b1 +a database is damaged", run("--help").output)


def test_help_tells_what_the_commands_tell_of_themselves() -> None:
    """The lines of `chroma --help` are written a second time, so that nothing is loaded for them."""
    for listed in (listed for section in COMMANDS.values() for listed in section):
        command = listed.load()
        assert command.name == listed.name
        assert (command.help or "").splitlines()[0] == listed.help


def test_help_loads_no_command() -> None:
    code = (
        "import sys; from chroma.cli import cli; cli(['--help'], standalone_mode=False);"
        "heavy = {'numpy', 'pyarrow', 'httpx', 'chroma.embedded.backend', 'chroma.factories'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


def test_module_and_command_are_the_same() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "chroma", "version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == chroma.__version__


def test_info(database: Path) -> None:
    result = run("info", database)
    assert result.exit_code == 0
    assert "numbers" in result.output
    (row,) = json.loads(run("info", database, "--json").output)["collections"]
    assert (row["name"], row["space"], row["dimension"], row["live"]) == ("numbers", "cosine", 2, 2)
    assert row["bytes"] > 0


def test_info_of_other_databases(database: Path) -> None:
    with chroma.PersistentClient(database) as client:
        chroma.AdminClient(client.get_settings()).create_database("second")
    with chroma.PersistentClient(database, database="second") as client:
        client.create_collection("elsewhere")
    rows = json.loads(run("info", database, "--json").output)["collections"]
    assert {(row["database"], row["name"]) for row in rows} == {
        ("default_database", "numbers"),
        ("second", "elsewhere"),
    }


def test_check_of_a_sound_database(database: Path) -> None:
    result = run("check", database)
    assert result.exit_code == 0
    assert "0 damaged" in result.output
    assert json.loads(run("check", database, "--json").output)["ok"] is True


def test_check_finds_damage_and_says_how_to_repair(database: Path) -> None:
    (log,) = (database / "collections").rglob("log-*.wal")
    data = bytearray(log.read_bytes())
    data[20] ^= 0xFF
    log.write_bytes(data)
    result = run("check", database)
    assert result.exit_code == 1
    assert str(log.name) in result.output
    assert "--repair" in result.output
    assert json.loads(run("check", database, "--json").output)["ok"] is False


@pytest.mark.parametrize("command", ["check", "info"])
def test_folders_that_are_none(command: str, tmp_path: Path) -> None:
    assert run(command, tmp_path / "missing").exit_code == 2
    assert run(command, tmp_path).exit_code == 2
    assert list(tmp_path.iterdir()) == [], "looking must not create a database"
    file = tmp_path / "file"
    file.write_text("x")
    assert run(command, file).exit_code == 2


def test_models_where() -> None:
    result = run("models", "where")
    assert result.exit_code == 0
    assert "model.onnx" in result.output
