"""A program that uses all that the package offers. `test_what_dependencies_do.py` traces it.

Run as `python all_we_offer.py FOLDER`; everything that it creates lies below FOLDER.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import chroma
from tests.chroma.migration.handmade import Made, vectors, write
from tests.support.server import answers, free_port

TEXTS = ["Horses graze.", "Ships sail the sea.", "The pan is hot.", "Rain falls on the roof."]


def use(client: Any, folder: Path) -> None:
    made = client.get_or_create_collection("texts")
    made.add(ids=list("abcd"), documents=TEXTS, metadatas=[{"n": number} for number in range(4)])
    assert made.query(query_texts=["animals"], n_results=1)["ids"] == [["a"]]
    assert made.get(where={"n": {"$gt": 1}}, where_document={"$contains": "a"})["ids"] == ["c", "d"]
    made.update(ids=["a"], metadatas=[{"n": 9}])
    made.delete(ids=["b"])
    assert client.sql("SELECT avg(n) AS mean FROM texts").num_rows == 1
    assert made.to_pandas().shape[0] == made.to_arrow().num_rows == 3
    made.to_polars()
    assert made.describe()._repr_html_() and made._repr_html_()
    made.plot().to_json()
    for name in ("records.parquet", "records.arrow", "records.jsonl"):
        made.export(folder / name, overwrite=True)
    copy = client.get_or_create_collection("loaded")
    copy.load(folder / "records.parquet")
    assert copy.count() == 3


def main(folder: Path) -> None:
    with chroma.EphemeralClient() as client:
        use(client, folder)
    with chroma.PersistentClient(folder / "db") as client:
        use(client, folder)
        frame = pd.DataFrame(
            {"id": [str(n) for n in range(5000)], "embedding": [*np.eye(16)[np.arange(5000) % 16]]}
        )
        client.create_collection("frame", embedding_function=None).add(frame)
        client.compact()
        client.backup(folder / "backup")
    chroma.restore(folder / "backup", folder / "restored")
    write(folder / "old", [Made("things", vectors(20))]).close()
    chroma.migrate(folder / "old", folder / "migrated")
    port = free_port()
    command = [sys.executable, "-m", "chroma", "run", "--path", str(folder / "served"), "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not answers(f"http://127.0.0.1:{port}"):
        assert server.poll() is None
        time.sleep(0.05)
    with chroma.HttpClient(host="127.0.0.1", port=port) as client:
        use(client, folder)
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
    subprocess.run(
        [sys.executable, "-m", "chroma", "query", str(folder / "db"), "texts", "--text", "animals"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
