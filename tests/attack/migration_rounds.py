"""Folders of Chroma with changed bytes: the database, the index files, the pickles among them.

Argument: the folder. Each round changes one file, and puts it back.
"""

from __future__ import annotations

import random
from pathlib import Path

from chroma.errors import ChromaError
from chroma.migration.chromadb_folder import FolderSource

from .arrow_samples import mutated
from .rounds import Rounds


def read(folder: Path) -> None:
    """All that a migration reads."""
    source = FolderSource(str(folder))
    try:
        source.tenants()
        source.databases()
        for collection in source.collections():
            for _ in source.read(collection, 0, source.count(collection)):
                pass
    finally:
        source.close()


def main() -> None:
    rounds = Rounds()
    folder = Path(rounds.arguments[0])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number in rounds:
        chance = random.Random(f"migration {number}")
        file = chance.choice(files)
        right = file.read_bytes()
        file.write_bytes(mutated(right, chance))
        try:
            read(folder)
        except ChromaError:
            pass
        except BaseException as error:
            rounds.wrong(number, f"{file.name}: {type(error).__name__}: {error!s:.300}")
        finally:
            file.write_bytes(right)


if __name__ == "__main__":
    main()
