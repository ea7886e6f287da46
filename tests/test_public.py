"""What users rely on: the names in pickles, and everything that scripts/freeze.py has frozen.

Only public modules are imported here, so that these tests stay as they are when modules move.
"""

from __future__ import annotations

import json
import pickle
import pickletools
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.config import Settings
from chroma.utils import embedding_functions
from scripts.freeze import PARTS, differences, unlike
from scripts.frozen.values import FUNCTIONS, UNTRIED, VALUES, made

PUBLIC = {
    "chroma",
    "chroma.api.types",
    "chroma.config",
    "chroma.embedding",
    "chroma.errors",
    "chroma.execution.expression",
    "chroma.types",
    "chroma.utils.embedding_functions",
}

# reads pickles in hex, a line each, and prints the class and its text
READER = """
import json, pickle, sys
for line in sys.stdin:
    value = pickle.loads(bytes.fromhex(line))
    print(json.dumps([type(value).__module__, type(value).__qualname__, repr(value)]))
"""


def named(pickled: bytes) -> set[tuple[str, str]]:
    """The (module, name) pairs that a pickle of protocol 4 asks for, of this package."""
    texts: list[str] = []
    memo: list[Any] = []
    found = set()
    for op, argument, _ in pickletools.genops(pickled):
        if op.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            texts.append(argument)
            last = argument
        elif op.name == "MEMOIZE":
            memo.append(last)
        elif op.name in ("BINGET", "LONG_BINGET"):
            texts.append(memo[argument])
        elif op.name == "STACK_GLOBAL":
            found.add((texts[-2], texts[-1]))
        if op.name not in ("SHORT_BINUNICODE", "BINUNICODE", "MEMOIZE"):
            last = None
    return {(module, name) for module, name in found if module.split(".")[0] == "chroma"}


def test_pickles_name_public_modules() -> None:
    for what, value in made():
        pickled = pickle.dumps(value, 4)
        pairs = named(pickled)
        assert pairs, what
        assert {module for module, _ in pairs} <= PUBLIC, what
        for module, name in pairs:
            assert getattr(import_module(module), name).__name__ == name, what


def test_pickles_can_be_read_by_a_fresh_process(tmp_path: Path) -> None:
    values = [value for _, value in made()]
    done = subprocess.run(
        [sys.executable, "-c", READER],
        input="\n".join(pickle.dumps(value).hex() for value in values),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(values)
    for value, line in zip(values, lines, strict=True):
        module, name, text = json.loads(line)
        assert (module, name) == (type(value).__module__, type(value).__qualname__)
        if " at 0x" not in text:
            assert text == repr(value)


def test_results_with_vectors_survive() -> None:
    result = chroma.GetResult(ids=["a"], embeddings=np.ones((1, 2), np.float32))
    again = pickle.loads(pickle.dumps(result, 4))
    assert type(again) is chroma.GetResult
    assert again["embeddings"].tolist() == [[1.0, 1.0]]


def test_every_class_of_the_package_is_tried() -> None:
    """Whatever of `chroma` and of the embedding functions has instances that are values."""
    handles = {
        "AdminAPI",
        "AsyncClientAPI",
        "ClientAPI",
        "Collection",
        "CrossEncoderReranker",
        "EmbeddingFunction",
        "Settings",
        "SparseEmbeddingFunction",
    }
    parts = {"KeySummary", "MovedCollection", "PartExplanation", "PlanRun", "TextSummary"}
    classes = {name for name in chroma.__all__ if isinstance(getattr(chroma, name), type)}
    aliases = {name for name in classes if getattr(chroma, name).__module__ == "builtins"}
    assert classes - aliases - handles - parts == {name for name in VALUES if name in chroma.__all__}
    functions = {
        name for name in embedding_functions.__all__ if isinstance(getattr(embedding_functions, name), type)
    }
    assert functions - UNTRIED == set(FUNCTIONS)


def test_settings_have_pickles_too() -> None:
    settings = pickle.loads(pickle.dumps(Settings(persist_directory="db"), 4))
    assert dict(settings) == dict(Settings(persist_directory="db"))


def test_hints_of_what_is_named_elsewhere_can_be_read() -> None:
    """`__module__` is not where these are written, and its names are not in reach of texts."""
    for name in VALUES:
        if name in chroma.__all__ and isinstance(cls := getattr(chroma, name), type):
            assert set(typing.get_type_hints(cls)) >= set(getattr(cls, "__dataclass_fields__", ()))


def test_importing_the_names_is_light() -> None:
    """The classes of reports come without numpy and pyarrow where their modules can do without."""
    code = (
        "import json, sys, chroma, chroma.types as before; seen = set(sys.modules)\n"
        "chroma.LoadReport, chroma.MigrationReport, chroma.Identity\n"
        "print(json.dumps(sorted(name for name in set(sys.modules) - seen if name.split('.')[0] not in"
        " sys.stdlib_module_names | {'chroma'})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_public_modules_can_be_imported_alone(module: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, cwd=tmp_path)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_frozen(part: str) -> None:
    """A difference that is meant: `python scripts/freeze.py`, and a line in CHANGELOG.md."""
    if reason := unlike(part):
        pytest.skip(reason)
    lines = differences(part, hash_seed="1")
    assert not lines, "\n".join(lines)


def test_completion_offers_public_names_only() -> None:
    """`dir` had inner modules, and names such as Any."""
    import chroma

    chroma.evaluate  # noqa: B018 - what was used before does not matter
    shown = {name for name in dir(chroma) if not name.startswith("__")}
    assert shown == {*(name for name in chroma.__all__ if name != "__version__"), *chroma._SUBMODULES}
