"""chroma/_sync is what scripts/twins.py makes of chroma/_async, and the script sees drift."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def twins() -> ModuleType:
    spec = importlib.util.spec_from_file_location("twins", ROOT / "scripts" / "twins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("_async", "_sync", "backend"):
        shutil.copytree(ROOT / "chroma" / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_twins_agree(twins: ModuleType) -> None:
    assert twins.main(ROOT / "chroma", check=True) == []


def test_drift_is_found_and_mended(twins: ModuleType, tree: Path) -> None:
    changed = tree / "_sync" / "client.py"
    changed.write_text(changed.read_text("utf-8") + "\n# by hand\n", "utf-8")
    (tree / "_sync" / "extra.py").touch()
    (tree / "_sync" / "http_backend.py").unlink()
    before = changed.read_text("utf-8")
    assert [line.split()[0] for line in twins.main(tree, check=True)] == [
        "chroma/_sync/client.py", "chroma/_sync/extra.py", "chroma/_sync/http_backend.py",
    ]  # fmt: skip
    assert changed.read_text("utf-8") == before
    assert len(twins.main(tree, check=False)) == 3
    assert twins.main(tree, check=True) == []


def test_a_rule_that_nothing_needs_is_found(
    twins: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(twins.RULES, r"\bnever_heard_of\b", "x")
    assert [line for line in twins.main(tree, check=True) if "never_heard_of" in line]


def test_nothing_asynchronous_is_left(twins: ModuleType) -> None:
    for file in (*(ROOT / "chroma" / "_sync").glob("*.py"), ROOT / "chroma" / "backend" / "protocol.py"):
        code = file.read_text("utf-8").split("\n", 1)[1].lower()  # after the header
        assert "async" not in code, file
        assert "await" not in code, file
