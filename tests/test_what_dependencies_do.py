"""A program that uses all that we offer connects to nothing, and writes nothing outside its folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent
LOOPBACK = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="preloads a library, as Linux does"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler (Debian: gcc)"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("traced") / "traced.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "support/traced.c"), "-ldl"]
    subprocess.run(command, check=True, cwd=ROOT)
    return made


def _traced(library: Path, folder: Path, *command: str) -> tuple[set[str], set[str]]:
    """Run Python with no variable of ours. Returns the hosts that it named or connected to, and the paths
    that it created outside of `folder`/work."""
    for name in ("home", "temporary", "work"):
        (folder / name).mkdir()
    variables = {
        "PATH": os.environ["PATH"],  # but no CI, with which onnxruntime would keep quiet
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "TRACED": str(folder / "trace"),
        "LD_PRELOAD": str(library),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=folder / "work",
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = (folder / "trace").read_text().splitlines()
    hosts = {line.split(" ")[-1] for line in lines if not line.startswith("create ")}
    paths = {os.path.normpath(line.removeprefix("create ")) for line in lines if line.startswith("create ")}
    inside = (str(folder / "work"), str(folder / "temporary"), "/dev/", "/proc/")
    return hosts - set(LOOPBACK), {path for path in paths if not path.startswith(inside)}


def test_nothing_is_sent_and_nothing_is_written_elsewhere(library: Path, tmp_path: Path) -> None:
    program = str(HERE / "support/all_we_offer.py")
    hosts, paths = _traced(library, tmp_path, program, str(tmp_path / "work"))
    assert hosts == set()
    assert paths == set()
    assert list((tmp_path / "home").rglob("*")) == []


def test_the_trace_sees_what_a_dependency_does(library: Path, tmp_path: Path) -> None:
    program = "import os, socket, pathlib, subprocess, sys\n"
    program += "pathlib.Path.home().joinpath('.cache').mkdir()\n"
    program += "open(os.path.expanduser('~/.cache/deviceid'), 'w').close()\n"
    program += "s = socket.socket(); s.settimeout(0.01)\n"
    program += "try: s.connect(('192.0.2.1', 443))\nexcept OSError: pass\n"
    program += "subprocess.run([sys.executable, '-c', '''\nimport socket\n"
    program += "try: socket.getaddrinfo('example.invalid', 443)\nexcept OSError: pass'''])\n"
    hosts, paths = _traced(library, tmp_path, "-c", program)
    assert hosts == {"192.0.2.1", "example.invalid"}
    cache = str(tmp_path / "home/.cache")
    assert paths == {cache, f"{cache}/deviceid"}


@pytest.mark.skipif(
    not (Path(sysconfig.get_paths()["purelib"]) / "onnxruntime").exists(),
    reason="the model's runtime is missing",
)
def test_the_runtime_of_the_model_would_write_without_the_variable(library: Path, tmp_path: Path) -> None:
    """If this no longer holds, the variable is no longer needed."""
    hosts, paths = _traced(library, tmp_path, "-c", "import onnxruntime")
    assert paths or hosts or list((tmp_path / "home").rglob("*")), "onnxruntime has no telemetry any more"
