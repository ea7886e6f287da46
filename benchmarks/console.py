"""The console in a browser over a million records: how long people wait.

    .venv/bin/python benchmarks/console.py --folder /data/console --rows 1000000 --dimension 384

The collection is made in the folder if it is not there; that takes minutes and 5 GB of disk. Then a server is
started, Chromium opens its console, and the medians are printed beside what is promised. A time begins with
the address, and ends with the first frame that shows the answer.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
from playwright.sync_api import sync_playwright

import chroma

STEP, KINDS = 20_000, [f"kind {n:02}" for n in range(12)]
NAME = "million"
TURN = """([to, selector, text]) => new Promise((done) => {
  const begun = performance.now();
  const look = () => {
    const found = [...document.querySelectorAll(selector)].some((each) => !text || each.textContent === text);
    if (found) requestAnimationFrame(() => done(performance.now() - begun)); else requestAnimationFrame(look);
  };
  location.hash = to;
  look();
})"""


def fill(folder: Path, rows: int, dimension: int) -> None:
    """Make the collection, step by step, so that two gigabytes of memory are enough."""
    random = np.random.default_rng(1)
    centres = random.normal(size=(64, dimension)).astype("f4")
    with chroma.PersistentClient(str(folder)) as client:
        made = client.get_or_create_collection(
            NAME, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
        for start in range(made.count(), rows, STEP):
            numbers = range(start, min(rows, start + STEP))
            of = random.integers(0, len(centres), len(numbers))
            vectors = centres[of] + 0.6 * random.normal(size=(len(numbers), dimension)).astype("f4")
            made.add(
                ids=[f"r{n:07}" for n in numbers],
                embeddings=vectors.astype("f4"),
                documents=[
                    f"Record number {n} of the group {group}." for n, group in zip(numbers, of, strict=True)
                ],
                metadatas=[
                    {"kind": KINDS[group % 12], "n": n, "price": float(price)}
                    for n, group, price in zip(numbers, of, random.gamma(2, 40, len(numbers)), strict=True)
                ],
            )
            print(f"\r{numbers[-1] + 1:,} rows", end="", flush=True)
        made.compact()
        print(" indexed")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of the folder on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "chroma", "run", "--path", str(folder), "--port", str(port)]
    with subprocess.Popen([*command, "--log-level", "warning"], env=os.environ) as running:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urlopen(f"{url}/api/v2/heartbeat", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url
        running.terminate()


class Visit:
    """A page of the browser on the console."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url

    def place(self, name: str, **params: str) -> str:
        """The part of the address that names a page of the console."""
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in params.items())
        return f"/t/default_tenant/d/default_database/c/{NAME}/{name}?{query}"

    def first(self) -> float:
        """The milliseconds until a new page shows the collections."""
        self.page.goto("about:blank")
        begun = time.perf_counter()
        self.page.goto(f"{self.url}/console/", wait_until="commit")
        self.page.locator("main table tbody tr").first.wait_for()
        return (time.perf_counter() - begun) * 1000

    def turn(self, before: str, name: str, selector: str, text: str = "", **params: str) -> float:
        """The milliseconds from the address to the frame with such an element, in the open console."""
        self.page.evaluate("(to) => { location.hash = to; }", self.place(before))
        self.page.locator("main h1").first.wait_for()
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(300)
        return float(self.page.evaluate(TURN, [self.place(name, **params), selector, text]))


def measured(visit: Visit, rows: int, vectors: list[str]) -> Iterator[tuple[str, float, float]]:
    """The name of a wait, its median and what is promised, in milliseconds."""

    def median(turns: int, work: Callable[[int], float]) -> float:
        return statistics.median(work(turn) for turn in range(turns))

    def page(turn: int) -> float:
        number = rows // 50 // 9 * (turn + 1)
        return visit.turn("data", "data", "table.data bdi", f"r{number * 50:07}", page=str(number + 1))

    yield "first paint", median(7, lambda _: visit.first()), 1000
    yield "page of Data", median(7, page), 100
    last = f"r{rows - 1:07}"
    yield "sort", median(5, lambda _: visit.turn("data", "data", "table.data bdi", last, sort="-n")), 1000
    yield (
        "facets of a key",
        median(5, lambda _: visit.turn("help", "keys", ".facet .values td", key="kind")),
        500,
    )
    yield "facets, histogram", median(5, lambda _: visit.turn("help", "keys", ".histogram", key="price")), 500
    yield (
        "search",
        median(7, lambda turn: visit.turn("search", "search", ".hits li", vector=vectors[turn])),
        100,
    )
    yield "map of 50,000", median(1, lambda _: visit.turn("data", "map", "[data-drawn]", colour="kind")), 5000
    yield (
        "the same map again",
        median(3, lambda _: visit.turn("data", "map", "[data-drawn]", colour="kind")),
        5000,
    )


def main() -> None:
    """Make the collection if it is missing, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--dimension", type=int, default=384)
    arguments.add_argument("--fill-only", action="store_true")
    arguments.add_argument("--chromium", default="/usr/bin/chromium")
    given = arguments.parse_args()
    fill(given.folder, given.rows, given.dimension)
    if given.fill_only:
        return
    random = np.random.default_rng(2)
    vectors = [str([round(float(each), 4) for each in random.normal(size=given.dimension)]) for _ in range(9)]
    with serving(given.folder) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.set_default_timeout(120_000)
        print("| wait | median | promised |\n|---|---:|---:|")
        for name, took, promised in measured(Visit(page, url), given.rows, vectors):
            print(f"| {name} | {took:,.0f} ms | {promised:,.0f} ms |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
