"""Writes chroma/compat/names.json: the modules and public names of an installed chromadb.

    python scripts/chromadb_names.py [FOLDER]            writes the list
    python scripts/chromadb_names.py --check [FOLDER]    changes nothing; status 1 if the list would change

FOLDER is the folder of the package chromadb; default: the one that `make clients` installs. The list holds
names, members of enumerations and short literal constants. They are read from the syntax trees, so that the
modules whose dependencies are not installed are listed, too. Tests of chromadb are left out.

For each module:
    all         what `from module import *` gives, if the module says so
    classes, exceptions, records (TypedDict), functions, values (aliases of types and everything else)
    enums       {name: {member: value}}
    constants   {name: value}
    variables   type variables
    loggers     loggers of `logging`
    imports     {module: "name name=alias"}: what it imports from elsewhere. "*" is every name of a module of
                chromadb; of another module it is the module itself, "*=alias" under another name
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "chroma" / "compat" / "names.json"
LONGEST = 60  # characters of a constant

Module = dict[str, Any]
Bases = dict[str, list[str]]


def sources(folder: Path) -> dict[str, Path]:
    """Return the file of each module of the package, by the module's name."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder.parent).with_suffix("").parts
        if "test" not in parts:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when the module is imported, those in `if` and `try` included."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for branch in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(node, branch, []):
                    yield from statements(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])
        else:
            yield node


def literal(node: ast.expr) -> Any:
    """Return the value of a short literal, otherwise None."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, (str, int, float)) and len(str(value)) <= LONGEST else None


def kind_of_class(name: str, bases: Bases) -> str:
    """Return the list that a class belongs to, by the names of its bases and of theirs."""
    waiting, seen = list(bases.get(name, [])), {name}
    while waiting:
        base = waiting.pop().partition("[")[0].rpartition(".")[2]
        if base == "Enum":
            return "enums"
        if base == "TypedDict":
            return "records"
        if base in ("Exception", "RuntimeError", "ValueError", "ChromaError"):
            return "exceptions"
        if base not in seen:
            seen.add(base)
            waiting += bases.get(base, [])
    return "classes"


def members(node: ast.ClassDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for inner in node.body:
        if isinstance(inner, ast.Assign) and not ast.unparse(inner.targets[0]).startswith("_"):
            value = literal(inner.value)
            name = ast.unparse(inner.targets[0])
            found[name] = name if value is None else value
    return found


def origin(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".") if package else module.split(".")[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def add_value(found: Module, name: str, value: ast.expr) -> None:
    constant = literal(value)
    text = ast.unparse(value)
    if constant is not None:
        found["constants"][name] = constant
    elif "getLogger(" in text:
        found["loggers"].append(name)
    elif text.startswith("TypeVar("):
        found["variables"].append(name)
    else:
        found["values"].append(name)


def add_imports(found: Module, node: ast.Import | ast.ImportFrom, module: str, package: bool) -> None:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            source, name, bound = origin(node, module, package), alias.name, alias.asname or alias.name
        else:
            source = alias.name if alias.asname else alias.name.partition(".")[0]
            if source == "chromadb":
                continue  # submodules are attributes in any case
            name, bound = "*", alias.asname or source
        if not bound.startswith("_") and source != "__future__":
            shown = name if name == bound or (name == "*" and source == bound) else f"{name}={bound}"
            found["imports"].setdefault(source, []).append(shown)


def read(module: str, file: Path, bases: Bases) -> Module:
    found: Module = {
        **{kind: [] for kind in ("all", "classes", "exceptions", "records", "functions", "values")},
        **{kind: [] for kind in ("variables", "loggers")},
        **{kind: {} for kind in ("enums", "constants", "imports")},
    }
    for node in statements(ast.parse(file.read_bytes()).body):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            kind = kind_of_class(node.name, bases)
            if kind == "enums":
                found[kind][node.name] = members(node)
            else:
                found[kind].append(node.name)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            found["functions"].append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            add_imports(found, node, module, file.name == "__init__.py")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == "__all__":
                    found["all"] = ast.literal_eval(node.value)
                elif isinstance(target, ast.Name) and not target.id.startswith("_"):
                    add_value(found, target.id, node.value)
    return compact(found)


def compact(found: Module) -> Module:
    """Write lists as text, drop what is empty, and names that the module defines after importing them."""
    kinds = ("classes", "exceptions", "records", "functions", "values", "variables", "loggers")
    own = {name for kind in kinds for name in found[kind]} | set(found["enums"]) | set(found["constants"])
    for source, names in list(found["imports"].items()):
        kept = sorted({name for name in names if (name.rpartition("=")[2]) not in own})
        found["imports"][source] = " ".join(kept)
    found["imports"] = {source: names for source, names in sorted(found["imports"].items()) if names}
    for kind in ("all", *kinds):
        found[kind] = " ".join(sorted(set(found[kind])))
    for name in list(found["constants"]):
        if name in found["values"].split():
            del found["constants"][name]
    return {kind: value for kind, value in found.items() if value}


def listing(folder: Path) -> str:
    files = sources(folder)
    if "chromadb" not in files:
        sys.exit(f"{folder} is not the folder of a package chromadb: run `make clients`")
    bases: Bases = {}
    for file in files.values():
        for node in statements(ast.parse(file.read_bytes()).body):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, [ast.unparse(base) for base in node.bases])
    modules = {module: read(module, file, bases) for module, file in files.items()}
    version = next(
        ast.literal_eval(node.value)
        for node in ast.parse(files["chromadb"].read_bytes()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    return json.dumps({"version": version, "modules": modules}, indent=1) + "\n"


def installed() -> Path:
    return next(iter((ROOT / "build" / "clients" / "full").glob("lib/python*/site-packages/chromadb")), ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    text = listing(given.folder or installed())
    if given.check and LIST.read_text("utf-8") != text:
        sys.exit(f"{LIST.relative_to(ROOT)} is out of date: run python scripts/chromadb_names.py")
    if not given.check:
        LIST.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
