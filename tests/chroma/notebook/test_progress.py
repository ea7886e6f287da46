"""One progress bar: the same texts on terminals and in notebooks, and none for what ends soon."""

from __future__ import annotations

import io
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.internal import progress

from ...support.tiny_embedding import HashEmbedding


class Frontend:
    """The outputs of a cell, each as the list of its states."""

    def __init__(self) -> None:
        self.outputs: list[list[dict[str, str]]] = []

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw and display_id
        states = [data]
        self.outputs.append(states)
        return types.SimpleNamespace(update=lambda data, raw: states.append(data))


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Any:
    class ZMQInteractiveShell:
        pass

    class OfSomeService(ZMQInteractiveShell):
        pass

    shown = Frontend()
    package = types.ModuleType("IPython")
    package.get_ipython = OfSomeService  # type: ignore[attr-defined]
    package.display = shown  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    progress._notebook_bar.cache_clear()
    yield shown
    assert stderr.getvalue() == ""
    progress._notebook_bar.cache_clear()


@pytest.fixture
def things(request: pytest.FixtureRequest) -> Any:
    with chroma.EphemeralClient(private=True) as client:
        yield client.create_collection("things", embedding_function=HashEmbedding())


def batch(rows: int) -> dict[str, Any]:
    return {"id": [f"r{n}" for n in range(rows)], "document": ["x"] * rows}


def test_a_bar_in_a_notebook_is_one_output_that_stays(frontend: Frontend, things: Any) -> None:
    import pyarrow as pa

    things.load(pa.table(batch(500)), progress=True)
    (states,) = frontend.outputs
    assert states[-1]["text/plain"].startswith("things: 100% 500/500 [")
    html = states[-1]["text/html"]
    assert "things: 100%" in html and "width:100.0%" in html and "rows/s" in html
    assert "<script" not in html and "http" not in html


def test_exports_and_embedding_show_the_same(
    frontend: Frontend, things: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    things.upsert(ids=["a"], documents=["x"])
    things.export(tmp_path / "a.parquet")
    chroma.utils.embedding_functions.DefaultEmbeddingFunction()(["a", "b"])
    export, embedding = frontend.outputs
    assert (
        "1.00 rows" in export[-1]["text/plain"] and "opacity" in export[-1]["text/html"]
    )  # no total is known
    assert embedding[-1]["text/plain"].startswith("embedding: 100% 2/2")


def test_markup_in_names(frontend: Frontend) -> None:
    shown = progress.bar(True, "<b>&", total=2)
    shown.update(2)
    shown.close()
    assert "&lt;b&gt;&amp;" in frontend.outputs[0][-1]["text/html"]


def test_what_ends_soon_has_no_bar(frontend: Frontend, things: Any, tmp_path: Any) -> None:
    things.upsert(ids=["a"], documents=["x"])
    things.export(tmp_path / "a.parquet")
    assert frontend.outputs == []


def test_an_index_build_shows_its_rows(
    frontend: Frontend, things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    monkeypatch.setattr("chroma.storage.index.native_graph._CHUNK", 100)
    vectors = np.random.default_rng(0).normal(size=(1200, 4))
    things.add(ids=[f"r{n}" for n in range(1200)], embeddings=vectors)
    things.compact(progress=True)
    (states,) = frontend.outputs
    assert states[-1]["text/plain"].startswith("things: indexing: 100% 1.20k/1.20k")
    assert len(states) >= 2
    things.compact(progress=False)
    things.compact(progress=True)  # there is nothing to do
    assert len(frontend.outputs) == 1


def test_a_bar_inside_another_is_hidden(frontend: Frontend) -> None:
    with progress.hidden():
        assert progress.bar(True, "inner", total=1) is None
        elsewhere: list[Any] = []
        thread = threading.Thread(target=lambda: elsewhere.append(progress.bar(True, "other", total=1)))
        thread.start()
        thread.join()
        assert elsewhere[0] is not None
    assert progress.bar(True, "outer", total=1) is not None


def test_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("IPython")
    package.get_ipython = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    assert not progress.in_notebook()
    monkeypatch.setattr(sys, "stderr", None)
    assert progress.bar(True, "things", total=1) is None and not progress.watched()
