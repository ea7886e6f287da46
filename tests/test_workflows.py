"""The hosted checks run what exists: targets, Pythons and files are those of the tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
PYTHONS = re.findall(r"Python :: (3\.\d+)", PROJECT)


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_targets_and_scripts_exist(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = path.read_text("utf-8")
    assert set(re.findall(r"make PYTHON=python ([\w-]+)", text)) <= targets
    assert [name for name in re.findall(r"scripts/[\w.]+", text) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_may_more_than_it_needs(path: Path) -> None:
    """Reading is the default, one job asks for more; every job ends; every action has a version."""
    assert yaml.safe_load(path.read_text("utf-8"))["permissions"] == {"contents": "read"}
    for name, job in jobs(path).items():
        assert job.get("permissions", {}) == ({"id-token": "write"} if name == "publish" else {})
        assert "timeout-minutes" in job or str(job.get("uses", "")).startswith("./")
        for step in job.get("steps", []):
            assert "uses" not in step or re.search(r"@(v\d+|release/v\d+)", step["uses"]), step
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"] == {"persist-credentials": False}


def test_every_python_is_tested_and_gets_a_wheel() -> None:
    assert jobs(ROOT / ".github" / "workflows" / "ci.yml")["test"]["strategy"]["matrix"]["python"] == PYTHONS
    (build,) = re.findall(r'^build = "(.*)"', PROJECT, re.M)
    assert build.split() == [f"cp{version.replace('.', '')}-*" for version in PYTHONS]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_lead_to_files_that_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    assert yaml.safe_load(text)
    linked = re.findall(r"\.\./blob/main/([^)#]+)", text)
    assert [name for name in linked if not (ROOT / name).exists()] == []
