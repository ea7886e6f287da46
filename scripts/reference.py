"""Writes docs/reference/ from the signatures and docstrings of the public classes and functions.

python scripts/reference.py            writes changed pages
python scripts/reference.py --check    changes nothing; status 1 if a page would change
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference"
WIDTH = 100

# The pages: title, opening text, and the import paths of the objects on the page.
PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "clients": (
        "Clients",
        "How to open a database, and what a client does. `AsyncClient` has the same methods, to be awaited.",
        (
            "chroma.factories:EphemeralClient",
            "chroma.factories:PersistentClient",
            "chroma.factories:HttpClient",
            "chroma.factories:AsyncHttpClient",
            "chroma.factories:Client",
            "chroma._sync.client:Client",
            "chroma._sync.client:AdminClient",
            "chroma.config:Settings",
        ),
    ),
    "collection": (
        "Collection",
        "A set of records, and all that can be done with it. `AsyncCollection` has the same methods, to be "
        "awaited; its `to_batches` gives an asynchronous iterator.",
        ("chroma._sync.collection:Collection",),
    ),
    "results": (
        "Results",
        "What reading, searching and pipelines return.",
        (
            "chroma.results.types:GetResult",
            "chroma.results.types:QueryResult",
            "chroma.results.search_result:SearchResult",
            "chroma.results.facets:FacetResult",
            "chroma.storage.interface.explanation:Explanation",
            "chroma.storage.interface.explanation:PartExplanation",
            "chroma.storage.interface.explanation:PlanRun",
            "chroma.notebook.description:Description",
            "chroma.notebook.description:KeySummary",
            "chroma.pipelines.reports:LoadReport",
            "chroma.pipelines.reports:ExportReport",
            "chroma.storage.interface.values:CollectionStats",
            "chroma.storage.interface.values:BackupReport",
        ),
    ),
    "moving": (
        "Moving, copying, restoring",
        "Functions that work on whole databases.",
        (
            "chroma.migration.migrate:migrate",
            "chroma.migration.report:MigrationReport",
            "chroma.maintenance.copy_collections:copy_collections",
            "chroma.maintenance.restore:restore",
        ),
    ),
    "embedding": (
        "Embedding functions",
        "See also [the guide](../embedding.md).",
        (
            "chroma.embedding:EmbeddingFunction",
            "chroma.embedding.registry:register_embedding_function",
            "chroma.reranking.cross_encoder:CrossEncoderReranker",
        ),
    ),
    "errors": ("Errors", "All derive from `ChromaError`.", ("chroma.errors:*",)),
}


def page(name: str) -> str:
    """Return the text of a page."""
    title, opening, places = PAGES[name]
    parts = [
        f"# {title}\n",
        "<!-- Made by scripts/reference.py from the docstrings: change these, and run `make fix`. -->\n",
        f"{opening}\n",
    ]
    for place in places:
        for thing in _things(place):
            parts += _shown(thing)
    return "\n".join(parts)


def _things(place: str) -> Iterator[Any]:
    module_name, _, wanted = place.partition(":")
    module = importlib.import_module(module_name)
    if wanted != "*":
        yield getattr(module, wanted)
        return
    for thing in vars(module).values():
        if inspect.isclass(thing) and thing.__module__ == module_name:
            yield thing


def _shown(thing: Any) -> list[str]:
    if not inspect.isclass(thing):
        return [f"## {thing.__name__}\n", *_described(thing, thing.__name__)]
    if issubclass(thing, BaseException):
        bases = ", ".join(f"`{base.__name__}`" for base in thing.__bases__)
        return [f"## {thing.__name__}\n", f"{_prose(inspect.getdoc(thing))} A {bases}.\n"]
    parts = [f"## {thing.__name__}\n", f"```text\n{inspect.getdoc(thing)}\n```\n"]
    for name, member in _members(thing):
        parts += [f"### {thing.__name__}.{name}\n", *_described(member, name)]
    return parts


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of a class and its bases in this package, in source order."""
    seen: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("chroma"):
            continue
        for name, member in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            if (inspect.isfunction(member) or isinstance(member, property)) and member.__doc__:
                seen.add(name)
                yield name, member


def _described(member: Any, name: str) -> list[str]:
    parts = []
    if not isinstance(member, property):
        parts.append(f"```text\n{_signature(member, name)}\n```\n")
    parts.append(f"```text\n{inspect.getdoc(member)}\n```\n")
    return parts


def _signature(function: Callable[..., Any], name: str) -> str:
    """Return the signature `name(parameters) -> result`, with one parameter per line if it is long."""
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    texts: list[str] = []
    starred = False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not starred:
            texts.append("*")
        starred = starred or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        texts.append(_parameter(each))
    result = signature.return_annotation
    arrow = "" if result is signature.empty else f" -> {_plain(result)}"
    line = f"{name}({', '.join(texts)}){arrow}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"    {text},\n" for text in texts)
    return f"{name}(\n{inner}){arrow}"


def _parameter(each: inspect.Parameter) -> str:
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    text = stars + each.name
    if each.annotation is not each.empty:
        text += f": {_plain(each.annotation)}"
    if each.default is not each.empty:
        default = repr(each.default)
        text += f" = {'…' if ' at 0x' in default or default.startswith('<') else default}"
    return text


def _plain(annotation: Any) -> str:
    return re.sub(r"\b(typing|chroma(\.\w+)*)\.", "", str(annotation)).strip("'")


def main(check: bool) -> list[str]:
    """Write or check the pages. Returns messages about written pages or differences."""
    wanted = {f"{name}.md": page(name).rstrip() + "\n" for name in PAGES}
    present = {file.name: file.read_text("utf-8") for file in TARGET.glob("*.md")} if TARGET.exists() else {}
    told = []
    for name in sorted(wanted.keys() | present.keys()):
        if wanted.get(name) == present.get(name):
            continue
        if check:
            told.append(f"docs/reference/{name} is not what the docstrings say: run scripts/reference.py")
        elif name in wanted:
            TARGET.mkdir(exist_ok=True)
            (TARGET / name).write_text(wanted[name], "utf-8")
            told.append(f"wrote docs/reference/{name}")
        else:
            (TARGET / name).unlink()
            told.append(f"removed docs/reference/{name}")
    return told


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    lines = main(arguments.check)
    print("\n".join(lines) or "nothing to do")
    sys.exit(arguments.check and bool(lines))
