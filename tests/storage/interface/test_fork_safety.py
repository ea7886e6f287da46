"""Nothing of ours crosses a fork: no lock, no descriptor, no state of a thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

# Threads that keep `work` going while the main thread forks; children are done, or live on, as `child` says.
_SCRIPT = """
import faulthandler, os, sys, threading, time, warnings
import numpy as np
import chroma
from chroma.storage.collection import collection, index_builds, record_store
warnings.simplefilter("ignore")
from chroma.storage.filters import document_index
record_store.BULK_ROWS, index_builds.INDEX_BYTES, collection.QUIET_SECONDS = 64, 512, 0.01
document_index.LEAST_BYTES = 512
client = {opened}
things = client.create_collection("things", embedding_function=None)
rows = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
things.add(ids=[str(i) for i in range(500)], embeddings=rows, metadatas=[{{"n": i}} for i in range(500)])
things.compact()
things.upsert(ids=["0"], embeddings=rows[:1])
things.compact()  # all is imported by now: Python's locks of imports do cross a fork
done, failed = threading.Event(), []

def keep(name):
    number = 0
    try:
        while not done.is_set():
            number += 1
            {work}
    except BaseException as error:
        failed.append(repr(error))

threads = [threading.Thread(target=keep, args=(name,)) for name in "abcd"]
for thread in threads:
    thread.start()
children = []
for _ in range({forks}):
    time.sleep(0.02)
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(25, exit=True)
        try:
            {child}
        except BaseException as error:
            print("child:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    children.append(pid)
done.set()
begun = time.monotonic()
for thread in threads:
    thread.join(30)
    assert not thread.is_alive(), "a thread of the parent waits for ever"
assert not failed, failed
things.upsert(ids=["last"], embeddings=[[1, 2, 3, 4]], metadatas=[{{"n": -1}}])
things.compact()
assert things.count(where={{"n": -1}}) == 1
assert time.monotonic() - begun < 20
{end}
"""
_WRITE = 'things.upsert(ids=[f"{name}{number}"], embeddings=rows[:1], metadatas=[{"n": number}])'
_MERGE = "things.upsert(ids=[name + str(i) for i in range(80)], embeddings=rows[:80]); things.compact()"
_READ = 'things.query(query_embeddings=rows[:3], where={"n": {"$lt": 400}}); things.get(limit=3)'
_KILL = "import signal\nfor pid in children:\n    os.kill(pid, signal.SIGKILL)\n    os.waitpid(pid, 0)"
_WAIT = "for pid in children:\n    assert os.waitpid(pid, 0)[1] == 0"


def _run(tmp_path: Path, place: str, work: str, child: str, forks: int, end: str) -> None:
    opened = (
        "chroma.EphemeralClient()" if place == "memory" else f"chroma.PersistentClient({str(tmp_path)!r})"
    )
    script = _SCRIPT.format(opened=opened, work=work, child=child, forks=forks, end=end)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("work", [_WRITE, _MERGE, _READ], ids=["write", "merge", "read"])
def test_children_that_live_on_hold_nothing(tmp_path: Path, work: str) -> None:
    """Their parent, and other processes, write and merge while they live."""
    _run(tmp_path, "disk", work, "faulthandler.cancel_dump_traceback_later(); time.sleep(100)", 12, _KILL)


@pytest.mark.parametrize("place", ["disk", "memory"])
@pytest.mark.parametrize("work", [_WRITE, _MERGE, _READ], ids=["write", "merge", "read"])
def test_children_use_the_database(tmp_path: Path, place: str, work: str) -> None:
    child = (
        "assert things.count() >= 500; "
        'things.upsert(ids=["child"], embeddings=rows[:1], metadatas=[{"n": 7}]); '
        'assert "child" in things.get(where={"n": 7})["ids"]; things.query(query_embeddings=rows[:2]); '
        "things.compact()"
    )
    _run(tmp_path, place, work, child, 6, _WAIT)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_child_has_none_of_our_descriptors(tmp_path: Path) -> None:
    child = (
        "open_ = [os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') "
        "if os.path.exists(f'/proc/self/fd/{fd}')]; "
        f"assert not [path for path in open_ if path.startswith({str(tmp_path)!r})], open_"
    )
    _run(tmp_path, "disk", _WRITE, child, 6, _WAIT)
