"""`show()`: results as tables on a terminal."""

from __future__ import annotations

from typing import Any

import pytest

import chroma
from chroma import K, Knn, Search


@pytest.fixture
def notes() -> Any:
    with chroma.EphemeralClient(private=True) as client:
        notes = client.create_collection("notes", embedding_function=None)
        notes.add(
            ids=["a", "b", "c"],
            embeddings=[[0, 0], [1, 0], [3, 0]],
            documents=["red\napple", None, "word " * 100],
            metadatas=[{"n": 1}, None, {"n": 2, "tags": ["x", "y"]}],
        )
        yield notes


def shown(
    result: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **options: Any
) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert result.show(**options) is None
    return capsys.readouterr().out


def test_records(notes: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(notes.get(), capsys, monkeypatch) == (
        "id  document                   metadata\n"
        "a   red apple                  n 1\n"
        "b\n"
        "c   word word word word word…  n 2, tags [x, y]\n"
    )
    assert shown(notes.get(), capsys, monkeypatch, most=1).endswith("\n… and 2 more\n")
    assert shown(notes.get(ids=["none"]), capsys, monkeypatch) == "no records\n"
    assert "2 numbers [1, 0]" in shown(notes.get(include=["embeddings"]), capsys, monkeypatch)


def test_hits(notes: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    one = notes.query(query_embeddings=[[0, 0]], n_results=2, include=["distances", "metadatas"])
    assert (
        shown(one, capsys, monkeypatch)
        == "rank  id  distance  metadata\n   1  a     0.0000  n 1\n   2  b     1.0000\n"
    )
    two = notes.query(query_embeddings=[[0, 0], [3, 0]], n_results=1, include=["documents"])
    assert shown(two, capsys, monkeypatch).splitlines()[0].split() == ["query", "rank", "id", "document"]
    words = notes.query(query_texts=["apple"], mode="lexical", n_results=1)
    assert "lexical_score" in shown(words, capsys, monkeypatch)


def test_searches(notes: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = notes.search(Search().rank(Knn(query=[0.0, 0.0])).limit(1).select(K.DOCUMENT, K.SCORE))
    assert shown(found, capsys, monkeypatch) == "rank  id   score  document\n   1  a   0.0000  red apple\n"
