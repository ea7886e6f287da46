"""The import graph of the modules, read from syntax trees. The layout tests and the client's build use it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Import:
    module: str  # absolute name, up to the last part that is a module
    name: str | None  # the name imported from the module
    typing_only: bool
    line: int


def sources() -> dict[str, Path]:
    """Return the file of each module by name, with storage/ under its installed name."""
    found = {}
    for folder, package in ((ROOT / "chroma", "chroma"), (ROOT / "storage", "chroma.storage")):
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if package == "chroma" and parts[0] == "storage":
                continue  # a link to storage/
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = file
    return found


SOURCES = sources()


def imports(module: str) -> Iterator[Import]:
    file = SOURCES[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]

    def walk(node: ast.AST, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inner = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, None, typing_only, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    parts = package.split(".")
                    above = ".".join(parts[: len(parts) - child.level + 1])
                    base = f"{above}.{base}".rstrip(".")
                for alias in child.names:
                    target = f"{base}.{alias.name}"
                    if target in SOURCES:
                        yield Import(target, None, typing_only, child.lineno)
                    else:
                        yield Import(base, alias.name, typing_only, child.lineno)
            yield from walk(child, inner)

    yield from walk(ast.parse(file.read_bytes()), False)


IMPORTS = {module: list(imports(module)) for module in SOURCES}
