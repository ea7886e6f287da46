"""Folders that cannot be used: full, read-only, not a folder, not ours, from the future."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import ChromaError, FormatTooNewError, NotADatabaseError, NotFoundError

from .processes import ROOT, Worker, environment
from .worker import vectors_of

FORMAT = re.compile(rb'"format": ?[123]\b')


def run(program: str, *arguments: Any) -> Any:
    """What the program prints, as JSON."""
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def database(folder: Path) -> None:
    """Two collections: `things` with a segment and a log tail, `empty` without a record."""
    with chroma.PersistentClient(folder) as client:
        things = client.create_collection("things", embedding_function=None)
        ids = [f"r{i}" for i in range(200)]
        things.add(ids=ids, embeddings=vectors_of(ids), documents=ids)
        things.compact()
        things.add(ids=["tail"], embeddings=vectors_of(["tail"]), documents=["tail"])
        client.create_collection("empty", embedding_function=None)


LIMITED = """
import json, resource, sys
import numpy as np
import chroma
from chroma.errors import ChromaError

folder, limit = sys.argv[1], int(sys.argv[2])
with chroma.PersistentClient(folder) as client:
    things = client.get_collection("things")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    error, kept = None, 0
    for n in range(400):
        ids = [f"{n}-{i}" for i in range(100)]
        try:
            things.add(ids=ids, embeddings=np.ones((100, 8), np.float32), documents=["x" * 1000] * 100)
        except ChromaError as caught:
            error = [type(caught).__name__, str(caught)]
            break
        kept += 1
    seen = things.count()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    things.add(ids=["afterwards"], embeddings=np.ones((1, 8), np.float32))
    print(json.dumps([error, kept, seen, things.count()]))
"""


def test_a_write_the_system_refuses_is_an_error_and_leaves_nothing_half(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: it needs no privileges."""
    database(tmp_path / "db")
    error, kept, seen, afterwards = run(LIMITED, tmp_path / "db", 6_000_000)
    assert error is not None, "400 batches of 100 kB went into 6 MB"
    assert error[0] == "WriteFailedError"
    assert str(tmp_path / "db") in error[1]
    assert (seen, afterwards) == (201 + 100 * kept, 202 + 100 * kept)
    with chroma.PersistentClient(tmp_path / "db") as client:
        assert client.get_collection("things").count() == afterwards
        assert client.get_collection("things").get(ids=["afterwards"])["ids"] == ["afterwards"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB, where this machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs privileges; the limit on file sizes covers the same path")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_survived(small_disk: Path) -> None:
    database(small_disk / "db")
    with chroma.PersistentClient(small_disk / "db") as client:
        things = client.get_collection("things")
        ballast = small_disk / "ballast"
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(free - 3_000_000))
        acknowledged, error = ["tail"], None
        for n in range(400):
            ids = [f"{n}-{i}" for i in range(100)]
            try:
                things.add(ids=ids, embeddings=np.ones((100, 8), np.float32), documents=["x" * 1000] * 100)
            except ChromaError as caught:
                error = caught
                break
            acknowledged += ids
        assert isinstance(error, chroma.errors.WriteFailedError), error
        assert str(small_disk / "db") in str(error)
        assert things.count() == 200 + len(acknowledged)
        assert things.get(where_document={"$contains": "tail"})["ids"] == ["tail"]
        ballast.unlink()
        things.add(ids=["afterwards"], embeddings=np.ones((1, 8), np.float32))
    with chroma.PersistentClient(small_disk / "db") as client:
        assert client.get_collection("things").get()["ids"][200:] == [*acknowledged, "afterwards"]


def test_a_large_batch_on_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    """A batch that would become a segment at once."""
    database(small_disk / "db")
    with chroma.PersistentClient(small_disk / "db") as client:
        things = client.get_collection("things")
        ids = [f"n{i}" for i in range(20_000)]
        with pytest.raises(chroma.errors.WriteFailedError):
            things.add(ids=ids, embeddings=np.ones((20_000, 8), np.float32), documents=["x" * 4000] * 20_000)
        assert things.count() == 201
        things.add(ids=ids[:10], embeddings=np.ones((10, 8), np.float32))
        assert things.count() == 211


# The interpreter may lie where only root may read, so everything is imported before the
# rights are given up: by the same calls on another folder.
UNPRIVILEGED = """
import json, os, sys, tempfile
import chroma
from chroma.errors import ChromaError

with tempfile.TemporaryDirectory() as scratch, chroma.PersistentClient(scratch) as client:
    warm = client.create_collection("warm", embedding_function=None)
    warm.add(ids=["a"], embeddings=[[1, 2]], documents=["x"])
    warm.compact()
    warm.get(where_document={"$contains": "x"}, include=["embeddings"])
    warm.query(query_embeddings=[[1, 2]])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""

READ_ONLY = (
    UNPRIVILEGED
    + """
with chroma.PersistentClient(sys.argv[1]) as client:
    things = client.get_collection("things")
    vector = things.get(ids=["r7"], include=["embeddings"])["embeddings"]
    answers = [things.count(), things.query(query_embeddings=vector, n_results=1)["ids"],
               things.get(where_document={"$contains": "tail"})["ids"]]
    errors = []
    for write in (lambda: things.add(ids=["new"], embeddings=vector), lambda: things.delete(ids=["r7"]),
                  lambda: client.create_collection("more"), lambda: client.delete_collection("empty")):
        try:
            write()
            errors.append(None)
        except ChromaError as error:
            errors.append([type(error).__name__, str(error)])
    print(json.dumps([answers, errors, things.count()]))
"""
)

CREATE = (
    UNPRIVILEGED
    + """
try:
    chroma.PersistentClient(sys.argv[1]).create_collection("things")
    print("null")
except ChromaError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everyone may reach; the temporary folders of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def protect(folder: Path, directories: int, files: int) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(directories if path.is_dir() else files)


def test_a_read_only_folder_can_be_read(public: Path) -> None:
    database(public / "db")
    protect(public / "db", 0o555, 0o444)
    answers, errors, count = run(READ_ONLY, public / "db")
    assert answers == [201, [["r7"]], ["tail"]]
    assert [error and error[0] for error in errors] == ["ReadOnlyError"] * 4
    assert all(str(public / "db") in error[1] for error in errors)
    assert count == 201
    protect(public / "db", 0o755, 0o644)


def test_a_folder_without_permission_is_named(public: Path) -> None:
    database(public / "db")
    (public / "db").chmod(0o000)
    kind, message = run(CREATE, public / "db")
    assert str(public / "db") in message, kind
    (public / "db").chmod(0o755)


def test_a_parent_that_cannot_be_written_is_named(public: Path) -> None:
    (public / "parent").mkdir(mode=0o555)
    kind, message = run(CREATE, public / "parent" / "db")
    assert str(public / "parent") in message, kind


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(NotADatabaseError, match="file"):
        chroma.PersistentClient(tmp_path / "file")
    with pytest.raises(ChromaError, match="file"):
        chroma.PersistentClient(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "hello"


def test_a_folder_of_the_reference_system_names_the_command(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"SQLite format 3\x00")
    with pytest.raises(NotADatabaseError, match="chroma migrate --from") as caught:
        chroma.PersistentClient(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == ["chroma.sqlite3"]


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    """A folder that holds something else is refused, or used without touching what is there."""
    (tmp_path / "thesis.txt").write_text("years of work")
    try:
        with chroma.PersistentClient(tmp_path) as client:
            client.create_collection("things", embedding_function=None)
            client.reset()
    except NotADatabaseError as error:
        assert str(tmp_path) in str(error)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_disappears_is_an_error_not_a_new_database(tmp_path: Path) -> None:
    database(tmp_path / "db")
    with chroma.PersistentClient(tmp_path / "db") as client:
        things = client.get_collection("things")
        shutil.rmtree(tmp_path / "db")
        with pytest.raises((ChromaError, NotFoundError)):
            things.add(ids=["new"], embeddings=vectors_of(["new"]))


def stating_a_format(folder: Path) -> dict[Path, list[Path]]:
    """The files that state the version of the format in JSON, by the folder they lie in."""
    found: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and FORMAT.search(path.read_bytes()):
            found.setdefault(path.parent.relative_to(folder), []).append(path.relative_to(folder))
    return found


def test_a_folder_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    database(tmp_path / "db")
    places = stating_a_format(tmp_path / "db")
    assert places
    for number, files in enumerate(places.values()):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(tmp_path / "db", copy)
        for file in files:
            (copy / file).write_bytes(FORMAT.sub(rb'"format": 999', (copy / file).read_bytes()))
        with pytest.raises(FormatTooNewError, match="newer|later") as caught:
            with chroma.PersistentClient(copy) as client:
                for name in ("things", "empty"):
                    client.get_collection(name).count()
        assert "999" in str(caught.value)


def test_a_folder_is_unlocked_by_the_death_of_its_process(tmp_path: Path) -> None:
    database(tmp_path / "db")
    worker = Worker("serve", tmp_path / "db")
    assert worker.hear() == "ready"
    worker.call("add", on="things", ids=["theirs"], embeddings=vectors_of(["theirs"]).tolist())
    worker.kill()
    worker.end()
    with chroma.PersistentClient(tmp_path / "db") as client:
        client.get_collection("things").add(ids=["mine"], embeddings=vectors_of(["mine"]))
        assert client.get_collection("things").count() == 203
