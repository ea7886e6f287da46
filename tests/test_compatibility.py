"""COMPATIBILITY.md has a row for everything that users can call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import chroma
from chroma import Collection, errors
from chroma.api.async_client import AsyncAdminClient, AsyncClient
from chroma.api.client import AdminClient, Client
from chroma.api.models.AsyncCollection import AsyncCollection
from chroma.cli import cli
from chroma.collection.configuration import CreateHNSWConfiguration
from chroma.config import Settings

TEXT = (Path(__file__).resolve().parent.parent / "COMPATIBILITY.md").read_text("utf-8")

# cells of the rows that say something about a call: names, state, remark
ROWS = re.findall(r"^\| ([^|]+) \| (same|differs|absent|new) \|(.*)\|$", TEXT, re.M)
NAMES = [name for cell, _, _ in ROWS for name in re.findall(r"`([^`]+)`", cell)]
CALLED = {re.split(r"[( ]", name)[0] for name in NAMES} | set(NAMES)


def methods(cls: type[Any]) -> Iterator[str]:
    for name, member in inspect.getmembers(cls):
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            yield f"{cls.__name__}.{name}"


def commands(group: click.Group, prefix: str) -> Iterator[str]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


@pytest.mark.parametrize("cls", [Client, AdminClient, Collection])
def test_every_method_has_a_row(cls: type[Any]) -> None:
    assert [name for name in methods(cls) if name not in CALLED] == []


@pytest.mark.parametrize("cls", [Client, AdminClient, Collection])
def test_no_row_for_a_method_that_is_gone(cls: type[Any]) -> None:
    known = {*methods(cls), "Client.clear_system_cache", "Client.from_system"}
    listed = {name for name in CALLED if re.fullmatch(rf"{cls.__name__}\.\w+", name)}
    assert listed <= known


@pytest.mark.parametrize("cls", [AsyncClient, AsyncAdminClient, AsyncCollection])
def test_every_asynchronous_class_has_a_row(cls: type[Any]) -> None:
    """One for the class; that it has the methods of the other is a test in http/test_async.py."""
    assert cls.__name__ in CALLED


def test_every_parameter_is_named() -> None:
    methods = ("get", "query", "delete", "add", "load", "export", "to_arrow", "sql", "plot")
    calls = {f"Collection.{name}": getattr(Collection, name) for name in methods}
    calls |= {f"Client.{name}": getattr(Client, name) for name in ("create_collection", "sql", "backup")}
    calls |= {name: getattr(chroma, name) for name in ("AsyncHttpClient", "CloudClient")}
    for called, call in calls.items():
        row = next(cell + remark for cell, _, remark in ROWS if f"`{called}(" in cell)
        for name in [name for name in inspect.signature(call).parameters if name != "self"]:
            assert re.search(rf"\b{name}\b", row), f"{called} has {name}"


def test_every_command_has_a_row() -> None:
    assert [name for name in commands(cli, "chroma") if name not in CALLED] == []


def test_every_public_name_has_a_row() -> None:
    assert [name for name in chroma.__all__ if name not in CALLED] == []


def test_what_is_absent_says_so() -> None:
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things", embedding_function=None)
        for name in [name for name in CALLED if re.fullmatch(r"Collection\.\w+", name)]:
            state = next(state for cell, state, _ in ROWS if f"`{name}" in cell)
            if state == "absent":
                with pytest.raises(NotImplementedError):
                    getattr(things, name.split(".")[1])()


def test_settings_and_configuration_keys_have_a_row() -> None:
    text = " ".join(name for name in NAMES if name.startswith("Settings("))
    for key in (
        "anonymized_telemetry",
        "allow_reset",
        "is_persistent",
        "chroma_memory_limit_bytes",
        "chroma_http_progress",
    ):
        assert key in Settings.KEYS
        assert key in text
    assert [key for key in CreateHNSWConfiguration.__annotations__ if key not in NAMES] == []


def test_differences_are_explained() -> None:
    listed = TEXT[TEXT.index("## Differences on purpose") :]
    explained = set(re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", listed, re.M))))
    cited = set(re.findall(r"\d+", " ".join(re.findall(r"\((\d[\d, ]*)\)", TEXT))))
    assert cited <= explained


def test_new_errors_are_listed() -> None:
    listed = TEXT[TEXT.index("## Errors") : TEXT.index("## Command line")]
    ours = {name for name, found in vars(errors).items() if isinstance(found, type) and "Error" in name}
    theirs = {
        "ChromaError", "InvalidArgumentError", "NotFoundError", "DuplicateIDError", "InternalError",
        "AuthorizationError", "ChromaAuthError", "UniqueConstraintError", "InvalidDimensionException",
        "IDAlreadyExistsError", "InvalidUUIDError", "InvalidHTTPVersion", "BatchSizeExceededError",
        "RateLimitError", "QuotaError", "VersionMismatchError",
    }  # fmt: skip
    assert [name for name in theirs if not hasattr(errors, name)] == []
    assert [name for name in ours - theirs if f"`{name}`" not in listed] == []


def test_the_section_that_a_message_points_at() -> None:
    assert "\n## Moving from versions before 0.4\n" in TEXT
    with pytest.raises(ValueError, match=r"COMPATIBILITY\.md"):
        chroma.Settings(chroma_db_impl="duckdb+parquet")
