"""`chroma sql`: statements from everywhere, and the prompt."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chroma.cli.option_terms import in_options
from chroma.cli.statements import divided, is_complete

from ..server.processes import environment
from .running import read, run

ROOT = Path(__file__).resolve().parents[3]
TWO = (
    "select id from notes order by id limit 1; -- a comment;\nselect 'a;b' as \"t;u\", $$x;y$$ as v /* ; */;"
)


def test_statements_are_divided() -> None:
    assert list(divided(TWO)) == [
        "select id from notes order by id limit 1",
        "-- a comment;\nselect 'a;b' as \"t;u\", $$x;y$$ as v /* ; */",
    ]
    assert list(divided(" ; -- nothing;\n; /* ; */ ")) == []
    assert is_complete("select 1;") and is_complete("select 1; -- x")
    assert not any(map(is_complete, ("select 1", "select ';'", "-- ;")))


def test_statements_come_from_a_file_or_a_pipe(target: str, tmp_path: Path) -> None:
    (tmp_path / "two.sql").write_text(TWO)
    expected = "id\na\n\nt;u,v\na;b,x;y\n"
    for arguments, given in (
        (["--file", str(tmp_path / "two.sql")], None),
        ([], TWO),
        (["-"], TWO),
        ([TWO], None),
    ):
        result = run("sql", target, *arguments, "--csv", input=given)
        assert (result.exit_code, result.stdout) == (0, expected), result.stderr


def test_forms(database: Path) -> None:
    statement = "select id, n, 1.5 as f, null as z from notes where id = 'a'"
    assert run("sql", database, statement, "--nl").stdout == ('{"id": "a", "n": 1, "f": "1.5", "z": null}\n')
    assert run("sql", database, "select 1 as a, 2 as a", "--csv").stdout == "a,a\n1,2\n"
    assert run("sql", database, "select 1 as a, 2 as b", "--column").stdout == "a  1\nb  2\n"
    assert read("sql", database, "select 1 as a") == [{"a": 1}]


@pytest.mark.parametrize(
    ("arguments", "given", "code", "told"),
    [
        (["select 1", "--file", "pyproject.toml"], None, 2, "two sources"),
        ([], "  ", 2, "there is no statement"),
        (["select 1; select 2", "--json"], None, 2, "try --nl"),
        (["select * from nots"], None, 3, "the nearest is 'notes'"),
        (["select 1 as a, 2 as a", "--nl"], None, 2, "two columns are called 'a'"),
    ],
)
def test_mistakes(database: Path, arguments: list[str], given: str | None, code: int, told: str) -> None:
    result = run("sql", database, *arguments, input=given)
    assert result.exit_code == code and told in result.stderr and "tables=" not in result.stderr


def test_many_rows(database: Path) -> None:
    result = run("sql", database, "select * from range(1001)")
    assert result.stdout.count("\n") == 1001 and "1,000 of 1,001 rows" in result.stderr
    assert run("sql", database, "select * from range(1001)", "--csv").stdout.count("\n") == 1002


def test_the_prompt(database: Path) -> None:
    """On a terminal: a statement of two lines, commands, an error that ends nothing, the end."""
    typed = (
        "select count(*) as records\nfrom notes;\n.tables\n.mode csv\nselect * from nots;\n"
        "select 'x' as a, 1 as b;\n.nonsense\n.quit\n"
    )
    main, other = pty.openpty()
    command = [sys.executable, "-m", "chroma", "sql", str(database)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment({"TERM": "dumb"}), stdin=other, stdout=other, stderr=other
    ) as process:
        os.close(other)
        os.write(main, typed.encode())
        seen = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                piece = os.read(main, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            seen += piece
        assert process.wait(30) == 0
    os.close(main)
    text = seen.decode().replace("\r\n", "\n")
    for expected in (
        "records\n      3\n",
        "notes\nempty\n",
        "the nearest is 'notes'",
        "a,b\nx,1\n",
        ".mode FORM",
    ):
        assert expected in text, text


def test_messages_in_terms_of_the_command() -> None:
    assert in_options("x exists: choose another name, or pass overwrite=True") == (
        "x exists: choose another name, or give --overwrite"
    )
    assert (
        in_options("pass format='parquet', 'arrow' or 'jsonl'")
        == "give --format 'parquet', 'arrow' or 'jsonl'"
    )
    assert in_options("on_conflict='skip' to go on; partition_by='k': no") == (
        "--on-conflict 'skip' to go on; --partition-by 'k': no"
    )
    assert in_options("no such thing; a dataframe is named by tables={'x': …}") == "no such thing"
