"""The distribution of the client alone: which modules it has, and that build and errors agree with that.

Its wheel is tried in environments of its own by scripts/client_tests.sh and scripts/smoke.sh.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import chroma
from chroma import embedding
from chroma.embedding.registry import LAZY
from chroma.errors import InvalidArgumentError, UnsupportedError
from chroma.internal.distribution import LEFT_OUT, full
from scripts.import_graph import IMPORTS, ROOT, SOURCES

from .support import server

# of others, and only inside functions: what is tried where it is installed, or asked for by name
AT_NEED = {
    "IPython",
    "PIL",
    "boto3",
    "botocore",
    "orjson",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic_core",
    "tqdm",
}


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import build_client  # type: ignore[import-not-found, unused-ignore]

    return build_client  # type: ignore[no-any-return, unused-ignore]


def test_the_selection_is_closed(build: ModuleType) -> None:
    selected = set(build.selected())
    assert [
        f"{module}:{found.line} imports {found.module}"
        for module in selected
        for found in IMPORTS[module]
        if found.module in SOURCES and not found.typing_only and found.module not in selected | set(LEFT_OUT)
    ] == []


def test_the_selection_holds_no_engine_and_no_server(build: ModuleType) -> None:
    selected = build.selected()
    assert [name for name in selected if name.startswith("chroma.storage")] == [
        "chroma.storage",
        "chroma.storage.interface",
        "chroma.storage.interface.columnar_metadata",
        "chroma.storage.interface.english_stemmer",
        "chroma.storage.interface.errors",
        "chroma.storage.interface.explanation",
        "chroma.storage.interface.flatbuffers",
        "chroma.storage.interface.fork_safety",
        "chroma.storage.interface.iso_times",
        "chroma.storage.interface.metadata_json",
        "chroma.storage.interface.metadata_order",
        "chroma.storage.interface.nearest_names",
        "chroma.storage.interface.progress",
        "chroma.storage.interface.ranking",
        "chroma.storage.interface.report_repr",
        "chroma.storage.interface.requests",
        "chroma.storage.interface.schema",
        "chroma.storage.interface.short_repr",
        "chroma.storage.interface.sparse_matrix",
        "chroma.storage.interface.sparse_vector",
        "chroma.storage.interface.sparse_vector_arrow",
        "chroma.storage.interface.unmatched",
        "chroma.storage.interface.values",
        "chroma.storage.interface.version_names",
        "chroma.storage.interface.whole_numbers",
        "chroma.storage.interface.words",
        "chroma.storage.native",
        "chroma.storage.native.kernel",
    ]
    assert not {name for name in selected if name.startswith(("chroma.server", "chroma.cli", "chroma.demo"))}
    assert not [source for source, _ in build.files() if source.suffix in (".c", ".so", ".pyd")]
    assert not set(LEFT_OUT) & set(selected)
    assert {"chroma.embedding.minilm.weights", "chroma.embedding.minilm.download"}.isdisjoint(selected)


def test_the_selection_needs_httpx_and_numpy_only(build: ModuleType) -> None:
    needed = {
        found.module.split(".")[0]
        for module in build.selected()
        for found in IMPORTS[module]
        if not found.typing_only
    }
    with_httpx = {"h11", "httpcore"}
    assert needed - set(sys.stdlib_module_names) - {"chroma"} - AT_NEED - with_httpx == {"httpx", "numpy"}


def test_every_public_name_comes_from_the_selection(build: ModuleType) -> None:
    selected = set(build.selected())
    assert {f"chroma.{module}" for module, _ in chroma._HOMES.values()} <= selected
    assert {f"chroma.{module}" for module in chroma._SUBMODULES} <= selected


def test_the_embedding_functions_of_providers_are_in_it(build: ModuleType) -> None:
    folder = {name.removeprefix("chroma.embedding.") for name in build.selected()}
    assert {module for module, _ in LAZY.values()} | set(embedding._LAZY.values()) <= folder


def test_what_is_left_out_is_imported_in_one_way(build: ModuleType) -> None:
    """Each import of a module that is left out, in one that is not, is inside `with full(…)`."""
    for module in build.selected():
        lines = SOURCES[module].read_text("utf-8").splitlines()
        for found in IMPORTS[module]:
            if found.module in LEFT_OUT and not found.typing_only:
                above = "\n".join(lines[max(0, found.line - 7) : found.line - 1])
                assert "with full(" in above, f"{module}:{found.line}"


def test_the_staged_tree(build: ModuleType, tmp_path: Path) -> None:
    build.stage(tmp_path / "staged")
    staged = {str(file.relative_to(tmp_path / "staged")) for file in (tmp_path / "staged").rglob("*.*")}
    assert {"chroma.py", "pyproject.toml", "README.md", "chroma_client/__init__.py"} <= staged
    assert {"chroma_client/chroma/_sync/http_backend.py", "chroma-stubs/_sync/http_backend.pyi"} <= staged
    assert not [name for name in staged if name.startswith("chroma/")], (
        "shares a folder with the whole package"
    )
    # no other file of that name in the wheel of the whole package
    assert not (ROOT / "chroma.py").exists()
    assert not (ROOT / "chroma_client").exists()


@pytest.mark.parametrize("absent", [set(), AT_NEED], ids=["with-extras", "alone"])
def test_the_staged_tree_works(build: ModuleType, tmp_path: Path, absent: set[str]) -> None:
    """The program that tries the real wheel, over the tree that the wheel is made of."""
    build.stage(tmp_path / "staged")
    hidden = (
        f"import sys\nsys.modules.update(dict.fromkeys({sorted(absent)!r}))\n"
        # of this checkout, where it is installed for editing
        "sys.meta_path[:] = [each for each in sys.meta_path if '__editable__' not in "
        "getattr(each, '__module__', '')]\n"
    )
    (tmp_path / "staged" / "sitecustomize.py").write_text(hidden)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "scripts" / "smoke_client.py"), "thin", server.url()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "staged")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("thin: ok")


def test_bounds_are_those_of_the_whole_package() -> None:
    own = set(
        re.findall(r'"((?:httpx|numpy|orjson|pyarrow)>=[\d.]+)"', (ROOT / "pyproject.toml").read_text())
    )
    thin = (ROOT / "client" / "pyproject.toml").read_text()
    listed = re.findall(r'"([a-z]+[><=][^"]*)"', thin[thin.index("\ndependencies") :])
    assert set(listed) == own
    assert len(listed) == 4


@pytest.mark.parametrize("module", LEFT_OUT)
def test_what_is_not_installed_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module in SOURCES
    with pytest.raises(UnsupportedError, match=r"Things .*`pip install chroma-arrow`, or do without"):
        with full("Things", "do without"):
            raise ModuleNotFoundError("…", name=module)
    with pytest.raises(InvalidArgumentError, match="chroma-arrow"):
        with full("Things", "do without", InvalidArgumentError):
            raise ModuleNotFoundError("…", name=module)


def test_other_missing_modules_stay_what_they_are() -> None:
    with pytest.raises(ModuleNotFoundError, match="duckdb"):
        with full("Things", "do without"):
            raise ModuleNotFoundError("No module named 'duckdb'", name="duckdb")
