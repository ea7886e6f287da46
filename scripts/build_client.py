"""Builds the distribution chroma-arrow-client from the modules of this package that an HTTP client needs.

    python scripts/build_client.py [OUTPUT]     default: dist

Stages a separate tree in build/client and builds an sdist and a wheel from it. The sdist can build the wheel
without this repository.

    chroma.py                 becomes the package `chroma`; see its docstring
    chroma_client/chroma/     the modules
    chroma-stubs/             stubs of the modules for type checkers
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from import_graph import IMPORTS, ROOT, SOURCES

STAGED = ROOT / "build" / "client"


def providers() -> list[str]:
    """Return the modules of embedding functions that the registry imports by name."""
    text = SOURCES["chroma.embedding.registry"].read_text("utf-8")
    return sorted(
        {*re.findall(r'^    "[\w-]+": \("(providers\.\w+)",', text, re.M), "providers.callable_function"}
    )


# The modules that users import. `selected` adds their imports. Package `__init__` modules name their
# submodules as strings, so these are listed here.
_PATHS_OF_CHROMA = ("chroma.api", "chroma.compat", "chroma.execution", "chroma.utils")
ROOTS = [
    *(name for name in SOURCES if name.startswith(_PATHS_OF_CHROMA)),
    *(f"chroma.embedding.{module}" for module in providers()),
    "chroma",
    "chroma.embedding",
    "chroma.evaluation.evaluate",
    "chroma.factories",
    "chroma.maintenance.copy_collections",
    "chroma.maintenance.restore",
    "chroma.migration.migrate",
    "chroma.reranking.cross_encoder",
]


def left_out() -> frozenset[str]:
    """Return the modules in LEFT_OUT of chroma/internal/distribution.py, whose import raises an error."""
    tree = ast.parse(SOURCES["chroma.internal.distribution"].read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEFT_OUT":
            return frozenset(ast.literal_eval(node.value))
    raise LookupError("chroma/internal/distribution.py defines no LEFT_OUT")


def selected() -> list[str]:
    """Return the modules of the client: all modules that the roots import, directly or indirectly."""
    missing, found = left_out(), set[str]()
    waiting = list(ROOTS)
    while waiting:
        module = waiting.pop()
        if module in found or module in missing or module not in SOURCES:
            continue
        found.add(module)
        waiting += [each.module for each in IMPORTS[module] if not each.typing_only]
        waiting.append(module.rpartition(".")[0])
    return sorted(found)


def place(module: str) -> Path:
    """Return the path of a module below the package's folder."""
    path = Path(*module.split(".")[1:])
    return path / "__init__.py" if SOURCES[module].name == "__init__.py" else path.with_suffix(".py")


def files() -> Iterator[tuple[Path, Path]]:
    """Yield pairs of a file in the repository and its path in the staged tree."""
    for name in ("LICENSE", "NOTICE"):
        yield ROOT / name, Path(name)
    for name in ("README.md", "chroma.py", "pyproject.toml"):
        yield ROOT / "client" / name, Path(name)
    yield ROOT / "client" / "chroma_client.py", Path("chroma_client", "__init__.py")
    for module in selected():
        yield SOURCES[module], Path("chroma_client", "chroma") / place(module)
        yield SOURCES[module], Path("chroma-stubs") / place(module).with_suffix(".pyi")
    for data in ("py.typed", "compat/names.json"):
        yield ROOT / "chroma" / data, Path("chroma_client", "chroma") / data


def stage(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for source, target in files():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / target)
    # "partial" makes type checkers search the full package, if installed, for names that the stubs lack.
    (folder / "chroma-stubs" / "py.typed").write_text("partial\n")


def main(output: Path) -> None:
    stage(STAGED)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(output), str(STAGED)], capture_output=True, text=True
    )
    if built.returncode:
        sys.exit(built.stdout + built.stderr)
    print(built.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
