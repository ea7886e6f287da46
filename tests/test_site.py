"""The documentation site is whole: links and anchors lead somewhere, and no page loads anything from afar."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
# attributes whose address a browser fetches by itself; `link` only with these relations
FETCHED = {"audio": "src", "embed": "src", "iframe": "src", "img": "src", "script": "src", "source": "src"}
FETCHED |= {"object": "data", "video": "src"}
RELATIONS = {
    "dns-prefetch",
    "icon",
    "manifest",
    "modulepreload",
    "preconnect",
    "prefetch",
    "preload",
    "stylesheet",
}


class Page(HTMLParser):
    """The anchors of a page, where its links go, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and RELATIONS & set(given.get("rel", "").split()):
            self.fetched.append(given["href"])
        elif FETCHED.get(tag, "") in given:
            self.fetched.append(given[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed: chroma-arrow[docs]")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}


def inner(page: Path, addresses: list[str], site: Path) -> Iterator[tuple[str, Path, str]]:
    """(address, file, anchor) of those that stay on the site. 404.html counts from the root."""
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        start = site if parts.path.startswith("/") else page.parent
        target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else page
        yield address, target / "index.html" if target.is_dir() else target, unquote(parts.fragment)


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        for address, target, anchor in inner(path, page.links + page.fetched, site):
            known = pages[target].anchors if target in pages else set()
            if not target.is_file() or (target.suffix == ".html" and anchor and anchor not in known):
                lost.append(f"{path.relative_to(site)}: {address}")
    assert lost == []


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    foreign = [
        f"{path.relative_to(site)}: {address}"
        for path, page in pages.items()
        for address in page.fetched
        if urlsplit(address).netloc or urlsplit(address).scheme not in ("", "data")
    ]
    for path in site.rglob("*.css"):
        if any(
            f"{start}//" in path.read_text("utf-8").replace(" ", "")
            for start in ("url(", "url(http:", "url(https:")
        ):
            foreign.append(str(path.relative_to(site)))
    assert foreign == []


def test_every_page_of_the_tree_is_there(site: Path, pages: dict[Path, Page]) -> None:
    docs = ROOT / "docs"
    wanted = [path.relative_to(docs).with_suffix(".html") for path in docs.rglob("*.md")]
    wanted += [path.relative_to(ROOT).with_suffix(".html") for path in (ROOT / "notebooks").glob("*.ipynb")]
    wanted += [Path(path.stem.lower() + ".html") for path in ROOT.glob("*.md")]
    assert [str(path) for path in wanted if site / path not in pages] == []


def test_the_search_knows_the_pages(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert "howto.html#back-up-and-restore" in index
    assert "notebooks/01-first-steps.html" in index
