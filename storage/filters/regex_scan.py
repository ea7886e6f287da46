"""Find the texts that a regular expression matches.

Owns: who tries a pattern, and on which texts. The native scan (`_text.c`) tries patterns whose syntax is the
usual one (`regex_syntax`), as automata. RE2 tries all others, and all of them where no compiler was at hand.
Both find the same. A pattern is tried on the texts that have the literals it requires, if these are rare.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrow.arrays import number_array, numbers, valid
from ..arrow.lazy_pyarrow import pa
from ..index.ngrams import Ngrams
from ..interface.errors import InvalidArgument
from ..native import kernel
from ..native.threads import cores, in_threads
from ..schema.record_columns import Ints, Mask
from . import row_set
from .document_scan import Documents, documents_with
from .row_set import RowSet

if TYPE_CHECKING:
    from .regex_literals import Required
    from .regex_program import Program

_FEW_CANDIDATES = 0.4  # beyond this share, a pattern is tried on all texts
_SAMPLE = 1000  # texts that show whether a literal is too common to be looked for in all
_PART_BYTES = 1 << 19  # texts whose scan tells how long that of all will take: 0.05 to 0.5 ms
# A scan that takes longer gets more threads. One takes 0.1 ms to start, and waits for its turn if other
# programs use the cores.
_THREAD_SECONDS = 0.0025
FindNgrams = Callable[[], "Ngrams | None"]


class _Plan(NamedTuple):
    """How a pattern is looked for.

    literal   the text that is looked for instead; None if there is no such text
    required  what a text must contain
    program   None: RE2 tries the pattern
    """

    literal: str | None
    required: Required
    program: Program | None


@lru_cache(64)  # a filter asks each segment
def _plan(pattern: str) -> _Plan:
    from . import regex_literals, regex_program, regex_syntax  # take 4 ms to import

    if regex_syntax.is_literal(pattern):
        return _Plan(pattern, pattern, None)
    tree = regex_syntax.parse(pattern)
    if tree is None:
        return _Plan(None, regex_literals.NOTHING, None)
    tree = regex_syntax.searched(tree)
    return _Plan(regex_literals.literal(tree), regex_literals.required(tree), regex_program.compiled(tree))


def matching(
    texts: Documents, pattern: str, array: Callable[[], pa.Array], ngrams: FindNgrams = lambda: None
) -> RowSet:
    """Return the texts in which a valid pattern matches somewhere.

    array   returns the same texts
    ngrams  returns the index over them, if there is one
    """
    plan = _plan(pattern)
    if plan.literal is not None:
        return documents_with(texts, plan.literal, ngrams())
    candidates = _having(texts, plan.required, ngrams)
    rows = None
    if candidates is not None and candidates.count <= _FEW_CANDIDATES * texts.rows:
        rows = candidates.rows
        if not len(rows):
            return candidates
    return _tried(texts, plan.program, pattern, array, rows)


def _tried(
    texts: Documents, program: Program | None, pattern: str, array: Callable[[], pa.Array], rows: Ints | None
) -> RowSet:
    """Try a pattern on the texts in some rows, or on all."""
    found = None if program is None or kernel.text is None else _run(texts, program, rows)
    if found is None:
        matches = regex_matches(array() if rows is None else array().take(number_array(rows)), pattern)
        found = numbers(matches) & valid(matches)
    elif texts.there is not None:
        found &= texts.there if rows is None else texts.there[rows]
    if rows is None:
        return RowSet(texts.rows, mask=found)
    return RowSet(texts.rows, rows=rows[found])


def _run(texts: Documents, program: Program, rows: Ints | None) -> Mask | None:
    """Run a program on texts. Returns None if it needs too many states."""
    count = texts.rows if rows is None else len(rows)
    found = np.zeros(count, np.bool_)
    unable = []

    def run(part: slice) -> None:
        assert kernel.text is not None
        done = kernel.text.matches(
            texts.offsets, texts.data, program.code, program.start, part.start, part.stop, rows, found,
            program.backwards,
        )  # fmt: skip
        if not done:
            unable.append(part)

    first = _first_part(texts, count)
    begin = time.thread_time()
    run(slice(0, first))
    rest = (time.thread_time() - begin) / max(first, 1) * (count - first)
    if unable:
        return None
    parts = cores() if rest > _THREAD_SECONDS else 1
    in_threads(lambda part: run(slice(first + part.start, first + part.stop)), count - first, parts)
    return None if unable else found


def _first_part(texts: Documents, count: int) -> int:
    """Return how many of `count` texts have _PART_BYTES; all, if they have little more."""
    each = len(texts.data) / max(texts.rows, 1)
    return count if count * each < 2 * _PART_BYTES else max(1, int(_PART_BYTES / max(each, 1)))


def _having(texts: Documents, required: Required, ngrams: FindNgrams) -> RowSet | None:
    """Return the texts that have the required literals; None if only common ones are required, or none."""
    if isinstance(required, str):
        sample = texts.first(_SAMPLE)
        if documents_with(sample, required).count > _FEW_CANDIDATES * sample.rows:
            return None
        return documents_with(texts, required, ngrams())
    parts = [_having(texts, part, ngrams) for part in required.parts]
    known = [part for part in parts if part is not None]
    if not known:
        return None
    if not required.each:
        return row_set.union(texts.rows, known) if len(known) == len(parts) else None
    return row_set.intersection(known)


def regex_matches(texts: pa.Array, pattern: str) -> pa.Array:
    """Return for each text whether RE2 finds a match. Raises InvalidArgument for an invalid pattern, unless
    there are no texts."""
    from pyarrow import compute  # takes 20 ms to import

    try:
        return compute.match_substring_regex(texts, pattern)
    except pa.ArrowInvalid as error:
        raise InvalidArgument(f"Regex syntax: the $regex pattern {pattern} cannot be used: {error}") from None
