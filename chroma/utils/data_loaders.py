"""Data loaders, which load images or other inputs from the uris of records."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..types import Image


class ImageLoader:
    """Reads image files as RGB arrays (height, width, 3) of uint8. Returns None for a uri that is None.

    max_workers  number of files read at the same time
    Needs the package pillow.
    """

    def __init__(self, max_workers: int = 2) -> None:
        try:
            from PIL import Image as pillow  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise ValueError("ImageLoader needs the package pillow: `pip install pillow`") from error
        self._pillow: Any = pillow
        self._max_workers = max_workers

    def __call__(self, uris: Sequence[str | None]) -> list[Image | None]:
        with ThreadPoolExecutor(max_workers=self._max_workers) as pool:
            return list(pool.map(self._load, uris))

    def _load(self, uri: str | None) -> Image | None:
        import numpy as np

        if uri is None:
            return None
        with self._pillow.open(uri) as image:
            return np.array(image.convert("RGB"))


class ChromaLangchainPassthroughDataLoader:
    """Returns the uris unchanged, for embedding functions that read the files themselves."""

    def __call__(self, uris: Sequence[str | None]) -> list[str | None]:
        return list(uris)
