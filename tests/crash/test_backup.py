"""Backups while others write, and backups and restores that die in the middle."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.embedded.backend import check_folder
from chroma.storage.io import disk

from .processes import ROOT, environment, workers
from .worker import gap

BACKUPS = 8
MOST_POINTS = 24


def test_backups_while_others_write_and_merge(tmp_path: Path) -> None:
    """Each backup is the collection at one moment, with all that was acknowledged before it."""
    db, target = tmp_path / "db", tmp_path / "backup"
    stop = threading.Event()
    with chroma.PersistentClient(db) as client:
        shared = client.create_collection("shared", embedding_function=None)

        def merge() -> None:
            while not stop.wait(0.005):
                shared.compact()

        merging = threading.Thread(target=merge)
        with workers(2, "write", db, "writer {}", 10**6):
            while shared.count() == 0:
                time.sleep(0.02)
            merging.start()
            try:
                for number in range(BACKUPS):
                    before = shared.count()
                    time.sleep(0.05)
                    client.backup(target, link=number % 2 == 1)
                    assert check_folder(str(target)).ok
                    with chroma.PersistentClient(target) as copy:
                        found = copy.get_collection("shared").get(include=["metadatas"])
                    assert len(found["ids"]) >= before
                    assert gap(found["metadatas"]) is None
            finally:
                stop.set()
                merging.join()
        assert shared.count() > len(found["ids"]) > 0
    chroma.restore(target, tmp_path / "restored")
    with chroma.PersistentClient(tmp_path / "restored") as restored:
        assert restored.get_collection("shared").get()["ids"] == found["ids"]
        restored.get_collection("shared").add(ids=["after"], embeddings=[[0.0] * 8])


class Died(BaseException):
    """Stands for kill -9: nothing in the code catches it to clean up."""


def dying(monkeypatch: pytest.MonkeyPatch, fatal: int, job: Callable[[], Any]) -> list[str]:
    """Run a job that dies ahead of its step `fatal`; the steps before. 0: it does not die."""
    steps: list[str] = []

    def step(name: str, path: str) -> None:
        if len(steps) + 1 == fatal:
            raise Died
        steps.append(name)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "before_step", step)
        try:
            job()
        except Died:
            assert fatal
    return steps


def points(steps: list[str]) -> list[int]:
    """The first of each kind of step, the last ones, and others evenly spread."""
    first = {name: number for number, name in reversed(list(enumerate(steps, 1)))}
    spread = range(1, len(steps) + 1, max(1, len(steps) // 12))
    return sorted({*first.values(), *spread, *range(len(steps) - 4, len(steps) + 1)})[:MOST_POINTS]


def contents(folder: Path) -> dict[str, list[str]]:
    with chroma.PersistentClient(folder) as client:
        return {each.name: each.get()["ids"] for each in client.list_collections()}


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Path, Path]:
    """A database, and a backup of it from before much was changed."""
    db, target = tmp_path / "db", tmp_path / "backup"
    with chroma.PersistentClient(db) as client:
        for name in ("kept", "grown", "gone"):
            made = client.create_collection(name, embedding_function=None)
            made.add(ids=[f"{name}-{i}" for i in range(100)], embeddings=[[i, 1.0] for i in range(100)])
        client.get_collection("grown").compact()
        client.backup(target)
        client.delete_collection("gone")
        grown = client.get_collection("grown")
        grown.delete(ids=["grown-0"])
        grown.compact()
        grown.add(ids=["late"], embeddings=[[5.0, 5.0]])
        client.create_collection("new", embedding_function=None).add(ids=["n"], embeddings=[[1.0]])
    return db, target


def test_every_step_of_a_backup_may_be_the_last(
    changed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, earlier = changed
    before, after = contents(earlier), contents(db)
    with chroma.PersistentClient(db) as client:
        shutil.copytree(earlier, tmp_path / "counting")
        steps = dying(monkeypatch, 0, lambda: client.backup(tmp_path / "counting"))
        assert contents(tmp_path / "counting") == after
        for point in points(steps):
            target = tmp_path / f"at-{point}"
            shutil.copytree(earlier, target)
            passed = dying(monkeypatch, point, lambda at=target: client.backup(at))  # type: ignore[misc]
            where = f"step {point} of {len(steps)}: {steps[point - 1]}"
            found = contents(target)
            assert check_folder(str(target)).ok, where
            if "rename" not in passed:
                assert found == before, where
            assert found.keys() in (before.keys(), after.keys()), where
            for name, ids in found.items():
                assert ids in (before.get(name), after.get(name)), where
            client.backup(target)
            assert contents(target) == after, where
            assert not list(target.rglob("*.tmp")), where


def test_every_step_of_a_first_backup_may_be_the_last(
    changed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not finished is no database, and says so."""
    db, _ = changed
    with chroma.PersistentClient(db) as client:
        steps = dying(monkeypatch, 0, lambda: client.backup(tmp_path / "counting"))
        for point in points(steps)[::3]:
            target = tmp_path / f"at-{point}"
            dying(monkeypatch, point, lambda at=target: client.backup(at))  # type: ignore[misc]
            if target.exists() and (target / "backup.json").exists():
                if '"finished":null' in (target / "backup.json").read_text():
                    with pytest.raises(chroma.errors.NotADatabaseError, match="not finished"):
                        chroma.restore(target, tmp_path / "restored")
                    if (target / "collections").exists():
                        assert not check_folder(str(target)).ok
            client.backup(target)
            assert contents(target) == contents(db)


def test_every_step_of_a_restore_may_be_the_last(
    changed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the place there is what was there, or nothing, or the whole backup."""
    other, backup = changed
    before, after = contents(other), contents(backup)
    shutil.copytree(other, tmp_path / "counting")
    steps = dying(monkeypatch, 0, lambda: chroma.restore(backup, tmp_path / "counting", overwrite=True))
    for point in points(steps)[::2]:
        target = tmp_path / f"at-{point}"
        shutil.copytree(other, target)
        passed = dying(monkeypatch, point, lambda at=target: chroma.restore(backup, at, overwrite=True))  # type: ignore[misc]
        if target.exists():
            assert contents(target) == (before if passed.count("move") < 2 else after)
        else:
            assert passed[-1] == "move"
            (aside,) = tmp_path.glob(f"at-{point}.replaced-*")
            assert contents(aside) == before
        chroma.restore(backup, target, overwrite=True)
        assert contents(target) == after
        assert not Path(f"{target}.restoring").exists()
        for aside in tmp_path.glob("*.replaced-*"):
            shutil.rmtree(aside)


def test_a_backup_that_is_killed_goes_on(changed: tuple[Path, Path]) -> None:
    """kill -9, for once in earnest: locks go with their process."""
    db, target = changed
    before, after = contents(target), contents(db)
    program = (
        "import sys, time, chroma\n"
        "from chroma.storage.io import disk\n"
        "def slow(name, path):\n"
        "    print(name, flush=True)\n"
        "    time.sleep(0.02)\n"
        "disk.before_step = slow\n"
        "chroma.PersistentClient(sys.argv[1]).backup(sys.argv[2])\n"
    )
    for heard in (3, 6):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(db), str(target)],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(heard):
            assert process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        assert check_folder(str(target)).ok
        assert set(contents(target)) in (set(before), set(after))
    with chroma.PersistentClient(db) as client:
        client.backup(target)
    assert contents(target) == after
