"""Rerankers that the package sentence-transformers runs on this machine."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from typing import Any

from ..errors import InvalidArgumentError, InvalidTypeError
from ..internal.optional_dependencies import require
from ..storage.interface.short_repr import shown
from ..validation.read_arguments import check_positive

_SOURCE = "CrossEncoderReranker"
_PACKAGE = "sentence_transformers"
_EXTRA = "sentence-transformers"


class CrossEncoderReranker:
    """Score documents for a text with a cross-encoder, to be passed as `rerank=`.

        collection.query(query_texts="solar power", n_results=5, rerank=chroma.CrossEncoderReranker())

    Needs `chroma-arrow[sentence-transformers]`.
    model_name  a Hugging Face model, which the package downloads at first use, or a folder
    device      "cpu", "cuda", "mps", …; None: the package chooses
    batch_size  the number of pairs of text and document that the model scores at a time
    kwargs      arguments for `CrossEncoder(…)` of the package
    The model is loaded at the first use. One thread uses it at a time.
    """

    __module__ = "chroma"

    def __init__(
        self,
        model_name: str = "cross-encoder/ms-marco-MiniLM-L6-v2",
        device: str | None = None,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> None:
        if sys.modules.get(_PACKAGE) is None and importlib.util.find_spec(_PACKAGE) is None:
            require(_PACKAGE, _EXTRA, _SOURCE)
        if not isinstance(model_name, str):
            raise InvalidTypeError(f"Expected model_name to be a str, got {shown(model_name)}")
        if not model_name:
            raise InvalidArgumentError("Expected model_name to name a model or a folder, got ''")
        self._name, self._device, self._kwargs = model_name, device, kwargs
        self._batch_size = check_positive(batch_size, "batch_size")
        self._model: Any = None

    def __call__(self, text: str, documents: list[str]) -> list[float]:
        """Return one score per document, the higher the better."""
        with _using:
            if self._model is None:
                package = require(_PACKAGE, _EXTRA, _SOURCE)
                self._model = package.CrossEncoder(self._name, device=self._device, **self._kwargs)
            scores = self._model.predict(
                [(text, document) for document in documents],
                batch_size=self._batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return [float(score) for score in scores]

    def __repr__(self) -> str:
        return f"CrossEncoderReranker({self._name!r})"


_using = threading.Lock()


def _renew() -> None:
    """Replace the lock in a forked child, because a thread of the parent may have held it during the fork."""
    global _using
    _using = threading.Lock()


os.register_at_fork(after_in_child=_renew)
