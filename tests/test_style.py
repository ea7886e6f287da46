"""What ruff has no rule for, from the syntax trees: arguments, conditional expressions within others, words.

The lists below name today's offenders by their qualified names, once for each; what is mended is
taken out of them. Public signatures and commands are free: how they are called is what users write.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import chain
from typing import NamedTuple

import pytest

from chroma.storage.interface import requests
from scripts.frozen.names import MODULES
from scripts.import_graph import SOURCES

MOST_PARAMETERS = 8
MOST_POSITIONAL = 5
# written in C: their arguments have no names
OF_C = {
    "_FRAME.pack",
    "kernel.compiled.distances",
    "kernel.compiled.nearest",
    "kernel.compiled.scan",
    "kernel.graph.Graph",
    "kernel.graph.Builder",
    "search_compiled",
    "kernel.text.contains",
    "kernel.text.matches",
    "libc.mmap",
}
# what validation makes requests with, out of the arguments of users
MAKE_REQUESTS = {"check_count_arguments", "check_delete", "check_get", "selected"}

# words that are no part of an identifier, with the words of the field that the storage engine has instead
WORDS = {
    "tail tails": "Memtable memtables",
    "settle settled housekeeping housekeeper": "compact compaction",
    "seal sealed unseal": "FLUSH_ROWS wrap_state unwrap_state",
    "kill kills dead": "deletes NO_DELETES tombstones deleted_rows decode_tombstones",
    "born": "unmanifested",
    "note noted noting unnoted unheard": "record_watermark lacks_watermark WATERMARK_SECONDS",
    "direct filing": "BULK_ROWS ParallelWriter",
    "together": "CommitQueue group_commit",
    "walk walks walked": "GraphSearch FilteredGraphSearch",
    "effort": "ef ef_construction ef_search",
    "reduction reduced": "Projection projection projected",
    "unlike": "out_of_distribution",
    "far caution mostly": "GRAPH_ADVANTAGE FILTERED_EF",
    "sidecar": "graph_file",
    "attributes": "MetadataColumns metadata_columns",
    "place places placed": "SelectedRows selected",
    "stamp": "file_version",
    "held": "collection OpenFile",
    "asked want wants wanted": "request requested",
    "figures": "EngineMetrics metrics",
    "refusals": "os_errors",
    "late": "_LazyModule lazy_pyarrow",
}

# the identifiers that have such a word nevertheless: names that users or other projects have given
GIVEN_NAMES = {
    "TogetherAIEmbeddingFunction": "public: the company's name",
    "add_attributes_to_current_span": "a function of chromadb.telemetry.opentelemetry",
    "add_note": "BaseException.add_note",
    "attributes": "a field of the identity that /api/v2/auth/identity answers, and of the public Identity",
    "chroma.embedding.providers.together": "the module of TogetherAIEmbeddingFunction",
    "kill": "os.kill and subprocess.Popen.kill",
    "late_chunking": "a parameter of Jina's API, and so of JinaEmbeddingFunction",
    "mark_process_dead": "of prometheus_client",
    "providers.together": "the module of TogetherAIEmbeddingFunction, imported",
    "walk": "os.walk",
    "unconsumed_tail": "of zlib.decompressobj",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Found(NamedTuple):
    """A function with its qualified name."""

    name: str
    node: Function


@cache
def trees() -> dict[str, ast.Module]:
    """The modules that are written by hand."""
    texts = {module: file.read_text("utf-8") for module, file in SOURCES.items()}
    return {module: ast.parse(text) for module, text in texts.items() if not text.startswith("# Made from ")}


def _functions(node: ast.AST, prefix: str = "") -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Found(prefix + child.name, child)
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield from _functions(child, prefix)


def _public() -> set[str]:
    """Qualified names of the functions and methods that users call, wherever they are written."""
    found = set()
    for module in map(import_module, MODULES):
        for value in (getattr(module, name) for name in getattr(module, "__all__", None) or vars(module)):
            if getattr(value, "__module__", "").split(".")[0] != "chroma":
                continue
            if inspect.isfunction(value):
                found.add(value.__qualname__)
            elif inspect.isclass(value):
                members = [getattr(member, "__func__", member) for _, member in inspect.getmembers(value)]
                found |= {
                    member.__qualname__
                    for member in members
                    if inspect.isfunction(member)
                    and (not member.__name__.startswith("_") or member.__name__ == "__init__")
                }
    return found


def _is_command(node: Function) -> bool:
    """Whether click calls it: with a parameter for each option."""
    texts = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any("command(" in text or "option(" in text or "argument(" in text for text in texts)


@cache
def internal() -> list[Found]:
    """The functions that neither users nor click call."""
    public = _public()
    found = [each for tree in trees().values() for each in _functions(tree)]
    return [each for each in found if each.name not in public and not _is_command(each.node)]


def _parameters(node: Function, positional_only: bool = False) -> list[str]:
    arguments = node.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    names = names[1:] if names[:1] in (["self"], ["cls"]) else names
    return names if positional_only else names + [each.arg for each in arguments.kwonlyargs]


def _compare(found: list[str], listed: list[str]) -> None:
    new, gone = Counter(found) - Counter(listed), Counter(listed) - Counter(found)
    assert not new, f"mend, rather than list: {sorted(new.elements())}"
    assert not gone, f"mended: take out of the list: {sorted(gone.elements())}"


def test_functions_have_few_parameters() -> None:
    found = [each.name for each in internal() if len(_parameters(each.node)) > MOST_PARAMETERS]
    _compare(found, MANY_PARAMETERS)


def test_functions_have_few_positional_parameters() -> None:
    found = [each.name for each in internal() if len(_parameters(each.node, True)) > MOST_POSITIONAL]
    _compare(found, MANY_POSITIONAL)


def test_no_call_has_many_positional_arguments() -> None:
    found = []
    for module, tree in trees().items():
        found += [f"{caller or module}: {name}" for caller, name in _long_calls(tree)]
    _compare(found, LONG_CALLS)


def _long_calls(node: ast.AST, caller: str = "") -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        inner = caller
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{caller}.{child.name}".lstrip(".")
        if isinstance(child, ast.Call) and len(child.args) > MOST_POSITIONAL:
            # a tuple in words: what takes any number takes many
            called = ast.unparse(child.func)
            if called not in OF_C and called not in ("print", "max", "min", "zip"):
                yield caller, called
        yield from _long_calls(child, inner)


def test_filters_travel_together() -> None:
    """Once they are checked, as a Selection. What checks the arguments of users makes it."""
    both = {"where", "where_document"}
    found = [
        each.name
        for each in internal()
        if both <= set(_parameters(each.node)) and each.name not in MAKE_REQUESTS
    ]
    _compare(found, BOTH_FILTERS)


def test_requests_are_made_with_keywords() -> None:
    names = {name for name, found in vars(requests).items() if hasattr(found, "_fields")} | {"ScanRequest"}
    found = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in names and node.args
    ]
    assert not found


def test_no_conditional_expression_within_another() -> None:
    found = []
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.IfExp):
                parts = (node.test, node.body, node.orelse)
                if any(isinstance(part, ast.IfExp) for part in parts):
                    found.append(f"{module}:{node.lineno}")
    assert not found


def _split(identifier: str) -> set[str]:
    """The words of an identifier, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def _identifiers(tree: ast.Module) -> set[str]:
    """Every name in a syntax tree: variables, attributes, functions, classes, arguments, imports."""
    fields = ("id", "attr", "name", "asname", "arg", "module", "rest")
    named = {getattr(node, field, None) for node in ast.walk(tree) for field in fields}
    lists = (node.names for node in ast.walk(tree) if isinstance(node, (ast.Global, ast.Nonlocal)))
    return {name for name in (*named, *chain.from_iterable(lists)) if isinstance(name, str)}


@cache
def identifiers() -> dict[str, set[str]]:
    """The identifiers of both trees, and the names of the modules, each with the modules that have it."""
    found: dict[str, set[str]] = {}
    for module, tree in trees().items():
        for name in (module, *_identifiers(tree)):
            found.setdefault(name, set()).add(module)
    return found


def _of_the_engine() -> set[str]:
    return {
        name
        for name, modules in identifiers().items()
        if any(module.startswith("chroma.storage") for module in modules)
    }


@pytest.mark.parametrize("homemade", WORDS)
def test_identifiers_have_the_words_of_the_field(homemade: str) -> None:
    gone = set(homemade.split())
    left = {name: modules for name, modules in identifiers().items() if _split(name) & gone}
    left = {name: modules for name, modules in left.items() if name not in GIVEN_NAMES}
    assert not left, f"the storage engine says it with {WORDS[homemade]}"


@pytest.mark.parametrize("homemade", WORDS)
def test_the_storage_engine_speaks_the_words_of_the_field(homemade: str) -> None:
    words = {part for name in _of_the_engine() for part in name.split(".")}
    assert not set(WORDS[homemade].split()) - words
    assert not _of_the_engine() & GIVEN_NAMES.keys()


def test_given_names_exist() -> None:
    assert GIVEN_NAMES.keys() <= identifiers().keys(), "taken out of the code: take out of the list"


@pytest.mark.parametrize("names", ["MANY_PARAMETERS", "MANY_POSITIONAL", "LONG_CALLS", "BOTH_FILTERS"])
def test_lists_are_sorted(names: str) -> None:
    assert globals()[names] == sorted(globals()[names])


# ---------------------------------------------------------------------------- today's offenders

MANY_PARAMETERS: list[str] = []

MANY_POSITIONAL: list[str] = []

LONG_CALLS: list[str] = []

BOTH_FILTERS: list[str] = []
