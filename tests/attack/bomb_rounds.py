"""Small files that become large: reading them takes bounded memory, or is an error of the package.

Argument: the folder with the files, which are read in order of their names.
"""

from __future__ import annotations

from pathlib import Path

from chroma.errors import InvalidArgumentError
from chroma.pipelines import file_discovery, file_readers
from chroma.pipelines.csv_columns import Columns

from .rounds import Rounds


def main() -> None:
    rounds = Rounds()
    paths = sorted(Path(rounds.arguments[0]).iterdir())
    for number in rounds:
        try:
            for file in file_discovery.find(paths[number]):
                reading = file_readers.Reading({})
                if file.format == "csv":
                    Columns().look([file], reading, None, [])
                for _ in file_readers.read(file, 0, file_readers.Cuts(10_000, 0), reading):
                    pass
        except InvalidArgumentError as error:
            if "malloc" in str(error) or "realloc" in str(error):
                rounds.wrong(number, f"{paths[number].name}: {error.message()}")
        except BaseException as error:
            rounds.wrong(number, f"{paths[number].name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
