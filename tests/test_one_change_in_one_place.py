"""A change in one place: a patch that gives `query` one more optional argument, everywhere.

tests/data/patches/min_distance.patch is kept as a document of where such a change goes. Where it does not
apply any more, make it anew: the files that it touches are the point.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.import_graph import ROOT

PATCH = ROOT / "tests" / "data" / "patches" / "min_distance.patch"
# a Protocol, a backend, an HTTP backend, a route and the engine class know nothing of the argument
UNTOUCHED = {
    "chroma/backend/async_protocol.py",
    "chroma/backend/embedded_protocol.py",
    "chroma/embedded/backend.py",
    "chroma/_async/http_backend.py",
    "chroma/server/routes.py",
    "storage/engine.py",
}

PROGRAM = """
import asyncio, json, subprocess, sys
import chroma

vectors, near = [[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]], {"query_embeddings": [[0.0, 0.0]], "min_distance": 2}
found = []
with chroma.PersistentClient(sys.argv[1]) as client:
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=["a", "b", "c"], embeddings=vectors)
    found.append(things.query(**near)["ids"])
    found.append(things.query(query_embeddings=[[0.0, 0.0], [5.0, 0.0]], min_distance=2)["ids"])
asked = ["query", sys.argv[1], "things", "--embedding", "[0, 0]", "--min-distance", "2", "--json"]
said = subprocess.run([sys.executable, "-m", "chroma", *asked], capture_output=True, text=True, check=True)
found.append('"a"' in said.stdout)
command = [sys.executable, "-m", "chroma", "run", "--path", sys.argv[1], "--port", "0"]
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
    url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with chroma.HttpClient(host=host, port=int(port)) as client:
        found.append(client.get_collection("things", embedding_function=None).query(**near)["ids"])

    async def ask():
        async with await chroma.AsyncHttpClient(host=host, port=int(port)) as client:
            things = await client.get_collection("things", embedding_function=None)
            return (await things.query(**near))["ids"]

    found.append(asyncio.run(ask()))
    server.terminate()
print(json.dumps(found))
"""


def test_one_more_argument_of_query_is_a_change_in_few_files(tmp_path: Path) -> None:
    touched = set(re.findall(r"^\+\+\+ b/(\S+)", PATCH.read_text("utf-8"), re.M))
    assert len(touched) <= 7
    assert not touched & UNTOUCHED
    for name in ("chroma", "storage", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignored)
    subprocess.run(["git", "apply", str(PATCH)], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "scripts/twins.py"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, "db"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout.strip() == ('[[["c"]], [["c"], ["b", "a"]], false, [["c"]], [["c"]]]'), done.stderr
