"""`chroma browse`."""

from __future__ import annotations

import html
import tempfile
import webbrowser
from pathlib import Path
from urllib.parse import quote

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
    address has a token that is made for this run. Whoever has the address may read the database, and with
    --write change it.
    """
    from ..server.run import serve  # loads the engine and the web server
    from ..server.security import credentials_file as store
    from ..server.settings.server_settings import ServerSettings

    check_database(folder)
    if collection is not None:
        _check_collection(folder, collection)
    token = store.new_secret()
    entry = store.Entry(
        name="browse",
        kind="token",
        role="admin" if write else "read",
        access=(store.EVERYTHING,),
        secret=store.hash_token(token.encode()),
        created=store.now(),
    )

    with tempfile.TemporaryDirectory(prefix="chroma-browse-") as private:
        file = Path(private) / "credentials.json"
        store.add_entry(file, entry)

        def announce(url: str) -> None:
            link = f"{url}/console/#token={quote(token, safe='')}{_page_of(collection)}"
            click.echo(f"Browse {folder} at {link}")
            click.echo("Press Ctrl-C to end.")
            if opens:
                _open(Path(private) / "open.html", link)

        settings = ServerSettings(
            path=folder, port=0, auth_file=str(file), log_level="warning", metrics=False, drain_seconds=1
        )
        serve(settings, announce)


def _check_collection(folder: str, name: str) -> None:
    import chroma

    with chroma.PersistentClient(folder) as client:
        client.get_collection(name, embedding_function=None)


def _page_of(collection: str | None) -> str:
    """The part of the address that names the console's page of a collection."""
    if collection is None:
        return ""
    parts = (quote(part, safe="") for part in (DEFAULT_TENANT, DEFAULT_DATABASE, collection))
    return f"&to={quote('/t/{}/d/{}/c/{}/data'.format(*parts), safe='')}"


def _open(page: Path, link: str) -> None:
    """Open a page that leads to the link. Other users see the arguments of a browser, but not this page."""
    page.touch(0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0;url={html.escape(link)}">', "utf-8")
    webbrowser.open(page.as_uri())
