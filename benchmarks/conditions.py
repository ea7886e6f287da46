"""What a search is limited to: one value that every system writes in its own language.

The share of a filter on `u` is known, since `u` is uniform. `repeated` gives one condition for all queries;
`fresh` gives another one for each query, so that nothing remembered from an earlier query helps.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RANGE = 1_000_000  # as in data.py, which a process that only reads does not import
SHARES = {"50 %": 500_000, "10 %": 100_000, "1 %": 10_000, "0.1 %": 1_000}
CORRELATED = "correlated"
STRIDE = 7919  # a prime that divides none of RANGE - share: windows come again after RANGE - share queries

_COMPARE = {"=": operator.eq, "<": operator.lt, ">=": operator.ge}
_WHERE = {"=": "$eq", "<": "$lt", ">=": "$gte"}


@dataclass(frozen=True)
class Condition:
    """Terms (key, operator, value) that must all hold, and text that the document must contain."""

    terms: tuple[tuple[str, str, Any], ...] = ()
    contains: str | None = None

    def where(self) -> dict[str, Any] | None:
        """For Chroma, ours and the other."""
        parts = [{key: {_WHERE[sign]: value}} for key, sign, value in self.terms]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else {"$and": parts}

    def where_document(self) -> dict[str, Any] | None:
        return None if self.contains is None else {"$contains": self.contains}

    def sql(self, contains: str = "{column} like '%{text}%'", column: str = "text") -> str:
        parts = [f"{key} {sign} {_literal(value)}" for key, sign, value in self.terms]
        if self.contains is not None:
            parts.append(contains.format(column=column, text=self.contains.replace("'", "''")))
        return " and ".join(parts)

    def mask(self, columns: Mapping[str, Any]) -> Any:
        """Which rows satisfy it, as a numpy array of bool; `columns` are arrays, documents are in `text`."""
        import numpy as np

        kept = np.ones(len(next(iter(columns.values()))), dtype=bool)
        for key, sign, value in self.terms:
            kept &= _COMPARE[sign](columns[key], value)
        if self.contains is not None:
            text = self.contains
            kept &= np.fromiter((text in document for document in columns["text"]), bool, len(kept))
        return kept


def repeated(name: str, correlated: str | None) -> Condition:
    if name == CORRELATED:
        return Condition((("lexname", "=", correlated),))
    return Condition((("u", "<", SHARES[name]),))


def fresh(name: str, correlated: str | None, number: int) -> Condition:
    """The condition of query `number`: a window of the same share, or a term more that changes nothing."""
    if name == CORRELATED:
        return Condition((("lexname", "=", correlated), ("u", ">=", -1 - number)))
    share = SHARES[name]
    low = (number + 1) * STRIDE % (RANGE - share)
    return Condition((("u", ">=", low), ("u", "<", low + share)))


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
