"""How many texts are embedded at a time, and how many rows make a part, by the time that embedding takes."""

from __future__ import annotations

_CALL = 0.5  # seconds that a call of the function should take: an interrupt waits for it
_PART = 3.0  # seconds of embedding in a part: as much is done again after an interrupt
_FIRST_PART = 8
_MOST_TEXTS = 1000
_GROWTH = 4


class Pace:
    """Learns from each call of an embedding function.

    Even with one text, a call of a remote function takes some time. Calls with few texts would slow the load
    down. So a call may take twice that time. The first call has one text.
    """

    def __init__(self) -> None:
        self.texts = 1
        self.rows = _FIRST_PART
        self._least: tuple[int, float] | None = None  # the call with the fewest texts, and its seconds

    def took(self, texts: int, seconds: float) -> None:
        """Note the number of texts of a call, and the time that it took."""
        if (
            texts >= self.texts // 2 or seconds > _CALL
        ):  # the last call of a part may be short, and tells little
            self.rows = max(1, min(_MOST_TEXTS * 10, int(texts / max(seconds, 1e-6) * _PART)))
            self.texts = max(1, min(self._fitting(texts, seconds), texts * _GROWTH, _MOST_TEXTS))
        if self._least is None or texts <= self._least[0] or seconds <= self._least[1]:
            self._least = texts, seconds

    def _fitting(self, texts: int, seconds: float) -> int:
        """Return the number of texts for the next call, by the time for any call and the time for a text."""
        if self._least is None or texts <= self._least[0] or seconds <= self._least[1]:
            return texts * 2  # tells nothing yet
        fewest, least = self._least
        each = (seconds - least) / (texts - fewest)
        fixed = max(0.0, least - each * fewest)
        return int((max(_CALL, 2 * fixed) - fixed) / each)
