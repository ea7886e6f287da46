"""What the processes of test_kill.py run:
python -m tests.chroma.pipelines.worker FOLDER-OR-URL SOURCE OPTIONS

Says "begun" for each part before it is written, and the report at the end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import chroma
from chroma.pipelines.load import Load


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


def main(place: str, source: str, options: str) -> None:
    begin = Load.begin

    def told(self: Load, *arguments: Any) -> Any:
        done = begin(self, *arguments)
        say("begun")
        return done

    Load.begin = told  # type: ignore[method-assign]
    web = place.startswith("http")
    host, _, port = place.removeprefix("http://").partition(":")
    with chroma.HttpClient(host, int(port)) if web else chroma.PersistentClient(place) as client:
        things = client.get_or_create_collection("things", embedding_function=None)
        say(asdict(things.load(source, **json.loads(options))))


if __name__ == "__main__":
    main(*sys.argv[1:])
