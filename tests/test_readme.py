"""The programs in the README run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_programs_run_twice(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    printed = []
    assert len(blocks) == 3
    for block in blocks:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{block}"
        for _ in range(2):
            answer = subprocess.run(
                [sys.executable, "-W", "error", "-c", code],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
        printed.append(answer.stdout)
    assert "bread" in printed[0]
    assert "toner" in printed[1]
    assert "science" in printed[2]


def test_links_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
        assert [target for target in targets if not (ROOT / target).exists()] == []
