"""`chroma auth rotate`: a new secret, and what becomes of the old one."""

from __future__ import annotations

from pathlib import Path

from chroma.server.security.credentials_file import hash_token, is_password, read_entries

from .running import run


def test_a_token_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    old = run("auth", "create", "app", "--role", "write", "--tenant", "acme", "--file", file).stdout.strip()
    result = run("auth", "rotate", "app", "--file", file)
    new = result.stdout.strip()
    assert result.exit_code == 0 and "valid for 24 hours more" in result.stderr and new != old
    app, previous = read_entries(file)
    assert (app.name, app.role, app.access, app.expires) == ("app", "write", ("acme/*",), None)
    assert app.secret == hash_token(new.encode())
    assert (previous.name, previous.role, previous.access) == ("app.previous", "write", ("acme/*",))
    assert previous.secret == hash_token(old.encode()) and previous.expires and not previous.expired
    again = run("auth", "rotate", "app", "--grace-hours", "0.5", "--days", "3", "--file", file)
    assert again.exit_code == 0, again.stderr
    app, previous = read_entries(file)
    assert app.expires and previous.secret == hash_token(new.encode())
    assert run("auth", "rotate", "app", "--grace-hours", "0", "--file", file).exit_code == 0
    (app,) = read_entries(file)
    assert app.expires is not None  # for three days again
    run("auth", "rotate", "app", "--file", file)
    assert run("auth", "revoke", "app", "--file", file).exit_code == 0
    assert read_entries(file) == []  # the old token, too


def test_a_password_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    run("auth", "create", "ana", "--kind", "basic", "--role", "read", "--file", file)
    options = ("auth", "rotate", "ana", "--password-stdin", "--file", file)
    assert run(*options, input="a new password\n").exit_code == 0
    (ana,) = read_entries(file)
    assert is_password(ana.secret, b"a new password")
    assert run(*options, "--grace-hours", "1", input="a new password\n").exit_code == 2


def test_what_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    run("auth", "create", "app", "--role", "read", "--file", file)
    run("auth", "rotate", "app", "--file", file)
    assert run("auth", "rotate", "other", "--file", file).exit_code != 0
    assert "rotate app" in run("auth", "rotate", "app.previous", "--file", file).stderr
    assert ".previous" in run("auth", "create", "x.previous", "--role", "read", "--file", file).stderr
    assert run("auth", "rotate", "app", "--password-stdin", "--file", file, input="x" * 20).exit_code == 2
