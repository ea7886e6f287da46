"""A million records into a server and out again as Arrow streams: rates, and the memory of both sides.

    python benchmarks/streaming.py [--rows 1000000] [--dimension 384] [--batch 5000]

The client is pyarrow and httpx alone, as in docs/arrow.md, in a process of its own. Prints the highest
anonymous memory (what is a process's own) and the highest resident memory, which counts the pages of
mapped files as well, though the system takes those back when it needs them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import serving

ARROW = "application/vnd.apache.arrow.stream"
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class Peaks:
    """The highest memory of some processes while a block runs, read twenty times a second."""

    def __init__(self, **pids: int) -> None:
        self.anonymous = dict.fromkeys(pids, 0.0)
        self.resident = dict.fromkeys(pids, 0.0)
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            for name, pid in self._pids.items():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
                for peaks, field in ((self.anonymous, "RssAnon"), (self.resident, "VmRSS")):
                    peaks[name] = max(peaks[name], int(fields.get(field, "0 kB").split()[0]) / 1024)


def load(url: str, path: str, rows: int, dimension: int, batch: int) -> dict[str, Any]:
    import httpx
    import pyarrow as pa

    random = np.random.default_rng(0)

    def stream() -> Iterator[bytes]:
        for start in range(0, rows, batch):
            count = min(batch, rows - start)
            flat = pa.array(random.standard_normal(count * dimension, dtype=np.float32))
            part = pa.RecordBatch.from_pydict(
                {
                    "id": [f"row-{number:09d}" for number in range(start, start + count)],
                    "embedding": pa.FixedSizeListArray.from_arrays(flat, dimension),
                    "document": [f"the text of row {number}" for number in range(start, start + count)],
                    "number": pa.array(np.arange(start, start + count)),
                }
            )
            if start == 0:
                yield part.schema.serialize().to_pybytes()
            yield part.serialize().to_pybytes()
        yield b"\xff\xff\xff\xff\0\0\0\0"

    answer = httpx.post(f"{url}{path}/add", content=stream(), headers={"Content-Type": ARROW}, timeout=600)
    done: dict[str, Any] = answer.raise_for_status().json()
    assert done["added"] == rows, done
    return done


class Body:
    """The body of an answer as a file that pyarrow reads while it arrives."""

    closed = False

    def __init__(self, response: Any) -> None:
        self._parts, self._left = response.iter_raw(1 << 20), b""

    def read(self, size: int) -> bytes:
        parts, have = [self._left], len(self._left)
        while have < size and (part := next(self._parts, b"")):
            parts.append(part)
            have += len(part)
        whole = b"".join(parts)
        self._left = whole[size:]
        return whole[:size]


def export(url: str, path: str, rows: int) -> None:
    import httpx
    import pyarrow as pa

    body = {"include": ["embeddings", "documents", "metadatas"]}
    with httpx.stream("POST", f"{url}{path}/chroma-arrow/export", json=body, timeout=600) as response:
        count = sum(batch.num_rows for batch in pa.ipc.open_stream(Body(response.raise_for_status())))
    assert count == rows, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--batch", type=int, default=5000)
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        kind, url, path = arguments.part
        if kind == "load":
            load(url, path, arguments.rows, arguments.dimension, arguments.batch)
        else:
            export(url, path, arguments.rows)
        return
    with tempfile.TemporaryDirectory(prefix="streaming-") as scratch:
        with serving.serving(sys.executable, True, f"{scratch}/db") as (url, server):
            import httpx

            made = httpx.post(url + COLLECTIONS, json={"name": "bench"}).json()
            for kind in ("load", "export"):
                began = time.perf_counter()
                client = subprocess.Popen(
                    [sys.executable, __file__, "--rows", str(arguments.rows), "--batch", str(arguments.batch),
                     "--dimension", str(arguments.dimension), "--part", kind, url,
                     f"{COLLECTIONS}/{made['id']}"]
                )  # fmt: skip
                with Peaks(client=client.pid, server=server.pid) as peaks:
                    if client.wait():
                        raise SystemExit(f"{kind} failed")
                figures = {
                    "rows/s": round(arguments.rows / (time.perf_counter() - began)),
                    "anonymous MB": {name: round(value) for name, value in peaks.anonymous.items()},
                    "resident MB": {name: round(value) for name, value in peaks.resident.items()},
                }
                print(kind, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
