"""What a forked child must not keep of its parent: locks and descriptors.

Owns: the list of what is open. A lock of `flock` is held as long as any process has its descriptor. So a
child that lived on, touching nothing, would keep writers of all processes waiting until it ends.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["let_go_in_children"]


class Held(Protocol):
    def let_go(self) -> None:
        """Close the descriptor, and never use its number again."""


# Of weak references, by single steps of the interpreter: a fork may come between any two of another thread.
_held: set[weakref.ref[Held]] = set()


def let_go_in_children(owner: Held) -> None:
    """Have every child that is forked from here on let go of it, as long as it is there."""
    _held.add(weakref.ref(owner, _held.discard))


def _after_fork() -> None:
    for reference in list(_held):
        owner = reference()
        if owner is not None:
            owner.let_go()


os.register_at_fork(after_in_child=_after_fork)
