"""What a filter costs that is new in every call: from arrays and by DuckDB, without a search around it.

Run as: python benchmarks/new_filters.py [ROWS ...]      # 70,000 and 1,000,000
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from chroma.storage.filters.document_scan import Documents, documents_with
from chroma.storage.filters.duckdb_tables import FilterDatabase, FilterTable
from chroma.storage.filters.metadata_filter import FilterArrays
from chroma.storage.filters.parser import Node, parse_where
from chroma.storage.schema.metadata_columns import MetadataColumns

CHOICE = random.Random(1)
SPAN = 10**6
CATEGORIES = 45


def columns(rows: int) -> MetadataColumns:
    numbers = np.random.default_rng(0)
    few = pa.array([f"category {n}" for n in range(CATEGORIES)])
    return MetadataColumns(
        rows,
        {
            ("u", "int"): pa.array(numbers.integers(0, SPAN, rows)),
            ("f", "float"): pa.array(numbers.random(rows)),
            ("few", "str"): few.take(pa.array(numbers.integers(0, CATEGORIES, rows))),
            ("many", "str"): pa.array([f"name {n}" for n in numbers.integers(0, rows, rows)]),
        },
    )


def window(share: float) -> dict[str, Any]:
    low = CHOICE.randrange(int(SPAN * (1 - share)))
    return {"$and": [{"u": {"$gte": low}}, {"u": {"$lt": low + int(share * SPAN)}}]}


def category() -> str:
    return f"category {CHOICE.randrange(CATEGORIES)}"


def filters(rows: int) -> dict[str, Callable[[], dict[str, Any]]]:
    made: dict[str, Callable[[], dict[str, Any]]] = {
        **{f"window {share:.1%}": lambda share=share: window(share) for share in (0.001, 0.01, 0.1, 0.5)},
        "text of 45": lambda: {"few": category()},
        "not a text of 45": lambda: {"few": {"$ne": category()}},
        "text of many": lambda: {"many": f"name {CHOICE.randrange(rows)}"},
        "text and window 10%": lambda: {"$and": [{"few": category()}, window(0.1)]},
    }
    for count in (100, 1000, 10_000):
        made[f"{count} numbers"] = lambda count=count: {"u": {"$in": CHOICE.sample(range(SPAN), count)}}
        made[f"{count} texts"] = lambda count=count: {
            "many": {"$in": [f"name {n}" for n in CHOICE.sample(range(rows), count)]}
        }
    for count in (16, 64, 200):
        made[f"{count} windows 1%"] = lambda count=count: {"$or": [window(0.01) for _ in range(count)]}
        made[f"{count} wide ranges"] = lambda count=count: {
            "$or": [{"f": {"$lt": CHOICE.random()}} for _ in range(count)]
        }
        made[f"{count} text and window"] = lambda count=count: {
            "$or": [{"$and": [{"few": category()}, window(0.1)]} for _ in range(count)]
        }
    return made


def microseconds(answer: Callable[[Node], object], make: Callable[[], dict[str, Any]], times: int) -> float:
    taken = []
    for _ in range(times):
        node = parse_where(make())
        start = time.perf_counter()
        answer(node)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


def unexpected(node: Node) -> Any:
    raise AssertionError(node)


def main() -> None:
    for rows in [int(text) for text in sys.argv[1:]] or [70_000, 1_000_000]:
        arrays, table = (
            FilterArrays(rows, lambda rows=rows: columns(rows)),
            FilterTable(FilterDatabase(2 << 30, 2), columns(rows)),
        )

        def from_arrays(node: Node, arrays: FilterArrays = arrays) -> int:
            return arrays.answer(node, unexpected).count

        print(f"{rows:,} rows: median µs from arrays, by DuckDB")
        for name, make in filters(rows).items():
            ours = microseconds(from_arrays, make, 6 if name[0].isdigit() else 40)
            print(f"  {name:22} {ours:12,.0f} {microseconds(table.mask, make, 5):12,.0f}", flush=True)
        words = [f"word{n}" for n in range(5000)]
        texts = Documents.of_array(pa.array([" ".join(CHOICE.choices(words, k=8)) for _ in range(rows)]))
        taken = []
        for word in CHOICE.sample(words, 20):
            start = time.perf_counter()
            documents_with(texts, word)
            taken.append(time.perf_counter() - start)
        print(f"  documents with a word  {statistics.median(taken) * 1e6:12,.0f}")


if __name__ == "__main__":
    main()
