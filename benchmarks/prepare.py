"""What workers ask and what the right answers are: written once per data set, before anything is timed.

    python benchmarks/prepare.py SOURCE FOLDER

FOLDER gets vectors.npy and rows.parquet for workers that write, queries.npy and plan.json for all. A worker
that only reads never holds the stored vectors, so that its memory is the system's.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import conditions
import data
import numpy as np
import pyarrow.parquet as pq
from conditions import Condition

QUERIES = 500
CHECKED = 100  # queries per filter whose recall is measured
WORDS = 600  # of a frequency, at the most
SHARES = {"rare": (0.0005, 0.002), "common": (0.05, 0.20)}  # of the documents that contain the text
SEEN = 20_000  # documents that are read to pick the words
GETS = 50  # lists of ids for `get`
VERSION = 1  # of the files; another one makes them anew


def prepare(source: str, folder: Path) -> None:
    if (folder / "plan.json").exists():
        if json.loads((folder / "plan.json").read_text())["version"] == VERSION:
            return
    folder.mkdir(parents=True, exist_ok=True)
    table, vectors, asked = data.read(source, QUERIES)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "queries.npy", asked)
    pq.write_table(table, folder / "rows.parquet")
    (folder / "first.json").write_text(json.dumps(asked[0].tolist()))
    (folder / "plan.json").write_text(json.dumps(plan(table, vectors, asked)))


def stored(folder: Path) -> data.Rows:
    return data.rows_of(pq.read_table(folder / "rows.parquet"), np.load(folder / "vectors.npy"))


def plan(table: Any, vectors: Any, asked: Any) -> dict[str, Any]:
    """Conditions, words, ids to get and delete, and the exact answers, as JSON."""
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in ("id", "text", "u")}
    if "lexname" in table.column_names:
        columns["lexname"] = table["lexname"].to_numpy(zero_copy_only=False)
    ids, rng = columns["id"], np.random.default_rng(3)

    def answers(at: Any, queries: Any) -> list[list[str]]:
        return [ids[at[line]].tolist() for line in data.nearest(vectors[at], queries)]

    correlated = correlated_value(columns.get("lexname"))
    names = [*conditions.SHARES, *([conditions.CORRELATED] if correlated else [])]
    checked = asked[:CHECKED]
    truth: dict[str, Any] = {"all": answers(np.arange(len(ids)), asked)}
    matching = {}
    for name in names:
        hit = np.flatnonzero(conditions.repeated(name, correlated).mask(columns))
        matching[name] = len(hit)
        truth[f"{name} repeated"] = answers(hit, checked)
        windows = [conditions.fresh(name, correlated, number).mask(columns) for number in range(len(checked))]
        truth[f"{name} new"] = [
            answers(np.flatnonzero(window), checked[number : number + 1])[0]
            for number, window in enumerate(windows)
        ]
    words = pick_words(columns["text"].tolist())
    for name, found in words.items():
        hits = [np.flatnonzero(Condition(contains=word).mask(columns)) for word in found[: len(checked)]]
        if hits:
            truth[f"{name} word repeated"] = answers(hits[0], checked)
            truth[f"{name} word new"] = [
                answers(hit, checked[number : number + 1])[0] for number, hit in enumerate(hits)
            ]
    order = rng.permutation(len(ids))
    updated, deleted = min(5_000, len(ids) // 10), min(10_000, len(ids) // 5)
    left = np.sort(np.concatenate([order[:updated], order[updated + deleted :]]))
    truth["after deleting"] = answers(left, checked)
    return {
        "version": VERSION,
        "rows": len(ids),
        "metadata": table.slice(0, 1).drop_columns(["id", "text"]).to_pylist()[0],
        "dimension": vectors.shape[1],
        "correlated": correlated,
        "filters": names,
        "matching": matching,
        "words": words,
        "truth": truth,
        "get": [rng.choice(ids, min(100, len(ids)), replace=False).tolist() for _ in range(GETS)],
        "update": ids[order[:updated]].tolist(),
        "delete": ids[order[updated : updated + deleted]].tolist(),
    }


def correlated_value(names: Any) -> str | None:
    """`noun.plant` where there is such a lexname, or the value whose share is nearest to 7 %."""
    if names is None:
        return None
    counts = Counter(names.tolist())
    if "noun.plant" in counts:
        return "noun.plant"
    return min(counts, key=lambda name: (abs(counts[name] / len(names) - 0.07), name))


def pick_words(documents: list[str]) -> dict[str, list[str]]:
    """Texts that a known share of the documents contain: words, and where these are few, parts of words.

    The first of each is the nearest to the middle of the range. Letters only, in lower case, so that they
    mean the same in every system's notation.
    """
    sample = documents[:: max(1, len(documents) // SEEN)]
    candidates: Counter[str] = Counter()
    for document in sample:
        tokens = {
            token for token in document.split() if len(token) >= 4 and token.isascii() and token.islower()
        }
        tokens = {token for token in tokens if token.isalpha()}
        candidates.update(
            tokens | {token[i : i + n] for token in tokens for n in (2, 3) for i in range(len(token) - n)}
        )
    rng, found = np.random.default_rng(5), {}
    for name, (low, high) in SHARES.items():
        most, least = high * len(sample), max(low * len(sample), 1)
        likely = [text for text, count in sorted(candidates.items()) if least / 2 <= count <= most]
        likely.sort(key=lambda text: -len(text))  # whole words before parts
        likely = likely[: 2 * WORDS]
        shares = {text: sum(text in document for document in sample) / len(sample) for text in likely}
        fitting = [text for text in likely if low <= shares[text] <= high][:WORDS]
        rng.shuffle(fitting)
        middle = (low * high) ** 0.5
        first = sorted(fitting, key=lambda text: abs(shares[text] - middle))[:1]
        found[name] = first + [text for text in fitting if text not in first]
    return found


if __name__ == "__main__":
    prepare(sys.argv[1], Path(sys.argv[2]))
