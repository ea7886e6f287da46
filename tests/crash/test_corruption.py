"""Every file of a small database damaged in every way: the right answer or a clear error, nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import CorruptionError
from chroma.storage.io.disk import DiskFolder
from chroma.storage.wal.log import Log

from .damage import cases, damage, look
from .processes import ROOT, TIMEOUT, Worker, environment
from .worker import vectors_of

Case = tuple[str, str, int]


def records(start: int, stop: int) -> dict[str, Any]:
    ids = [f"r{i}" for i in range(start, stop)]
    return {
        "ids": ids,
        "embeddings": vectors_of(ids),
        "metadatas": [{"n": i % 50, "s": str(i % 7), f"rare{i % 400}": i} for i in range(start, stop)],
        "documents": [f"text number {i}" for i in range(start, stop)],
    }


class Sample:
    """A database of several collections and what it answers undamaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with chroma.PersistentClient(folder) as client:
            large = client.create_collection("large", embedding_function=None)
            large.add(**records(0, 3000))
            large.delete(where={"n": 13})
            large.compact()
            large.add(**records(3000, 3200))
            large.update(ids=["r5"], metadatas=[{"n": 99}])
            large.delete(where={"s": "2"})
            tail = client.create_collection("tail", embedding_function=None)
            tail.add(**records(0, 20))
            tail.add(**records(20, 25))
            tail.delete(ids=["r3", "r24"])
            client.create_collection("empty", embedding_function=None)
            client.create_collection("dropped", embedding_function=None).add(**records(0, 5))
            client.delete_collection("dropped")
            self.folders = {str(c.id): str(c.name) for c in client.list_collections()}
        self.truth = look(folder)
        assert set(self.truth) == {"large", "tail", "empty"}

    def verdict(self, case: Case, seen: dict[str, Any]) -> str | None:
        """What is wrong with what was seen, if anything."""
        file = Path(case[0]).name
        if "bug" in seen:
            return str(seen["bug"])
        if "open" in seen:
            return blame(file, seen["open"])
        if set(seen) != set(self.truth):
            return f"the collections are {sorted(seen)}"
        for name, expected in self.truth.items():
            if isinstance(seen[name], dict):
                problem = blame(file, seen[name])
            else:
                problem = None if seen[name] == expected else f"{name} answers {seen[name]}, not {expected}"
            if problem:
                return problem
        return None

    def owner(self, file: str) -> str | None:
        """The collection a file belongs to; None for the files of the whole database."""
        for id, name in self.folders.items():
            if any(id in part for part in Path(file).parts):
                return name
        return None


def blame(file: str, error: dict[str, str]) -> str | None:
    if file in error["message"]:
        return None
    return f"{error['error']} does not name the file: {error['message']}"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample(tmp_path_factory.mktemp("sample") / "db")


def observe(
    sample: Sample, scratch: Path, what: str, todo: list[Case]
) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Each case with what a process saw; after a death the next process goes on behind the case."""
    rest = list(todo)
    while rest:
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash.damage", str(sample.folder), str(scratch), what],
            input="".join(json.dumps(case) + "\n" for case in rest),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        seen = [json.loads(line) for line in done.stdout.splitlines()]
        yield from zip(rest, seen, strict=False)
        rest = rest[len(seen) :]
        if rest:
            died = f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
            yield rest.pop(0), {"bug": died}


def observe_all(
    sample: Sample, scratch: Path, what: str, todo: list[Case]
) -> list[tuple[Case, dict[str, Any]]]:
    """Two processes share the cases."""
    with ThreadPoolExecutor(2) as pool:
        halves = [
            pool.submit(lambda h: list(observe(sample, scratch / str(h), what, todo[h::2])), half)
            for half in (0, 1)
        ]
        return [pair for half in halves for pair in half.result()]


def test_damage_gives_the_right_answer_or_an_error_that_names_the_file(
    sample: Sample, tmp_path: Path
) -> None:
    results = observe_all(sample, tmp_path, "look", list(cases(sample.folder)))
    assert len(results) > 100
    wrong = {case: problem for case, seen in results if (problem := sample.verdict(case, seen))}
    assert not wrong, "\n".join(f"{case}: {problem}" for case, problem in wrong.items())


def test_a_damaged_index_changes_no_answer(tmp_path: Path) -> None:
    """13 MB of vectors in one segment: enough to be indexed. A damaged index is not used."""
    vectors = np.random.default_rng(9).normal(size=(3300, 1024)).astype(np.float32)
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = client.create_collection("indexed", embedding_function=None)
        collection.add(ids=[str(i) for i in range(len(vectors))], embeddings=vectors)
        collection.compact()
        assert collection.get_indexing_status().num_indexed_ops == len(vectors)
    todo = [case for case in cases(tmp_path / "db") if "hnsw" in Path(case[0]).name]
    assert todo
    for number, case in enumerate(todo):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "db", copy)
        damage(copy, *case)
        with chroma.PersistentClient(copy) as client:
            found = client.get_collection("indexed").query(query_embeddings=vectors[::300], n_results=1)
        assert found["ids"] == [[str(i)] for i in range(0, len(vectors), 300)]
        shutil.rmtree(copy)


def test_check_reports_damage_and_repair_keeps_the_rest(sample: Sample, tmp_path: Path) -> None:
    """One flip in the middle and one deletion of every file."""
    todo = [case for case in cases(sample.folder) if case[1] == "delete"]
    for file in {case[0] for case in todo}:
        content = (sample.folder / file).read_bytes().rstrip(b"\x00")
        if content:
            todo.append((file, "flip", len(content) // 2))
    wrong = {}
    for case, seen in observe_all(sample, tmp_path, "repair", todo):
        if problem := unrepaired(sample, case, seen):
            wrong[case] = problem
    assert not wrong, "\n".join(f"{case}: {problem}" for case, problem in wrong.items())


def unrepaired(sample: Sample, case: Case, seen: dict[str, Any]) -> str | None:
    if "bug" in seen:
        return str(seen["bug"])
    file = case[0]
    before, during, after = seen["findings"]
    harmless = "lock" in file
    if not harmless and not any(Path(path).name == Path(file).name for path, _, _ in before):
        return f"the check did not report it: {before}"
    if not harmless and seen["ok"][0]:
        return "the check reported it and called it ok"
    if not seen["ok"][2]:
        return f"after the repair the check still reports {after} (the repair said {during})"
    if "open" in seen["seen"]:
        return f"after the repair the database does not open: {seen['seen']['open']}"
    for name, answer in seen["seen"].items():
        if isinstance(answer, dict):
            return f"after the repair {name} answers {answer}"
    hit = sample.owner(file)
    for name, expected in sample.truth.items():
        if hit not in (name, None) and seen["seen"].get(name) != expected:
            return f"{name} was not damaged and answers {seen['seen'].get(name)}"
    return None


def test_an_undamaged_folder_is_ok(sample: Sample) -> None:
    from chroma.embedded.backend import check_folder

    report = check_folder(sample.folder)
    assert report.ok
    assert all(finding.severity == "ok" for finding in report.findings)
    reported = {str(finding.path) for finding in report.findings}
    for path in sample.folder.rglob("*"):
        if path.is_file() and "lock" not in path.name:
            assert {str(path), str(path.parent)} & reported, f"nothing is said of {path}"


def test_damage_to_the_last_write_of_a_burst_is_found_after_a_kill(tmp_path: Path) -> None:
    """Without the note of its sync it would be taken for a write that nobody was promised, and be dropped."""
    worker = Worker("burst", tmp_path, 20)
    assert worker.hear() == "written"
    (path,) = tmp_path.glob("collections/*/log-*.wal")
    end, deadline = 0, time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:  # nothing else happens in the worker
        log = Log.open(DiskFolder(path.parent), path.name)
        end = max(frame.end for frame in log.read_new())
        if log.synced_offset() == end:
            break
        time.sleep(0.01)
    worker.kill()
    worker.end()
    damage(tmp_path, str(path.relative_to(tmp_path)), "flip", end - 20)
    with chroma.PersistentClient(tmp_path) as client, pytest.raises(CorruptionError, match="acknowledged"):
        client.get_collection("burst").count()
