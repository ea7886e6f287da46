"""check_dist.py DIST: checks that wheel and sdist contain each module exactly once and no other files."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path


def main(dist: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    api = {
        file for file in (root / "chroma").rglob("*.py") if (root / "chroma" / "storage") not in file.parents
    }
    engine = set((root / "storage").rglob("*.py"))
    modules = {str(file.relative_to(root)) for file in api}
    modules |= {"chroma/" + str(file.relative_to(root)) for file in engine}
    native = ("_graph", "_kernel", "_postings", "_text")
    data = {"chroma/py.typed", "chroma/compat/names.json"}
    data |= {f"chroma/storage/native/{name}.pyi" for name in native}
    data |= {"chroma/embedding/minilm/data/minilm-vocab.txt", "chroma/embedding/minilm/data/README.md"}

    console = (root / "chroma" / "console" / "static").rglob("*")
    data |= {str(file.relative_to(root)) for file in console if file.is_file()}

    names = zipfile.ZipFile(wheel).namelist()
    content = {name for name in names if ".dist-info/" not in name}
    assert len(names) == len(set(names)), "the wheel holds a file twice"
    compiled = {
        name for name in content if name.startswith("chroma/storage/native/_") and name.endswith(".so")
    }
    assert len(compiled) == len(native), f"the wheel holds the compiled part as {sorted(compiled)}"
    expected = modules | data | compiled
    assert content == expected, (
        f"missing: {sorted(expected - content)}, unexpected: {sorted(content - expected)}"
    )
    info = {name.split(".dist-info/")[1] for name in names if ".dist-info/" in name}
    assert {"licenses/LICENSE", "licenses/NOTICE", "entry_points.txt"} <= info, sorted(info)

    with tarfile.open(sdist) as archive:
        members = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    sources = [name for name in members if name.endswith(".py")]
    engines = [name for name in sources if name.endswith("engine.py")]
    assert engines == ["storage/engine.py"], f"the sdist holds the engine as {engines}"
    for name in native:
        assert f"storage/native/{name}.c" in members, f"the sdist lacks the source of {name}"
    print(f"{wheel.name}: {len(content)} files; {sdist.name}: {len(sources)} modules")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
