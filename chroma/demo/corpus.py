"""The demo's data: the docstrings of the running Python's standard library.

Sources are parsed, not imported. No code runs, and modules for other platforms are included.
"""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# bundled packages, test suites, deliberately broken modules, hundreds of code tables
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3", "encodings"}
_MAX_CHARACTERS = 160  # about 40 tokens: the summary and a little more, which embeds quickly


@dataclass(frozen=True, slots=True)
class Entry:
    """One docstring. `id` is unique, and equal in all runs on the same Python version."""

    id: str
    document: str
    metadata: dict[str, str | int | bool]


def collect(limit: int) -> list[Entry]:
    """Return the `limit` entries with the longest documentation, ordered by module and line."""
    found = [entry for file in _sources() for entry in _entries(file)]
    found.sort(key=lambda entry: (-int(entry.metadata["length"]), entry.id))
    kept = sorted(found[:limit], key=lambda entry: (entry.metadata["module"], entry.metadata["line"]))
    repeats: Counter[str] = Counter()
    result = []
    for entry in kept:  # a name may be defined in two branches of an `if`
        repeats[entry.id] += 1
        number = repeats[entry.id]
        result.append(
            Entry(f"{entry.id}#{number}" if number > 1 else entry.id, entry.document, entry.metadata)
        )
    return result


def _sources() -> Iterator[tuple[str, Path]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if not _SKIPPED & set(parts) and all(part.isidentifier() for part in parts):
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def _entries(source: tuple[str, Path]) -> Iterator[Entry]:
    module, file = source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in string literals
            tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):  # skips templates and unreadable files
        return
    if module:
        yield from _definitions(tree, module, "", "module")


def _definitions(node: ast.AST, module: str, qualified: str, kind: str) -> Iterator[Entry]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(node)
        if text and text.strip():
            yield _entry(node, module, qualified, kind, text.strip())
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            inner = "class"
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = "method" if isinstance(node, ast.ClassDef) else "function"
        elif isinstance(child, (ast.If, ast.Try, ast.With)):
            yield from _definitions(child, module, qualified, kind)
            continue
        else:
            continue
        if not child.name.startswith("_"):
            yield from _definitions(child, module, f"{qualified}.{child.name}".lstrip("."), inner)


def _entry(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    module: str,
    qualified: str,
    kind: str,
    text: str,
) -> Entry:
    name = f"{module}.{qualified}".rstrip(".")
    metadata: dict[str, str | int | bool] = {
        "module": module,
        "package": module.split(".", 1)[0],
        "kind": kind,
        "name": name,
        "length": len(text),
        "line": getattr(node, "lineno", 1),
        "has_example": ">>>" in text,
        "private": any(part.startswith("_") for part in module.split(".")),
    }
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        given = node.args
        metadata["n_args"] = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
        metadata["is_async"] = isinstance(node, ast.AsyncFunctionDef)
    words = " ".join(text.split())
    if len(words) > _MAX_CHARACTERS:
        words = words[:_MAX_CHARACTERS].rsplit(" ", 1)[0] + " ..."
    return Entry(f"{module}:{qualified or 'module'}", f"{name}: {words}", metadata)
