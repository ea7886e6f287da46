"""The loaded models of functions that run on this machine. The process shares a model of equal settings.

Invariant: one thread at a time uses a model, because the packages that run them are not made for several.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_models: dict[str, Any] = {}
_using = threading.Lock()


@contextmanager
def using(source: str, settings: object, load: Callable[[], Any]) -> Iterator[Any]:
    """Yield the model of a function's class with these settings. The first use loads it."""
    key = json.dumps([source, settings], sort_keys=True, default=id)
    with _using:
        if key not in _models:
            _models[key] = load()
        yield _models[key]


def _renew() -> None:
    """Replace the lock in a forked child, because a thread of the parent may have held it during the fork."""
    global _using
    _using = threading.Lock()


os.register_at_fork(after_in_child=_renew)
