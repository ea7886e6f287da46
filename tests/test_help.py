"""`help` of every call of collections and clients explains its arguments, and has an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import chroma
from chroma.api.async_client import AsyncClient
from chroma.api.client import Client
from chroma.api.models.AsyncCollection import AsyncCollection

CLASSES = [chroma.Collection, AsyncCollection, Client, AsyncClient]
# asked of hosted servers only, or there for programs written for Chroma
WITHOUT_EXAMPLE = {
    "attach_function", "clear_system_cache", "detach_function", "fork_count", "get_attached_function",
    "get_model",
}  # fmt: skip


def calls() -> Iterator[tuple[str, Any]]:
    for cls in CLASSES:
        for name, found in inspect.getmembers(cls, callable):
            if not name.startswith("_"):
                yield f"{cls.__name__}.{name}", found


NAMES = [name for name, _ in calls()]


@pytest.mark.parametrize(("name", "call"), list(calls()), ids=NAMES)
def test_help(name: str, call: Any) -> None:
    text = inspect.getdoc(call) or ""
    arguments = [
        each for each in inspect.signature(call).parameters if each not in ("self", "args", "kwargs")
    ]
    assert [each for each in arguments if not re.search(rf"\b{each}\b", text)] == []
    if name.split(".")[1] not in WITHOUT_EXAMPLE:
        assert re.search(r"\b(collection|client|words)\.\w+", text), "it has no example"


def test_the_names_of_the_package() -> None:
    found = {name for name in dir(chroma) if not name.startswith("__")}
    assert found == {*chroma.__all__, *chroma._SUBMODULES} - {"__version__"}
