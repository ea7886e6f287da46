"""Plots in a real browser without a network: they are drawn, and nothing is requested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma

from ...attack.test_foreign_pages import ARGUMENTS
from ...support import chromium

HOSTILE = "</script><script>document.title='evil'</script><img src=http://evil.example/x>"

# As JupyterLab shows an output of a cell: scripts of HTML that is set do not run, so each is made anew.
SHOW = """html => {
  const cell = document.createElement("div");
  cell.innerHTML = html;
  document.body.append(cell);
  for (const old of [...cell.querySelectorAll("script")]) {
    const script = document.createElement("script");
    script.textContent = old.textContent;
    old.replaceWith(script);
  }
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.launched([*ARGUMENTS]) as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page without a network. At the end, nothing was requested, and nothing said."""
    context = browser.new_context(offline=True)
    page, requests, said = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_content("<!doctype html><title>notebook</title><body>")
    yield page
    assert [url for url in requests if not url.startswith(("data:", "file:", "blob:"))] == []
    assert said == [] and page.title() != "evil"
    context.close()


@pytest.fixture(scope="module")
def things() -> Iterator[Any]:
    random = np.random.default_rng(5)
    with chroma.EphemeralClient(private=True) as client:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(
            ids=[f"r{n}" for n in range(300)],
            embeddings=random.normal(size=(300, 8)),
            documents=[HOSTILE] * 300,
            metadatas=[{"cluster": n % 3, HOSTILE: HOSTILE} for n in range(300)],
        )
        yield collection


def test_outputs_of_cells(page: Any, things: Any) -> None:
    page.evaluate("window.vega = 'of the page'")
    for made in (things.plot("cluster"), things.plot(HOSTILE, label=HOSTILE, limit=20)):
        bundle = made._repr_mimebundle_()
        assert bundle.keys() == {"text/html", "image/png", "text/plain"}
        page.evaluate(SHOW, bundle["text/html"])
    page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    page.wait_for_function("document.querySelectorAll('img').length === 0")
    assert page.evaluate("[window.vega, typeof window.vegaEmbed]") == ["of the page", "undefined"]
    page.hover("canvas >> nth=0")
    assert "editor" not in page.inner_text("body").lower()


def test_the_image_where_scripts_may_not_run(page: Any, things: Any) -> None:
    html = things.plot("cluster")._repr_mimebundle_()["text/html"]
    page.evaluate("html => document.body.innerHTML = html", html)
    assert page.evaluate("document.querySelector('img').decode().then(() => true)")
    assert page.evaluate("document.querySelector('img').naturalWidth") > 900


def test_a_page(page: Any, things: Any, tmp_path: Path) -> None:
    things.plot("cluster", label=HOSTILE, limit=20, file=tmp_path / "map.html")
    page.goto((tmp_path / "map.html").as_uri())
    page.wait_for_function("document.querySelectorAll('canvas, svg').length > 0")
    assert "editor" not in page.inner_text("body").lower()
