"""The console's files over HTTP: headers, ETags, compression, redirects, the greeting."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from chroma.console import static
from chroma.errors import InvalidArgumentError
from chroma.server.settings.server_settings import ServerSettings

from ..server.conftest import Api, refused, serve

__all__ = ["serve"]

SCRIPT = "export const a = 1;\n" * 100


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "static"
    (folder / "pages").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>here</title>")
    (folder / "pages/data.js").write_text(SCRIPT)
    (folder / "key.pem").write_text("not for browsers")
    (folder / ".hidden.js").write_text("not for browsers")
    (tmp_path / "outside.js").write_text("not for browsers")
    monkeypatch.setattr(static, "FOLDER", folder)
    return folder


def test_the_page_and_its_files(serve: Callable[..., Api]) -> None:
    api = serve()
    page = api.get("/console/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy and "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["x-frame-options"] == "DENY"
    script = api.get("/console/static/pages/data.js")
    assert (script.text, script.headers["content-type"]) == (SCRIPT, "text/javascript; charset=utf-8")
    assert script.headers["content-security-policy"] == policy
    head = api.request("HEAD", "/console/")
    assert (head.status_code, head.content) == (200, b"")


def test_files_are_sent_compressed_and_once(serve: Callable[..., Api], files: Path) -> None:
    api, path = serve(), "/console/static/pages/data.js"
    plain = api.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.text == SCRIPT
    assert "content-encoding" not in api.get(path, headers={"accept-encoding": "gzip;q=0"}).headers
    zipped = api.get(path, headers={"accept-encoding": "br, gzip;q=0.5"})
    assert zipped.headers["content-encoding"] == "gzip" and zipped.text == SCRIPT
    assert int(zipped.headers["content-length"]) == len(gzip.compress(SCRIPT.encode(), 9, mtime=0))
    etag = plain.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = api.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b""), known
        assert again.headers["etag"] == etag
    (files / "pages/data.js").write_text("export const b = 2;\n")
    assert api.get(path, headers={"if-none-match": etag}).text == "export const b = 2;\n"


def test_files_below_a_version_are_kept_for_ever(serve: Callable[..., Api], files: Path) -> None:
    (files / "index.html").write_text('<script type="module" src="static/pages/data.js"></script>')
    api, first = serve(), static.version()
    page = api.get("/console/")
    assert f'src="static/{first}/pages/data.js"' in page.text and page.headers["cache-control"] == "no-cache"
    script = api.get(f"/console/static/{first}/pages/data.js")
    assert (script.text, script.headers["cache-control"]) == (SCRIPT, "public, max-age=31536000, immutable")
    assert "default-src 'none'" in script.headers["content-security-policy"]
    assert api.get("/console/static/pages/data.js").headers["cache-control"] == "no-cache"
    for name in ("none.js", "key.pem", "../outside.js", "", first):
        assert api.get(f"/console/static/{first}/{name}").status_code == 404
    (files / "pages/data.js").write_text("export const b = 2;\n")
    changed = api.get("/console/")
    assert static.version() != first and static.version() in changed.text
    assert changed.headers["etag"] != page.headers["etag"]
    old = api.get(f"/console/static/{first}/pages/data.js")
    assert (old.text, old.headers["cache-control"]) == ("export const b = 2;\n", "no-cache")


@pytest.mark.parametrize(
    "name",
    ["none.js", "key.pem", ".hidden.js", "../outside.js", "%2e%2e/outside.js", "pages/../../outside.js",
     "..%2foutside.js", "pages", "pages/", "", "index.html%00", "/etc/passwd", "pages//data.js"],
)  # fmt: skip
def test_nothing_else_is_served(serve: Callable[..., Api], name: str) -> None:
    assert serve().get(f"/console/static/{name}").status_code == 404
    assert static.find(name) is None


def test_redirects_are_relative(serve: Callable[..., Api]) -> None:
    api = serve()
    bare = api.get("/console")
    assert (bare.status_code, bare.headers["location"]) == (307, "console/")
    browser = api.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"]) == (303, "console/")
    told = api.get("/").json()
    assert told == {
        "name": "Chroma-on-Arrow", "version": told["version"], "docs": "docs", "console": "console/",
    }  # fmt: skip
    assert 'href="api/v2/openapi.json"' in api.get("/docs").text


def test_the_console_can_be_off(serve: Callable[..., Api]) -> None:
    api = serve(console=False)
    for path in ("/console", "/console/", "/console/static/pages/data.js"):
        assert api.get(path).status_code == 404
    told = api.get("/", headers={"accept": "text/html"})
    assert (told.status_code, told.json()["console"]) == (200, None)


def test_other_pages_may_frame_it_only_by_name(serve: Callable[..., Api]) -> None:
    page = serve(console_frame_ancestors=("https://wiki.example.org",)).get("/console/")
    assert page.headers["content-security-policy"].endswith("frame-ancestors https://wiki.example.org")
    assert "x-frame-options" not in page.headers
    for wrong in ("*", "https://a.org; script-src *", "a.org", "https://a.org/path"):
        with pytest.raises(InvalidArgumentError, match="console_frame_ancestors"):
            ServerSettings(console_frame_ancestors=(wrong,))


def test_hosts_are_checked(serve: Callable[..., Api]) -> None:
    api = serve()
    for path in ("/", "/console", "/console/", "/console/static/pages/data.js"):
        refused(api.get(path, headers={"host": "evil.example"}), 421, "ChromaError")


def test_no_challenge_for_the_console(serve: Callable[..., Api]) -> None:
    api = serve(auth_token="secret-of-the-test-1234567890")
    assert api.get("/console/").status_code == 200
    plain = api.get("/api/v2/auth/identity")
    assert (plain.status_code, "www-authenticate" in plain.headers) == (401, True)
    console = api.get("/api/v2/auth/identity", headers={"x-chroma-console": "1"})
    assert (console.status_code, "www-authenticate" in console.headers) == (401, False)
