"""The demo, small; and its texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import chroma
from chroma.demo.corpus import collect
from chroma.demo.run import COLLECTION, QUESTIONS


def test_texts_are_many_unique_and_stable() -> None:
    entries = collect(100_000)
    assert len(entries) > 3_000
    assert len({entry.id for entry in entries}) == len(entries)
    fewer = collect(500)
    assert len(fewer) == 500
    assert all(entry in entries for entry in fewer), "the same text has the same id at every run"
    by_id = {entry.id: entry for entry in entries}
    dedent = by_id["textwrap:dedent"]
    assert dedent.document.startswith("textwrap.dedent: Remove any common leading whitespace")
    assert dedent.metadata["kind"] == "function"
    assert dedent.metadata["n_args"] == 1
    assert by_id["collections:Counter"].metadata["has_example"] is True
    assert by_id["collections:Counter.most_common"].metadata["kind"] == "method"
    assert by_id["json:module"].metadata["kind"] == "module"


def test_demo_answers_twice(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "chroma", "demo", "--folder", str(folder), "--limit", "150"]
    with chroma.PersistentClient(folder) as client:  # as an earlier run would leave it
        client.create_collection(COLLECTION)
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout
    for question in QUESTIONS:
        assert output.count(question.text) == 2
    assert output.count("Opened 150 records") == 2
    last = output.splitlines()[-1].partition("look at it with: ")[2]
    looked = subprocess.run(last, shell=True, capture_output=True, text=True, check=True)
    assert "1 collection" in looked.stdout
    with chroma.PersistentClient(folder) as client:
        assert client.get_collection(COLLECTION).count() == 150
