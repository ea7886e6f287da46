"""Every notebook runs from top to bottom, shows what is stored in it, and ends with assertions."""

from __future__ import annotations

import base64
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import nbformat
import pytest

from scripts.notebooks import chunk, smaller

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 165_000  # with figures; else a third of it
DATA_BYTES = 100_000


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the machinery of Jupyter has warnings and an event loop of its own."""
    command = [sys.executable, str(ROOT / "scripts" / "notebooks.py"), "--check", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_runs_and_shows_what_is_stored(path: Path) -> None:
    answer = check(path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_is_small_executed_and_ends_with_assertions(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    cells = code_cells(path)
    figures = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
    assert figures <= 2
    assert path.stat().st_size < (MAX_BYTES if figures else MAX_BYTES // 3)
    assert "assert " in cells[-1].source
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all("execution" not in cell.metadata for cell in cells)


def test_there_are_seven_and_their_data_are_small() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07"]
    data = [path for path in (ROOT / "notebooks").rglob("*") if path.is_file() and path not in NOTEBOOKS]
    assert sum(path.stat().st_size for path in data) < DATA_BYTES


def test_tables_and_figures_are_stored() -> None:
    kinds = {
        kind
        for path in NOTEBOOKS
        for cell in code_cells(path)
        for output in cell.outputs
        for kind in output.get("data", {})
    }
    assert {"text/html", "text/plain", "image/png"} <= kinds


def test_figures_are_packed_and_whole() -> None:
    for path in NOTEBOOKS:
        for cell in code_cells(path):
            for output in cell.outputs:
                if image := output.get("data", {}).get("image/png"):
                    png = base64.b64decode(image)
                    assert smaller(png) == png
                    width, height = struct.unpack(">II", png[16:24])
                    (length,) = struct.unpack(">I", png[(place := png.index(b"IDAT")) - 4 : place])
                    pixels = zlib.decompress(png[place + 4 : place + 4 + length])
                    assert len(pixels) == height * (1 + 4 * width)
                    loose = zlib.compress(pixels, 1)
                    assert smaller(
                        png[:8]
                        + chunk(b"IDAT", loose[:99])
                        + chunk(b"IDAT", loose[99:])
                        + chunk(b"IEND", b"")
                    ) == (png[:8] + png[place - 4 : place + 8 + length] + chunk(b"IEND", b""))


def test_the_check_sees_what_differs(tmp_path: Path) -> None:
    """One notebook with all that is wrong at once, since each run starts a kernel."""
    make = nbformat.v4
    wrong = make.new_code_cell("print(f'{1 / 3:.3f} kept')", execution_count=1)
    wrong.outputs = [make.new_output("stream", text="0.333 made\n")]
    near = make.new_code_cell("print(f'{1 / 3:.3f} kept')", execution_count=2)
    near.outputs = [make.new_output("stream", text="0.334 kept\n")]
    far = make.new_code_cell("print(f'{1 / 3:.3f} kept')", execution_count=3)
    far.outputs = [make.new_output("stream", text="0.444 kept\n")]
    varies = make.new_code_cell("print('today')", execution_count=4, metadata={"tags": ["varies"]})
    varies.outputs = [make.new_output("stream", text="yesterday\n")]
    warns = make.new_code_cell("import sys\nprint('odd', file=sys.stderr)\nopen('left', 'w').close()")
    notebook = make.new_notebook(cells=[wrong, near, far, varies, warns])
    path = tmp_path / "wrong.ipynb"
    path.write_text(nbformat.writes(notebook), "utf-8")

    answer = check(path)
    assert answer.returncode == 1, answer.stderr
    assert "cell 1 shows\n0.333 kept" in answer.stdout
    assert "cell 2" not in answer.stdout
    assert "cell 3 shows\n0.333 kept" in answer.stdout
    assert "cell 4" not in answer.stdout
    assert "cell 5 has odd" in answer.stdout
    assert "cell 5 shows ['stderr'], stored are []" in answer.stdout
    assert "leaves left behind" in answer.stdout

    path.write_text(nbformat.writes(make.new_notebook(cells=[make.new_code_cell("1 / 0")])), "utf-8")
    answer = check(path)
    assert answer.returncode == 1
    assert "ZeroDivisionError" in answer.stdout
