"""The hook of mkdocs.yml, which selects the files of the documentation site.

Every file is identified by its path from the root of the repository. Relative links therefore work both in
the tree and on the site, and MkDocs finds broken links. URLs on the site omit `docs/`. A notebook becomes a
page with its cells and their stored outputs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# pages outside docs/, in addition to the notebooks
PAGES = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "COMPATIBILITY.md",
    "CONTRIBUTING.md",
    "FORMAT.md",
    "README.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "client/README.md",
]
TEXTS = ["LICENSE", "NOTICE"]  # served unchanged, with an extension that browsers display


class Notebook(File):
    """A page whose source file does not have the extension of Markdown."""

    def is_documentation_page(self) -> bool:
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Keep the theme's files, give files in docs/ their repository paths, and add the other files."""
    docs = Path(config.docs_dir)
    site = Files([file for file in files if file.src_dir != config.docs_dir])

    def put(path: str, address: str, kind: type[File] = File) -> File:
        file = kind(path, str(ROOT), config.site_dir, use_directory_urls=False, dest_uri=address)
        site.append(file)
        return file

    for path in sorted([*docs.rglob("*.md"), *(docs / "figures").iterdir()]):
        address = str(path.relative_to(docs))
        put(
            str(path.relative_to(ROOT)),
            address.removesuffix(".md") + ".html" if path.suffix == ".md" else address,
        )
    for name in PAGES:
        put(name, name.removesuffix(".md").lower() + ".html")
    for name in TEXTS:
        put(name, name + ".txt")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        file = put(f"notebooks/{path.name}", f"notebooks/{path.stem}.html", Notebook)
        file.content_string = markdown(json.loads(path.read_text("utf-8")))
    return site


def markdown(notebook: dict[str, Any]) -> str:
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{text}\n```")
            parts += [output(each) for each in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def output(shown: dict[str, Any]) -> str:
    """Render a cell's output in the richest form that a page can show."""
    data = {kind: "".join(text) for kind, text in shown.get("data", {}).items()}
    if "image/png" in data:
        image = f"data:image/png;base64,{data['image/png'].strip()}"
        return f'<div class="output"><img alt="figure" src="{image}"></div>'
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    text = data.get("text/plain") or "".join(shown.get("text", shown.get("traceback", [])))
    return f"```{{ .text .output }}\n{text.rstrip()}\n```"
