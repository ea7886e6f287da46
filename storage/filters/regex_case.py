"""Find the characters that RE2 takes for the same if the case does not matter.

Owns: the answer for characters that are not ASCII. RE2 itself is asked, because Python's tables may be of
another version of Unicode.
"""

from __future__ import annotations

from functools import cache, lru_cache

from ..arrow.arrays import text_array, to_list
from ..arrow.lazy_pyarrow import pa

# The categories of Unicode that have characters in two cases. Beyond these planes there are none.
_CASED = r"^[A-Za-z\p{Lu}\p{Ll}\p{Lt}\p{Nl}\p{So}\p{Mn}]$"
_END, _SURROGATES = 0x20000, range(0xD800, 0xE000)


@lru_cache(4096)
def like(point: int) -> tuple[int, ...]:
    """Return the code points of the characters that are like this one, and its own.

    The first call takes 30 ms, others 0.5 ms.
    """
    from pyarrow import compute  # takes 20 ms to import

    texts = _cased()
    found = to_list(texts.filter(compute.match_substring_regex(texts, f"(?i)^{chr(point)}$")))
    return point, *(ord(text) for text in found if text)


@cache
def _cased() -> pa.Array:
    """Return the characters that may have another case."""
    from pyarrow import compute  # takes 20 ms to import

    texts = text_array([chr(point) for point in range(_END) if point not in _SURROGATES])
    return texts.filter(compute.match_substring_regex(texts, _CASED))
