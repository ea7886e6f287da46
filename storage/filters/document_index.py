"""The index over the documents of a segment, which filters on documents use.

Owns: which segments get one, and its kind, key and settings. `index/ngrams.py` has its content.
"""

from __future__ import annotations

from collections.abc import Callable

from ..index import ngrams
from ..index.ngrams import Ngrams
from ..index.segment_index import Content
from ..segments.segment import RECORDS, Segment
from .document_scan import Documents

# Smaller segments are scanned: scanning 32 MB takes 2 to 6 ms.
LEAST_BYTES = 32 << 20


class DocumentIndex:
    """Builds and opens the index over the n-grams of documents.

    scratch  returns writable memory of a number of bytes, for the build
    """

    kind, key, settings = "ngrams", "#document", ngrams.SETTINGS

    def __init__(self, scratch: Callable[[int], memoryview]) -> None:
        self._scratch = scratch

    def applies(self, segment: Segment) -> bool:
        """Whether a segment may have enough documents for the index to pay.

        The size of the documents alone would have to be read.
        """
        return segment.file_bytes(RECORDS) >= LEAST_BYTES

    def build(self, segment: Segment, stopped: Callable[[], bool]) -> Content | None:
        return ngrams.build(Documents.of_text(segment.text("document")).data, stopped, self._scratch)

    def open(self, content: Content, segment: Segment) -> Ngrams:
        return Ngrams.read(content, len(Documents.of_text(segment.text("document")).data))
