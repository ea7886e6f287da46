"""What a filter on texts costs that is new in every call, by the kind of the text.

Run as: python benchmarks/text_filters.py FILE.parquet [ROWS ...]     # 70,000 and 1,000,000 by default

Beyond the rows of the file, its texts are repeated with a number behind each. No two calls have the same
text, so the answers that the engine remembers do not help.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import chroma

BATCH, TIMES = 10_000, 40
Make = Callable[[], tuple[str, str]]  # an operator and its operand


class Pieces:
    """Words and parts of words by the share of the documents that have one, each used once."""

    def __init__(self, texts: list[str], dice: random.Random) -> None:
        sample = dice.sample(texts, min(10_000, len(texts)))
        self._often = Counter(piece for text in sample for piece in set(_pieces(text.lower())))
        self._size, self._dice = len(sample), dice

    def between(self, least: float, most: float) -> Iterator[str]:
        found = [piece for piece, count in self._often.items() if least <= count / self._size <= most]
        self._dice.shuffle(found)
        return iter(found)


def _pieces(text: str) -> Iterator[str]:
    for word in re.findall(r"[a-z]{3,}", text):
        for length in range(3, len(word) + 1):
            for at in range(len(word) - length + 1):
                yield word[at : at + length]


def kinds(texts: list[str], dice: random.Random) -> dict[str, Make]:
    pieces = Pieces(texts, dice)
    rare, common = pieces.between(0, 2e-4), pieces.between(5e-3, 1)
    letters = "abcdefghiklmnoprstuwy"

    def some(count: int) -> str:
        return "".join(sorted(dice.sample(letters, count)))

    return {
        "$contains, rare": lambda: ("$contains", next(rare)),
        "$contains, common": lambda: ("$contains", dice.choice(" etaoinsr") + dice.choice(letters)),
        "$regex (?i), rare": lambda: ("$regex", f"(?i){next(rare).title()}"),
        "$regex (?i), common": lambda: ("$regex", f"(?i){next(common).title()}"),
        "$ilike, rare": lambda: ("$ilike", f"%{next(rare).upper()}%"),
        "$ilike, common": lambda: ("$ilike", f"%{next(common).upper()}%"),
        "$like a%b": lambda: ("$like", f"%{next(common)}%{dice.choice(letters)}%"),
        "$regex a|b, rare": lambda: ("$regex", f"{next(rare)}|{next(rare)}"),
        "$regex \\bword, common": lambda: ("$regex", rf"\b{next(common)}"),
        "$regex, beginning": lambda: ("$regex", f"^{next(common)}"),
        "$regex, short": lambda: ("$regex", f"{dice.choice(letters)}{dice.choice(letters)}[{some(4)}]"),
        "$regex, classes": lambda: ("$regex", f"[{some(5)}][{some(5)}][{some(3)}]{{2}}"),
        "$regex, nothing rare": lambda: ("$regex", rf"\b\w{{{dice.randint(6, 9)}}}\W[{some(6)}]\w{{4,}}\b"),
        "$regex, words at the end": lambda: (
            "$regex",
            rf"\b\w{{{dice.randint(3, 9)}}}\W[{some(6)}]\w{{4,}}$",
        ),
        "$regex, letters at the end": lambda: ("$regex", f"[{some(3)}].*[{some(4)}].[{some(4)}]$"),
    }


def measured(call: Callable[[dict[str, str]], Any], make: Make, times: int) -> str:
    """The median of the processor time, which other programs change less than the time that passes."""
    taken = []
    for _ in range(times):
        operator, operand = make()
        start = time.process_time()
        call({operator: operand})
        taken.append(time.process_time() - start)
    return f"{1000 * statistics.median(taken):8.2f}"


def load(folder: str, texts: list[str], lemmas: list[str], vectors: Any, rows: int) -> Any:
    collection = chroma.PersistentClient(folder).create_collection("texts")
    for start in range(0, rows, BATCH):
        at = range(start, min(start + BATCH, rows))
        plain = rows <= len(texts)
        collection.add(
            ids=[f"{row}" for row in at],
            embeddings=vectors[[row % len(vectors) for row in at]],
            documents=[texts[row] if plain else f"{texts[row % len(texts)]} {row}" for row in at],
            metadatas=[{"lemma": lemmas[row % len(lemmas)]} for row in at],
        )
    collection.compact()
    return collection


def report(of: Any, asked: Any, makes: dict[str, Make], of_lemmas: dict[str, Make], times: int) -> None:
    print(f"{of.count():,} rows, median ms of processor time: count, get 10, query; count by metadata")
    for name, make in makes.items():
        taken = [
            measured(lambda where: of.count(where_document=where), make, times),
            measured(lambda where: of.get(where_document=where, limit=10), make, times),
            measured(lambda where: of.query(query_embeddings=asked, where_document=where), make, times),
        ]
        if name[:9] != "$contains":  # which is about lists there
            taken.append(measured(lambda where: of.count(where={"lemma": where}), of_lemmas[name], times))
        print(f"  {name:28} {' '.join(taken)}", flush=True)


def main() -> None:
    path, *sizes = sys.argv[1:]
    table = pq.read_table(path, columns=["text", "lemma", "embedding"])
    texts, lemmas = table["text"].to_pylist(), table["lemma"].to_pylist()
    column = table["embedding"].combine_chunks()
    whole = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1).astype(np.float32)
    for rows in map(int, sizes or ["70000", "1000000"]):
        large = rows > len(texts)
        vectors = np.ascontiguousarray(whole[:, :16]) if large else whole
        dice = random.Random(rows)
        with tempfile.TemporaryDirectory() as folder:
            collection = load(folder, texts, lemmas, vectors, rows)
            asked = vectors[dice.randrange(len(vectors))][None, :]
            makes = kinds(texts, dice), kinds(lemmas, dice)
            report(collection, asked, *makes, TIMES // 5 if large else TIMES)


if __name__ == "__main__":
    main()
