"""Finds the object for a public name of chromadb.

Owns the list of these names (`names.json`, written by scripts/chromadb_names.py) and the order in which a
name is looked up: the table of counterparts, the module of this package at the same path, the module that
chromadb itself imports the name from, and last a stand-in.
"""

from __future__ import annotations

import json
import logging
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from .counterparts import COUNTERPARTS, HOMES
from .stand_ins import stand_in_class, stand_in_exception, stand_in_function

_LISTS = ("classes", "exceptions", "records", "functions", "values", "variables", "loggers")
Listed = dict[str, Any]


@cache
def _list() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(Path(__file__).with_name("names.json").read_text("utf-8"))
    return listed


def version() -> str:
    """Return the version of chromadb whose names are listed."""
    found: str = _list()["version"]
    return found


@cache
def _packages() -> frozenset[str]:
    """Return the names of all packages, those without names of their own included."""
    return frozenset(
        module[:end] for module in _list()["modules"] for end, mark in enumerate(module) if mark == "."
    )


def is_listed(module: str, *, package: bool = False) -> bool:
    """Whether chromadb has this module, or with `package`, this package."""
    return module in _packages() or (not package and module in _list()["modules"])


def modules() -> list[str]:
    """Return the names of all modules and packages."""
    return sorted({*_list()["modules"], *_packages()})


@cache
def _kinds(module: str) -> dict[str, tuple[str, Any]]:
    """Return the names of a module, each with its kind and its entry in the list of names."""
    listed: Listed = _list()["modules"].get(module, {})
    found: dict[str, tuple[str, Any]] = {}
    for source, names in listed.get("imports", {}).items():
        for entry in names.split():
            name, _, alias = entry.partition("=")
            if name == "*" and not alias and source.startswith("chromadb."):
                found |= {each: ("import", (source, each)) for each in _kinds(source)}
            elif name == "*":
                found[alias or source] = ("import", (source, None))
            else:
                found[alias or name] = ("import", (source, name))
    for kind in _LISTS:
        found |= dict.fromkeys(listed.get(kind, "").split(), (kind, None))
    for kind in ("enums", "constants"):
        found |= {name: (kind, value) for name, value in listed.get(kind, {}).items()}
    return found


def exported(module: str) -> list[str]:
    """Return the names that `from module import *` gives."""
    listed: Listed = _list()["modules"].get(module, {})
    return sorted(listed["all"].split() if "all" in listed else _kinds(module))


def listed_names(module: str) -> list[str]:
    """Return all public names of a module."""
    return sorted(_kinds(module))


def resolved(module: str, name: str) -> Any:
    """Return the object for a name in a module of chromadb. Raises AttributeError if there is none."""
    if name == "__all__":
        return exported(module)
    if name == "__version__" and module == "chromadb":
        return version()
    if is_listed(f"{module}.{name}"):
        return import_module(f"{module}.{name}")
    if name.startswith("__"):  # of modules: none of the package that answers is meant
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    for source, other in (*_counterparts(module, name), (_own(module), name)):
        found = _attribute(source, other)
        if found is not None:
            return found[0]
    if name not in _kinds(module):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return _made(module, name)


def _counterparts(module: str, name: str) -> list[tuple[str, str]]:
    """Return where the tables put a name: a module of this package, and the name there."""
    found = []
    for source, names in COUNTERPARTS.get(module, {}).items():
        for entry in names.split():
            theirs, _, ours = entry.partition("=")
            if theirs == name:
                found.append((source, ours or theirs))
    if not name.startswith("_"):
        found += [(home, name) for prefix, home in HOMES if module.startswith(prefix)]
    return found


def _own(module: str) -> str:
    return "chroma" + module[len("chromadb") :]


def _attribute(module: str, name: str) -> tuple[Any] | None:
    """Return the attribute of a module, in a tuple of one. None if the module or the attribute is missing."""
    try:
        return (getattr(import_module(module), name),)
    except ModuleNotFoundError as missing:
        if missing.name is not None and f"{module}.".startswith(f"{missing.name}."):
            return None
        raise
    except AttributeError:
        return None


def _made(module: str, name: str) -> Any:
    """Make a stand-in for a name of chromadb that has no counterpart in this package."""
    kind, known = _kinds(module)[name]
    match kind:
        case "import":
            return _imported(module, name, *known)
        case "constants":
            return known
        case "enums":
            return Enum(name, known, module=module, type=str if _all_text(known) else None)
        case "variables":
            variable: Any = TypeVar
            return variable(name)
        case "loggers":
            return logging.getLogger(module)
        case "records":
            record: Any = TypedDict  # called like this, because its name is known only now
            return _in_module(record(name, {}, total=False), module)
        case "exceptions":
            return stand_in_exception(module, name)
        case "functions":
            return stand_in_function(module, name)
        case _:
            return stand_in_class(module, name)


def _in_module(made: Any, module: str) -> Any:
    made.__module__ = module
    return made


def _all_text(members: dict[str, Any]) -> bool:
    return all(isinstance(value, str) for value in members.values())


def _imported(module: str, name: str, source: str, there: str | None) -> Any:
    """Return a name that chromadb imports from another module. If that module is missing, return a
    stand-in."""
    try:
        found = import_module(source)
        return found if there is None else getattr(found, there)
    except (ModuleNotFoundError, AttributeError):
        if source.startswith("chromadb."):  # a module that the package does not have either
            return stand_in_class(module, name)
        return stand_in_class(module, name, f"it comes from the package {source.partition('.')[0]}")
