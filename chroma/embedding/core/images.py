"""The inputs of functions that embed texts and images, and the form in which images are sent."""

from __future__ import annotations

import base64
import io
from typing import Any

from ...errors import InvalidArgumentError, InvalidTypeError
from ...internal.optional_dependencies import require
from .inputs import checked


def texts_and_images(given: object) -> list[Any]:
    """Return `given` as a list of texts and of image arrays. Raises InvalidTypeError for anything else."""
    import numpy as np

    items = list(given) if isinstance(given, (list, tuple, np.ndarray)) else checked(given)
    if not items:
        raise InvalidArgumentError("Expected at least one text or image to embed, got an empty list.")
    for position, item in enumerate(items):
        if isinstance(item, str):
            checked([item])
        elif not isinstance(item, np.ndarray) or item.ndim < 2:
            raise InvalidTypeError(
                f"Expected texts and image arrays, got {type(item).__name__} at position {position}."
            )
    return items


def as_image(pixels: Any, source: str) -> Any:
    """Return an array of pixels as an image of the package pillow."""
    return require("PIL.Image", None, source, "pillow").fromarray(pixels)


def as_jpeg(pixels: Any, source: str) -> str:
    """Return an array of pixels as a JPEG file in base64."""
    file = io.BytesIO()
    as_image(pixels, source).convert("RGB").save(file, format="JPEG")
    return base64.b64encode(file.getvalue()).decode("ascii")
