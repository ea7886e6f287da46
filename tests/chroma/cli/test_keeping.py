"""`backup`, `restore`, `compact`, `copy`."""

from __future__ import annotations

from pathlib import Path

import pytest

import chroma

from ...support import server
from .running import read, run


def test_backup_check_restore(database: Path, tmp_path: Path) -> None:
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    report = read("backup", database, backup)
    assert (report["collections"], report["linked"], report["reused"]) == (2, 0, 0)
    assert set(report) == {
        "path", "collections", "files", "copied", "linked", "reused", "removed", "seconds",
    }  # fmt: skip
    result = run("backup", database, backup, "--verify", "--link")
    assert result.exit_code == 0 and "2 collections" in result.output and "reused" in result.output
    assert run("check", backup).exit_code == 0
    assert run("count", backup, "notes").output == "3\n"
    assert run("compact", backup).exit_code == 2
    assert "Restored" in run("restore", backup, restored).output
    assert run("count", restored, "notes").output == "3\n"
    taken = run("restore", backup, restored)
    assert taken.exit_code == 2 and "--overwrite" in taken.stderr
    assert read("restore", backup, restored, "--overwrite")["collections"] == 2
    assert len(list(tmp_path.glob("restored.replaced-*"))) == 1


def test_a_damaged_backup_is_not_restored(database: Path, tmp_path: Path) -> None:
    run("compact", database)
    run("backup", database, tmp_path / "backup")
    file = next((tmp_path / "backup").glob("collections/*/seg-*/vectors.arrow"))
    file.write_bytes(file.read_bytes()[:-10] + bytes(10))
    found = run("check", tmp_path / "backup")
    assert found.exit_code == 1 and "chroma backup --verify" in found.output
    result = run("restore", tmp_path / "backup", tmp_path / "restored")
    assert result.exit_code == 1 and "vectors.arrow" in result.stderr
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("command", [["backup", "http://x:1", "t"], ["restore", "http://x:1", "t"],
                                     ["restore", "b", "http://x:1"], ["check", "http://x:1"]])  # fmt: skip
def test_commands_that_work_on_files_say_so(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    result = run(*command)
    assert result.exit_code == 2 and "on the server's machine" in result.stderr
    assert ("chroma copy" in result.stderr) == (command[0] == "backup")


def test_compact(target: str) -> None:
    found = read("compact", target)
    assert [each["name"] for each in found["collections"]] == ["notes", "empty"]
    assert all(each["bytes"] >= 0 for each in found["collections"])
    assert run("compact", target, "notes").output.count("\n") == 2
    (row,) = (row for row in read("info", target)["collections"] if row["name"] == "notes")
    assert (row["unsealed"], row["segments"]) == (0, 1)


def test_copy_to_a_server_and_to_a_new_folder(database: Path, tmp_path: Path) -> None:
    with chroma.HttpClient(server.url()) as client:
        client.reset()
    found = read("copy", database, server.url())
    assert [(each["name"], each["records"], each["outcome"]) for each in found["collections"]] == [
        ("notes", 3, "copied"),
        ("empty", 0, "copied"),
    ]
    new = tmp_path / "new"
    refused = run("copy", server.url(), new, "notes")
    assert refused.exit_code == 2 and not new.exists()
    scope = ("--to-tenant", "acme", "--to-database", "prod")
    assert run("copy", server.url(), new, "notes", "--create", *scope).exit_code == 0
    everything = ("--include", "documents", "--include", "metadatas", "--include", "embeddings")
    assert read("get", new, "notes", "--tenant", "acme", "--database", "prod", *everything) == read(
        "get", database, "notes", *everything
    )
    with chroma.HttpClient(server.url()) as client:
        client.reset()


def test_copy_and_names_that_are_taken(database: Path) -> None:
    taken = run("copy", database, database, "notes")
    assert taken.exit_code == 6 and "--on-conflict" in taken.stderr
    assert run("copy", database, database, "notes", "--on-conflict", "replace").exit_code == 2
    assert run("copy", database, database, "notes", "--rename", "notes=more").exit_code == 0
    skipped = read("copy", database, database, "notes", "--rename", "notes=more", "--on-conflict", "skip")
    assert skipped["collections"][0]["outcome"] == "skipped"
    assert run("count", database, "more").output == "3\n"
    assert run("copy", database, database, "notes", "--rename", "more").exit_code == 2
    assert run("copy", database, database, "nothing").exit_code == 3


def test_backups_that_are_pruned(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(["2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z"])
    monkeypatch.setattr("chroma.maintenance.backup_series.new_name", lambda: next(times))
    assert read("backup", database, tmp_path / "backups", "--keep", "1")["collections"] == 2
    result = run("backup", database, tmp_path / "backups", "--keep", "1")
    assert "Removed 1 older backup: 2026-01-01T00-00-00Z" in result.output
    assert [entry.name for entry in (tmp_path / "backups").iterdir()] == ["2026-01-02T00-00-00Z"]
    assert run("check", tmp_path / "backups" / "2026-01-02T00-00-00Z").exit_code == 0
    assert run("backup", database, tmp_path / "backups", "--keep", "0").exit_code == 2
