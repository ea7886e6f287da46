"""Payloads of frames cut short and changed: read, or Corruption that names the log."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from chroma.storage.interface.errors import Corruption
from chroma.storage.wal.frames import decode_commit, decode_patched, decode_rows, decode_segment

from . import hostile
from .rounds import scaled

DECODE: dict[int, Callable[[str, bytes], object]] = {
    1: decode_commit, 2: decode_segment, 5: decode_rows, 6: decode_patched
}  # fmt: skip
DATA = hostile.ROOT / "tests" / "data"


def payloads() -> list[tuple[int, bytes]]:
    """Of frames of all kinds, as older versions wrote them."""
    logs = sorted(DATA.rglob("log-*.wal"))
    return [(kind, payload) for log in logs for kind, payload in hostile.frames(log) if kind in DECODE]


def test_there_are_frames_of_all_kinds() -> None:
    assert {kind for kind, _ in payloads()} == {1, 2, 5, 6}
    for kind, payload in payloads():
        DECODE[kind]("log", payload)


def test_frames_that_were_cut_are_refused() -> None:
    for kind, payload in payloads():
        for size in range(0, len(payload), 1 + len(payload) // 40):
            with contextlib.suppress(Corruption):
                DECODE[kind]("log", payload[:size])
        with pytest.raises(Corruption, match="log is damaged"):
            DECODE[kind]("log", payload[:9])


def test_frames_that_were_changed_are_read_or_refused() -> None:
    given = payloads()
    for number in range(scaled(3000, 300_000)):
        dice = random.Random(number)
        kind, payload = dice.choice(given)
        changed = bytearray(payload)
        for _ in range(dice.choice([1, 2, 4])):
            at = dice.randrange(min(len(changed), dice.choice([16, 400, 1 << 20])))
            changed[at] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
        with contextlib.suppress(Corruption):
            DECODE[kind]("log", bytes(changed))
