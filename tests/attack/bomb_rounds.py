"""Small files that become large: reading them takes bounded memory, or is an error of the package.

Argument: the folder with the files, which are read in order of their names.
"""

from __future__ import annotations

from pathlib import Path

from chroma.errors import InvalidArgumentError
from chroma.loading import files, formats

from .rounds import Rounds


def main() -> None:
    rounds = Rounds()
    paths = sorted(Path(rounds.arguments[0]).iterdir())
    for number in rounds:
        try:
            for file in files.find(paths[number]):
                for _ in formats.read(file, 0, formats.Cuts(10_000, 0), {}):
                    pass
        except InvalidArgumentError as error:
            if "malloc" in str(error) or "realloc" in str(error):
                rounds.wrong(number, f"{paths[number].name}: {error.message()}")
        except BaseException as error:
            rounds.wrong(number, f"{paths[number].name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
