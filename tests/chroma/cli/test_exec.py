"""`chroma exec`: programs, their children, their exit codes and signals, and what it leaves alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chroma.cli.exec_ import python_path
from chroma.compat import startup

from ...clients import environments
from .running import run as run_here

BIN = Path(sys.executable).parent
FOLDER = str(Path(startup.__file__).parent)

PROGRAM = """
import chromadb, subprocess, sys
from chromadb.api.types import validate_where

collection = chromadb.PersistentClient("db").get_or_create_collection("things", embedding_function=None)
collection.upsert(ids=["a"], embeddings=[[1, 2]])
print(chromadb.ClientAPI.__module__, collection.count(), flush=True)
if sys.argv[1:] == ["parent"]:
    sys.exit(subprocess.run([sys.executable, __file__]).returncode + 7)
"""


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chroma", "exec", "--", *command],
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def real(folder: Path) -> Path:
    """A folder with a package chromadb, as if it was installed."""
    package = folder / "installed" / "chromadb"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('the installed package was imported')\n")
    return package.parent


def test_a_program_and_its_children(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run("python", "program.py", "parent", folder=tmp_path, PYTHONPATH=str(real(tmp_path)))
    assert done.stdout == "chroma.api.client 1\n" * 2, done.stderr
    assert done.returncode == 7
    assert done.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"db", "installed", "program.py"}


def test_spawned_processes(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import multiprocessing\n"
        "def ask(): import chromadb; print(chromadb.ClientAPI.__module__)\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=ask)\n"
        "    child.start(); child.join()\n"
    )
    done = run("python", "program.py", folder=tmp_path, PYTHONPATH=str(real(tmp_path)))
    assert done.stdout == "chroma.api.client\n", done.stderr


def test_a_console_script(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import chromadb\ndef test_it(): chromadb.EphemeralClient().heartbeat()\n"
    )
    settings = {"PYTHONPATH": str(real(tmp_path)), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = run("pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path, **settings)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_shell_script(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/sh\npython -c 'import chromadb; print(chromadb.__version__)'\nexit 3\n")
    script.chmod(0o755)
    done = run("./script.sh", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "1.5.9\n"), done.stderr


def test_signals_reach_the_program(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chroma", "exec", "--", "sh", "-c", "echo ready; exec sleep 60"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM


def test_a_pipe_that_nobody_reads_ends_the_program(tmp_path: Path) -> None:
    """Python ignores SIGPIPE; the program does not inherit that."""
    done = run("sh", "-c", "kill -PIPE $$; echo survived", folder=tmp_path)
    assert (done.returncode, done.stdout) == (-signal.SIGPIPE, "")


def test_options_are_those_of_the_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chroma", "exec", "python", "-c", "import sys; print(sys.argv)", "-h"],
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "['-c', '-h']\n", done.stderr


def test_another_sitecustomize_is_run_and_the_path_is_as_without(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import sys; sys.own = 'own'\n")
    show = "import sys, sitecustomize; print(sys.own); print(sitecustomize.__file__); print(sys.path)"
    done = run("python", "-c", show, folder=tmp_path, PYTHONPATH=str(tmp_path / "own"))
    plain = subprocess.run(
        [sys.executable, "-c", show], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "own")},
    )  # fmt: skip
    assert done.stdout == plain.stdout, done.stderr
    assert done.stdout.startswith("own\n")


def test_where_this_package_is_not_installed_an_import_says_so(tmp_path: Path) -> None:
    bare = "print('runs'); import chromadb"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": FOLDER}
    # without site-packages, where this package is installed
    done = subprocess.run(
        [getattr(sys, "_base_executable", sys.executable), "-c", bare],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "runs\n"
    assert "chroma-arrow, which is not installed in the environment" in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("nowhere", 127, "the program 'nowhere' is not found"),
        ("program.py", 127, "write `chroma exec -- python program.py`"),
        ("./data", 126, "cannot be run: Permission denied"),
    ],
)
def test_what_cannot_be_run(tmp_path: Path, command: str, code: int, message: str) -> None:
    (tmp_path / "data").write_text("")
    done = run(command, folder=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_is_needed() -> None:
    assert run_here("exec").exit_code == 2


def test_the_folder_is_first_and_only_once() -> None:
    assert python_path(None) == FOLDER
    assert python_path("a:b") == f"{FOLDER}:a:b"
    assert python_path(python_path("a:b")) == f"{FOLDER}:a:b"


LANGCHAIN = """
import importlib.metadata
from langchain_chroma import Chroma
from langchain_core.embeddings import Embeddings

class Lengths(Embeddings):
    def embed_documents(self, texts): return [[float(len(text)), 1.0] for text in texts]
    def embed_query(self, text): return self.embed_documents([text])[0]

store = Chroma("things", Lengths(), persist_directory="db")
store.add_texts(["a", "much longer"], [{"n": 1}, {"n": 2}])
print(type(store._client).__module__, [found.page_content for found in store.similarity_search("b", 1)])
print(store.similarity_search("b", 1, filter={"n": 2})[0].page_content)
"""


def test_langchain_beside_the_installed_chromadb(tmp_path: Path) -> None:
    """A published package, unchanged, in an environment that has chromadb itself."""
    packages = environments.packages("full")
    (tmp_path / "program.py").write_text(LANGCHAIN)
    done = run("python", "program.py", folder=tmp_path, PYTHONPATH=str(packages))
    assert done.stdout == "chroma.api.client ['a']\nmuch longer\n", done.stderr
