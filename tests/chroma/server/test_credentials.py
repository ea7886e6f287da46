"""The file of who may do what: its format, its mode, its changes, and the commands for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chroma.cli import cli
from chroma.errors import InvalidArgumentError, NotFoundError, ReadOnlyError, UniqueConstraintError
from chroma.server.security import credentials_file
from chroma.server.security.credentials_file import Entry, add_entry, read_entries, remove_entry

from .processes import ROOT, environment

TOKEN = credentials_file.hash_token(b"geheim")


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "name": "app", "kind": "token", "role": "write", "access": ("*",), "secret": TOKEN,
    }  # fmt: skip
    return Entry(**values | changes)


def test_there_and_back(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    first = entry(
        access=("a/b/*", "acme/prod"), created=credentials_file.now(), expires=credentials_file.now(60)
    )
    add_entry(file, first)
    add_entry(file, entry(name="other@example.org", role="admin"))
    assert read_entries(file) == [first, entry(name="other@example.org", role="admin")]
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UniqueConstraintError, match="revoke"):
        add_entry(file, first)
    remove_entry(file, "app")
    assert [found.name for found in read_entries(file)] == ["other@example.org"]
    with pytest.raises(NotFoundError, match="'app'"):
        remove_entry(file, "app")
    with pytest.raises(NotFoundError, match="chroma auth create"):
        remove_entry(tmp_path / "none.json", "app")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "auth.json",
        "auth.json.lock",
        "none.json.lock",
    ]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "auth.json").symlink_to(tmp_path / "to" / "real.json")
    add_entry(tmp_path / "auth.json", entry())
    assert (tmp_path / "auth.json").is_symlink()
    assert read_entries(tmp_path / "to" / "real.json") == [entry()]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_others_may_not_read_it(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "auth.json"
    add_entry(file, entry())
    file.chmod(mode)
    with pytest.raises(InvalidArgumentError, match="chmod 600"):
        read_entries(file)
    file.chmod(0o400)
    assert read_entries(file) == [entry()]


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""}, {"name": "a:b"}, {"name": "a b"}, {"name": "x" * 129}, {"name": 5},
        {"kind": "bearer"}, {"role": "root"}, {"role": None},
        {"access": ()}, {"access": ("",)}, {"access": ("acme",)}, {"access": ("/x",)}, {"access": ("acme/",)},
        {"access": ("*/prod",)}, {"access": ("acme/p*",)}, {"access": (5,)}, {"access": ("acme/*", "*/*")},
        {"role": "admin", "access": ("acme/prod",)},
        {"secret": "geheim"}, {"secret": ""}, {"secret": None}, {"secret": TOKEN[:-1]}, {"kind": "basic"},
        {"kind": "basic", "secret": "scrypt$16384$8$5$AAAA$AAAA"},
        {"kind": "basic", "secret": "scrypt$1073741824$8$5$AAAAAAAAAAAAAAAA$" + "A" * 43 + "="},
        {"expires": "tomorrow"}, {"expires": 5}, {"created": 5},
    ],
)  # fmt: skip
def test_entries_that_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        entry(**change)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"), (b"\xff", "no JSON"), (b"[]", "version"),
        (b'{"version": 2, "entries": []}', "version"),
        (b'{"version": 1, "entries": [{"role": "read", "role": "admin"}]}', "'role' is there twice"),
        (b'{"version": 1}', "entries"), (b'{"version": 1, "entries": [], "open": true}', "entries"),
        (b'{"version": 1, "entries": [5]}', "object"), (b"[" * 100_000, "no JSON"),
        (b'{"version": 1, "entries": [{"name": ["a"], "access": ["*"]}]}', "expected a text"),
    ],
)  # fmt: skip
def test_files_that_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "auth.json"
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=said):
        read_entries(file)
    with pytest.raises(InvalidArgumentError):
        add_entry(file, entry())
    assert file.read_bytes() == content, "what cannot be read is not replaced"


def test_entries_with_other_keys_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    add_entry(file, entry())
    content = json.loads(file.read_text())
    for change in ({"databases": ["x"]}, {"role": None}):
        changed = content["entries"][0] | change
        file.write_text(json.dumps(content | {"entries": [changed]}))
        with pytest.raises(InvalidArgumentError):
            read_entries(file)
    file.write_text(json.dumps(content | {"entries": content["entries"] * 2}))
    with pytest.raises(InvalidArgumentError, match="two entries"):
        read_entries(file)


def test_passwords() -> None:
    hashed = credentials_file.hash_password(b"correct horse")
    assert hashed != credentials_file.hash_password(b"correct horse"), "each has a salt of its own"
    assert credentials_file.is_password(hashed, b"correct horse")
    assert not credentials_file.is_password(hashed, b"correct horsf")
    assert b"correct horse".hex() not in hashed and "correct" not in hashed
    assert len({credentials_file.new_secret() for _ in range(100)}) == 100
    assert all(len(credentials_file.new_secret()) >= 43 for _ in range(10))  # 256 bits in base64


def test_writers_take_turns(tmp_path: Path) -> None:
    """Without the lock, entries that were added at the same time are lost."""
    file = tmp_path / "auth.json"
    code = (
        "import sys; from pathlib import Path; from chroma.server.security.credentials_file import *\n"
        "secret = hash_token(b'x')\n"
        "for i in range(10):\n"
        "    add_entry(Path(sys.argv[1]), Entry(f'{sys.argv[2]}-{i}', 'token', 'read', ('*',), secret))"
    )
    command = [sys.executable, "-c", code, str(file)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT, env=environment()) for name in ("a", "b", "c")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(read_entries(file)) == 30


def chroma(*arguments: str, input: str | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, ["auth", *arguments], prog_name="chroma", input=input, env=env)


def test_the_commands(tmp_path: Path) -> None:
    file = str(tmp_path / "auth.json")
    made = chroma("create", "app", "--role", "write", "--tenant", "acme", "--days", "30", "--file", file)
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert len(token) == 43
    assert token not in made.stderr
    made = chroma("create", "bob", "--kind", "basic", "--role", "read", "--tenant", "acme",
                  "--database", "dev", "--database", "prod", "--file", file)  # fmt: skip
    password = made.stdout.strip()
    chosen = chroma("create", "eve", "--kind", "basic", "--role", "admin", "--password-stdin",
                    input="correct horse\n", env={"CHROMA_AUTH_FILE": file})  # fmt: skip
    assert (chosen.exit_code, chosen.stdout) == (0, "")
    app, bob, eve = read_entries(Path(file))
    assert (app.secret, app.access) == (credentials_file.hash_token(token.encode()), ("acme/*",))
    assert app.expires is not None and not app.expired
    assert credentials_file.is_password(bob.secret, password.encode())
    assert bob.access == ("acme/dev", "acme/prod")
    assert credentials_file.is_password(eve.secret, b"correct horse")
    assert (eve.access, eve.expires) == (("*",), None)

    listed = chroma("list", "--file", file).output
    assert "acme/dev, acme/prod" in listed
    assert [found["name"] for found in json.loads(chroma("list", "--json", "--file", file).output)] == [
        "app", "bob", "eve",
    ]  # fmt: skip
    everything = listed + chroma("list", "--json", "--file", file).output
    for secret in (token, password, app.secret, bob.secret, "scrypt", "sha256"):
        assert secret not in everything
    assert chroma("revoke", "bob", "--file", file).exit_code == 0
    assert [found.name for found in read_entries(Path(file))] == ["app", "eve"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "x", "--role", "read"], "CHROMA_AUTH_FILE"),
        (["create", "x", "--role", "read", "--file", "none/auth.json"], "none/auth.json"),
        (["create", "x", "--file", "a.json"], "--role"),
        (["create", "x", "--role", "read", "--password-stdin", "--file", "a.json"], "--kind basic"),
        (["create", "x", "--role", "read", "--kind", "basic", "--password-stdin", "--file", "a.json"],
         "12 to"),
        (["create", "a:b", "--role", "read", "--file", "a.json"], "'a:b'"),
        (["create", "x", "--role", "admin", "--database", "d", "--file", "a.json"], "whole tenants"),
        (["create", "x", "--role", "read", "--tenant", "a", "--tenant", "b", "--database", "d",
          "--file", "a.json"], "one tenant"),
        (["list", "--file", "a.json"], "chroma auth create"),
        (["revoke", "x", "--file", "a.json"], "chroma auth create"),
    ],
)  # fmt: skip
def test_commands_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHROMA_AUTH_FILE", raising=False)
    result = chroma(*arguments, input="short\n")
    assert result.exit_code in (2, 3, 6), result.output
    assert said in result.output
    assert not (tmp_path / "a.json").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "auth.json.lock").mkdir()  # root may write anywhere
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(ReadOnlyError, match="--file"):
        add_entry(tmp_path / "auth.json", entry())
