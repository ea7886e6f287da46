"""How much memory there is: the machine's, or the container's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chroma.storage import memory_budget
from chroma.storage.io import machine_memory

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _usable(monkeypatch: pytest.MonkeyPatch, root: Path, groups: str, limits: dict[str, str]) -> int:
    (root / "own").write_text(groups)
    for path, text in limits.items():
        (root / "fs" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "fs" / path).write_text(f"{text}\n")
    monkeypatch.setattr(machine_memory, "_OWN_GROUPS", str(root / "own"))
    monkeypatch.setattr(machine_memory, "_GROUPS", str(root / "fs"))
    return machine_memory.usable.__wrapped__()


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/", {"memory.max": "max"}, None),
        ("0::/", {"memory.max": "1048576"}, 1048576),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "2048"}, 2048),
        ("0::/a/b", {"a/b/memory.max": "4096", "a/memory.max": "max"}, 4096),
        ("0::/not/visible/here", {"memory.max": "512"}, 512),
        ("9:name=systemd:/\n4:cpu,memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "77"}, 77),
        ("4:memory:/outside", {"memory/memory.limit_in_bytes": "99"}, 99),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("", {}, None),
    ],
)
def test_the_least_limit_counts(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    groups: str,
    limits: dict[str, str],
    expected: int | None,
) -> None:
    assert _usable(monkeypatch, tmp_path, groups, limits) == (expected or PHYSICAL)


def test_a_system_without_control_groups_has_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_memory, "_OWN_GROUPS", "/nowhere/at/all")
    assert machine_memory.usable.__wrapped__() == PHYSICAL


def test_the_defaults_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_memory, "usable", lambda: 2 << 30)
    assert memory_budget.default_limit() == 1 << 30
    assert memory_budget.duckdb_limit(1 << 30) == 512 << 20
    monkeypatch.setattr(machine_memory, "usable", lambda: 64 << 30)
    assert memory_budget.default_limit() == 32 << 30
    assert memory_budget.duckdb_limit(1 << 20) == 1 << 30
    assert memory_budget.duckdb_limit(4 << 30) == 8 << 30
