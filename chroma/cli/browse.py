"""`chroma browse`."""

from __future__ import annotations

import html
import tempfile
import threading
import webbrowser
from pathlib import Path

import click

from ..config import DEFAULT_DATABASE, DEFAULT_TENANT
from .targets import check_database


@click.command()
@click.option("--open/--no-open", "opens", default=True, help="Open a browser. Default: on")
@click.option("--write", is_flag=True, help="Allow changes; otherwise the console only reads.")
@click.argument("folder", metavar="DIR")
@click.argument("collection", metavar="[COLLECTION]", required=False)
def browse(folder: str, collection: str | None, opens: bool, write: bool) -> None:
    """Look at a folder in a browser.

    Serves the console for DIR on a free port of this machine, until Ctrl-C, and prints its address. The
    address has a ticket, which the browser exchanges for a token that is made for this run. Whoever opens
    the address first may read the database, and with --write change it.
    """
    from ..console import links
    from ..server.run import serve  # loads the engine and the web server
    from ..server.security.guests import Guests
    from ..server.settings.server_settings import ServerSettings

    check_database(folder)
    if collection is not None:
        _check_collection(folder, collection)
    guests = Guests("admin" if write else "read")
    to = None if collection is None else links.page(DEFAULT_TENANT, DEFAULT_DATABASE, collection)

    with tempfile.TemporaryDirectory(prefix="chroma-browse-") as private:

        def announce(url: str) -> None:
            click.echo(f"Browse {folder} at {links.link(url, guests.ticket(), to)}")
            click.echo("The address is good for one use within ten minutes. Press Ctrl-C to end.")
            if opens:  # in a thread: a browser of the terminal needs the server, and returns when it ends
                page, link = Path(private) / "open.html", links.link(url, guests.ticket(), to)
                threading.Thread(target=_open, args=(page, link), daemon=True).start()

        settings = ServerSettings(path=folder, port=0, log_level="warning", metrics=False, drain_seconds=1)
        serve(settings, announce, guests)


def _check_collection(folder: str, name: str) -> None:
    import chroma

    with chroma.PersistentClient(folder) as client:
        client.get_collection(name, embedding_function=None)


def _open(page: Path, link: str) -> None:
    """Open a page that leads to the link. Other users see the arguments of a browser, but not this page."""
    page.touch(0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0;url={html.escape(link)}">', "utf-8")
    webbrowser.open(page.as_uri())
