"""The guides tell the truth: their programs run, their links lead somewhere.

Python blocks of one file run in order and share their names; `chroma` lines of `sh` blocks run between
them. A block is left out by `<!-- not run: the reason -->` on the line before it. README.md is run by
test_readme.py, FORMAT.md by test_format.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chroma.cli import cli

ROOT = Path(__file__).resolve().parent.parent
GUIDES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "ARCHITECTURE.md", ROOT / "COMPATIBILITY.md"]
ALL = [*GUIDES, ROOT / "FORMAT.md"]

BLOCK = re.compile(
    r"^(?:<!-- not run:(?P<reason>.*?)-->\n)?```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.S | re.M
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> list[tuple[str, str, int]]:
    """(kind, code, line) of every block that is not left out."""
    text = path.read_text("utf-8")
    found = []
    for match in BLOCK.finditer(text):
        reason = match["reason"]
        assert reason is None or len(reason.split()) >= 3, f"{path}: say why the block is not run"
        if reason is None:
            found.append((match["kind"], match["code"], text[: match.start("code")].count("\n")))
    return found


@pytest.mark.parametrize("path", [path for path in GUIDES if blocks(path)], ids=name)
def test_programs_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names: dict[str, Any] = {"__name__": "__main__"}
    for kind, code, line in blocks(path):
        if kind == "python":
            # Padded, so that a traceback shows the line of the file.
            exec(compile("\n" * line + code, str(path), "exec"), names)
        elif kind == "sh":
            for command in code.splitlines():
                program, *arguments = shlex.split(command)
                assert program == "chroma", f"{path}: {command!r} is not run; mark the block"
                result = CliRunner().invoke(cli, arguments, prog_name="chroma")
                assert result.exit_code == 0, f"{command}: {result.output}"
        else:
            assert kind == "text", f"{path}, line {line}: a block needs a kind: python, sh or text"


@pytest.mark.parametrize("path", ALL, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text("utf-8"), flags=re.S)
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_decisions_are_numbered_and_listed() -> None:
    files = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(file[:4]) for file in files] == list(range(1, len(files) + 1))
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert [file for file in files if f"decisions/{file}" not in index] == []
    for file in files:
        title = (ROOT / "docs" / "decisions" / file).read_text("utf-8").split("\n", 1)[0]
        assert title.startswith(f"# {int(file[:4])}. ")


def test_every_page_is_in_the_index() -> None:
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text("utf-8")
    pages = [str(path.relative_to(docs)) for path in docs.rglob("*.md") if path.name != "index.md"]
    notebooks = [f"../notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert [page for page in pages + notebooks if f"({page})" not in index] == []


def test_anchors_lead_somewhere() -> None:
    """Links to a heading, within a page and to others."""

    def anchors(path: Path) -> set[str]:
        text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.S | re.M)
        titles = re.findall(r"^#+ (.*)$", text, re.M)
        return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}

    lost = []
    for path in ALL:
        text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text("utf-8"), flags=re.S)
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            page = path.parent / target if target else path
            if page.suffix == ".md" and page.exists() and anchor not in anchors(page):
                lost.append(f"{name(path)}: {target}#{anchor}")
    assert lost == []


def test_the_code_cites_decisions_that_exist() -> None:
    decisions = {path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")}
    for folder in ("storage", "chroma"):
        for path in (ROOT / folder).rglob("*.py"):
            cited = set(re.findall(r"docs/decisions/(\d{4})", path.read_text("utf-8")))
            assert cited <= decisions, path
