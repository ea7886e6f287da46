"""Takes the pictures of the console in docs/figures, of the records that `chroma demo` makes.

.venv/bin/python scripts/console_pictures.py            # docs/figures/console-*.png
.venv/bin/python scripts/console_pictures.py --all DIR  # every page in three colours, to be looked at
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
SMALL = {"width": 1100, "height": 620}
READY = {
    "map": "canvas[data-drawn]",
    "search": "section:last-child .hits li",
    "data": "table.data",
}  # drawn last
FEW = ("data", "search", "map")


def pages(collection: str, id: str) -> dict[str, str]:
    """The places of the pages, each with something to see."""
    at = f"/t/default_tenant/d/default_database/c/{quote(collection)}"
    sql = f'SELECT module, count(*) AS n FROM "{collection}" GROUP BY module ORDER BY n DESC LIMIT 20'
    return {
        "overview": "/overview",
        "data": f"{at}/data",
        "record": f"{at}/record?id={quote(id, safe='')}",
        "search": f"{at}/search?q={quote('read a file line by line')}&two=1&n=5",
        "keys": f"{at}/keys?key=module",
        "map": f"{at}/map?colour=module",
        "duplicates": f"{at}/duplicates?max=0.2",
        "quality": f"{at}/quality",
        "io": f"{at}/io",
        "sql": f"/sql?sql={quote(sql)}",
        "server": "/server",
        "help": "/help",
    }


def taken(page: Any, url: str, places: dict[str, str], folder: Path, colours: str, named: str) -> None:
    """Open the pages and take a picture of each."""
    for name, place in places.items():
        page.goto(f"{url}/console/#{place}")
        page.evaluate("(each) => { document.documentElement.dataset.theme = each; }", colours)
        page.locator("main h1").first.wait_for()
        page.locator(READY.get(name, "main")).first.wait_for()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1500 if name == "map" else 400)
        page.screenshot(path=str(folder / f"{named}{name}.png"))


def main() -> None:
    """Make the records, start a server, take the pictures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--all", type=Path, metavar="DIR")
    given = arguments.parse_args()
    import chroma

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "demo"
        command = [sys.executable, "-m", "chroma"]
        subprocess.run(
            [*command, "demo", "--folder", str(folder), "--limit", "1500"],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        with chroma.PersistentClient(str(folder)) as client:
            collection = client.list_collections()[0]
            places = pages(collection.name, collection.get(limit=1)["ids"][0])
        with (
            subprocess.Popen(
                [*command, "browse", str(folder), "--no-open", "--write"], stdout=subprocess.PIPE, text=True
            ) as running,
            sync_playwright() as play,
        ):
            assert running.stdout
            address = running.stdout.readline().split()[-1]
            browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport=SMALL)
            page.goto(address)
            page.locator("main table").first.wait_for()
            url = address.split("/console")[0]
            if given.all:
                given.all.mkdir(parents=True, exist_ok=True)
                for colours in ("light", "dark", "contrast"):
                    taken(page, url, places, given.all, colours, f"{colours}-")
            else:
                taken(page, url, {each: places[each] for each in FEW}, FIGURES, "light", "console-")
            browser.close()
            running.terminate()


if __name__ == "__main__":
    main()
