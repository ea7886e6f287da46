"""Every module and public name of chromadb can be imported; what is not offered raises when it is used."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

import pydantic
import pytest

from chroma.compat import names
from chroma.compat.stand_ins import StandInError
from chroma.errors import ChromaError, UnsupportedError

from ...clients import environments

pytestmark = pytest.mark.usefixtures("installed")


def everything() -> Iterator[tuple[str, str, str, Any]]:
    """Each module, name, kind and object of the list."""
    for module in names.modules():
        imported = importlib.import_module(module)
        for name in names.listed_names(module):
            yield module, name, names._kinds(module)[name][0], getattr(imported, name)


def test_the_list_is_complete_enough() -> None:
    assert len(names.modules()) > 130
    assert sum(1 for _ in everything()) > 2500


def test_every_name_resolves_to_something_of_its_kind() -> None:
    for module, name, kind, value in everything():
        at = f"{module}.{name}"
        if kind in ("classes", "exceptions", "records", "enums"):
            assert isinstance(value, type), at
        if kind == "exceptions":
            assert issubclass(value, ChromaError), at
        if kind == "functions":
            assert callable(value), at
        if kind == "loggers":
            assert isinstance(value, logging.Logger), at
        if kind == "variables":
            assert isinstance(value, TypeVar), at
        if kind == "constants":
            assert isinstance(value, (str, int, float)), at


def test_a_name_is_one_object_in_all_modules_that_import_it() -> None:
    for module in names.modules():
        for name, (kind, known) in names._kinds(module).items():
            if kind != "import" or not names.is_listed(known[0]) or known[1] is None:
                continue
            here, there = (
                getattr(importlib.import_module(place), each)
                for place, each in ((module, name), (known[0], known[1]))
            )
            assert here is there or here == there, f"{module}.{name}"


def stand_ins() -> list[Any]:
    found = {id(value): value for _, _, _, value in everything() if is_stand_in(value)}
    assert len(found) > 200
    return list(found.values())


def is_stand_in(value: Any) -> bool:
    return type(value).__name__ == "_StandIn" or (
        getattr(value, "__qualname__", "") == getattr(value, "__name__", None)
        and str(getattr(value, "__module__", "")).startswith("chromadb")
        and not isinstance(value, type)
    )


def test_what_is_not_offered_raises_when_it_is_used() -> None:
    for value in stand_ins():
        with pytest.raises(UnsupportedError, match=r"is not (offered|available): .{10}") as raised:
            value("an argument", a_keyword=1)
        assert f"{value.__module__}.{value.__name__} " in str(raised.value)
        if isinstance(value, type):
            derived = type("Derived", (value,), {"method": lambda self: 1})
            with pytest.raises(UnsupportedError):
                derived()
            assert not isinstance(1, value)
            assert issubclass(derived, value)
            assert value[int] is value  # type: ignore[index]
            assert value | None
            with pytest.raises(StandInError, match="asked for its attribute 'something'"):
                value.something  # type: ignore[attr-defined]  # noqa: B018
            assert not hasattr(value, "something")


def test_models_of_pydantic_have_fields_of_what_is_not_offered() -> None:
    for value in stand_ins():
        if not isinstance(value, type):
            continue
        model = pydantic.create_model("Model", field=(value | None, None))
        assert model().field is None  # type: ignore[attr-defined]
        assert model.model_json_schema()["properties"]["field"]["anyOf"][1] == {"type": "null"}
        with pytest.raises(pydantic.ValidationError, match="should be an instance of"):
            model(field=1)


def test_a_name_that_chromadb_lacks_is_no_name() -> None:
    module = importlib.import_module("chromadb.api.types")
    with pytest.raises(AttributeError, match=r"module 'chromadb.api.types' has no attribute 'Nobody'"):
        module.Nobody  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("chromadb.nowhere")


def test_star_imports() -> None:
    for module in names.modules():
        found: dict[str, Any] = {}
        exec(f"from {module} import *", found)
        assert set(names.exported(module)) <= set(found), module


def test_the_list_is_that_of_the_installed_package() -> None:
    folder = next(environments.needed("full").glob("lib/python*/site-packages/chromadb"))
    done = subprocess.run(
        [sys.executable, str(environments.ROOT / "scripts" / "chromadb_names.py"), "--check", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
