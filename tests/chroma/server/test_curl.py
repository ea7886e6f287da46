"""curl alone: the lines of docs/arrow.md, and JSON by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ...support import server

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "arrow.md"
DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"


def curl(*arguments: str, cwd: Path | None = None) -> Any:
    done = subprocess.run(["curl", "-sS", "--fail-with-body", *arguments], capture_output=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def collection() -> Iterator[str]:
    url = server.url() + DATABASE
    made = curl(f"{url}/collections", "--json", '{"name": "curled"}')
    yield f"{url}/collections/{made['id']}"
    curl("-X", "DELETE", f"{url}/collections/curled")


def test_the_lines_of_the_guide(collection: str, tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "embedding": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2))})
    with pa.ipc.new_stream(tmp_path / "records.arrows", table.schema) as writer:
        writer.write_table(table)
    (block,) = re.findall(r"```sh\n(.*?)```", GUIDE.read_text("utf-8"), re.S)
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        env=os.environ | {"COLLECTION": collection},
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == 2
    assert pa.ipc.open_stream((tmp_path / "all.arrows").read_bytes()).read_all()["id"].to_pylist() == [
        "a",
        "b",
    ]


def test_json_by_hand(collection: str) -> None:
    body = '{"ids": ["a"], "embeddings": [[1, 2]], "documents": ["text"]}'
    assert curl(f"{collection}/add", "--json", body)["added"] == 1
    found = curl(f"{collection}/query", "--json", '{"query_embeddings": [[1, 2]], "n_results": 1}')
    assert (found["ids"], found["distances"]) == ([["a"]], [[0.0]])
    assert curl(f"{collection}/count") == 1
