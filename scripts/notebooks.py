"""Runs the notebooks and stores the outputs of their cells in them.

    python scripts/notebooks.py [NAME ...]            runs the notebooks and writes changed outputs
    python scripts/notebooks.py --check [NAME ...]    changes nothing; status 1 if outputs differ

Each notebook runs in an empty folder with a copy of notebooks/data, with separate IPython settings, and must
leave the folder unchanged. The comparison covers texts. Numbers with a decimal point may differ by TOLERANCE,
because processors differ in the last digits of an embedding. HTML tables and figures must only be present. If
a cell has the tag "varies", its output depends on the Python version or on ties, so only the kinds of outputs
are compared.
To update a figure, clear the outputs of its notebook first.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
TOLERANCE = 0.02
PATIENCE = 100  # maximum seconds per cell
NUMBER = re.compile(r"\d+\.\d+")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(path: Path) -> tuple[Any, list[str]]:
    """Run a notebook. Returns it with its outputs, and the files that it left behind."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="notebook-") as scratch:
        folder = Path(scratch, "work")
        folder.mkdir()
        if (path.parent / "data").is_dir():
            shutil.copytree(path.parent / "data", folder / "data")
        before = _files(folder)
        own = {
            "IPYTHONDIR": f"{scratch}/ipython",
            "JUPYTER_CONFIG_DIR": f"{scratch}/jupyter",
            "JUPYTER_RUNTIME_DIR": f"{scratch}/runtime",
            "PYTHONPATH": str(ROOT),
        }
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{scratch}/socket"),
            timeout=PATIENCE,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=os.environ | own | {"TQDM_DISABLE": "1"})  # bars hold times
        left = [f"{path.name} leaves {name} behind" for name in sorted(_files(folder) - before)]
    for cell in code_cells(notebook):
        cell.outputs = _joined(cell.outputs)
        for output in cell.outputs:
            if image := output.get("data", {}).get("image/png"):
                output.data["image/png"] = base64.b64encode(smaller(base64.b64decode(image))).decode()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook, left


def smaller(png: bytes) -> bytes:
    """Recompress a PNG image with zlib's best level, which halves the size that the renderer writes."""
    parts, data, place = [png[:8]], b"", 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kind, content = png[place + 4 : place + 8], png[place + 8 : end - 4]
        if kind == b"IDAT":
            data += content
        else:
            if kind == b"IEND":
                packed = zlib.compress(zlib.decompress(data), 9)
                parts.append(chunk(b"IDAT", packed))
            parts.append(chunk(kind, content))
        place = end
    return b"".join(parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Build a chunk of a PNG file."""
    checksum = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + checksum


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def differences(shown: Any, run: Any) -> list[str]:
    """Return a message, with the cell number, for each cell whose output differs from the stored output."""
    told = []
    for number, (one, other) in enumerate(zip(code_cells(shown), code_cells(run), strict=True), 1):
        varies = "varies" in one.metadata.get("tags", [])
        if _kinds(one) != _kinds(other):
            told.append(f"cell {number} shows {_kinds(other)}, stored are {_kinds(one)}")
        elif not varies and not _alike(_text(one), _text(other)):
            told.append(f"cell {number} shows\n{_text(other)}\nstored is\n{_text(one)}")
    return told


def complaints(notebook: Any) -> list[str]:
    """Return a message for each output that is an error or a warning."""
    return [
        f"cell {number} has {output.get('text') or output.get('evalue')}"
        for number, cell in enumerate(code_cells(notebook), 1)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _joined(outputs: list[Any]) -> list[Any]:
    """Join consecutive pieces of one output stream, whose boundaries depend on timing."""
    kept: list[Any] = []
    for output in outputs:
        if kept and output.output_type == "stream" and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def _kinds(cell: Any) -> list[str]:
    return [
        output.get("name") or f"{output.output_type} of {', '.join(sorted(output.get('data', ())))}"
        for output in cell.outputs
    ]


def _text(cell: Any) -> str:
    return "\n".join(
        output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def _alike(one: str, other: str) -> bool:
    numbers = zip(NUMBER.findall(one), NUMBER.findall(other))
    return NUMBER.sub("#", one) == NUMBER.sub("#", other) and all(
        abs(float(a) - float(b)) <= TOLERANCE for a, b in numbers
    )


def main(paths: list[Path], check: bool) -> list[str]:
    """Run or check the notebooks. Returns messages about all problems."""
    told = []
    for path in paths:
        try:
            notebook, left = run(path)
        except CellExecutionError as error:
            told.append(f"{path.name}: {COLOUR.sub('', str(error))}")
            continue
        shown = nbformat.read(path, as_version=4)
        found = [f"{path.name}: {each}" for each in complaints(notebook)] + left
        changed = [f"{path.name}: {each}" for each in differences(shown, notebook)]
        if check:
            found += changed
        elif changed or any(cell.execution_count is None for cell in code_cells(shown)):
            path.write_text(nbformat.writes(notebook) + "\n", "utf-8")
            print(f"wrote {path.name}")
        told += found
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks; default: all")
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    chosen = [Path(name).resolve() for name in arguments.names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    lines = main(chosen, arguments.check)
    print("\n".join(lines) or "nothing to do")
    sys.exit(bool(lines))
