"""Helpers for programs written for Chroma: batches, dataframes, data loaders, embedding functions."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_SUBMODULES = ("batch_utils", "data_loaders", "embedding_functions", "results")


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
