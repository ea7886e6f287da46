"""What the processes of test_interrupt.py run:
python -m tests.chroma.pipelines.interrupted FOLDER SOURCE SECONDS

Embeds each text in so many seconds. Says "begun" for each part before it is written, and the number of rows
at the end.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import chroma
from chroma.pipelines.load import Load

from ...support.tiny_embedding import HashEmbedding


class Slow(HashEmbedding):
    seconds = 0.0

    def __call__(self, input: Any) -> Any:
        time.sleep(self.seconds * len(input))
        return super().__call__(input)


def main(place: str, source: str, seconds: str) -> None:
    begin, Slow.seconds = Load.begin, float(seconds)

    def told(self: Load, *arguments: Any) -> Any:
        done = begin(self, *arguments)
        print("begun", flush=True)
        return done

    Load.begin = told  # type: ignore[method-assign]
    with chroma.PersistentClient(place) as client:
        things = client.get_or_create_collection("things", embedding_function=Slow())
        print(things.load(source).rows, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
