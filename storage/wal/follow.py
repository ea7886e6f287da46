"""Following a chain of logs, each of which ends with the name of the next.

Owns: the way from log to log, and what is done about files that move on while they are read. Three
readers go this way: a collection's state, the catalog, and a backup. A check reads each log by itself, with
the frames behind damage, and chooses the next log itself: the frame that names it may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ..interface.errors import Corruption
from ..io.disk import Folder
from ..validation import file_names
from .log import END, Frame, Log

S = TypeVar("S")
T = TypeVar("T")


class Step(NamedTuple):
    """One frame on the way, and the log that it is in. `following`: the open log that an END leads on to."""

    log: Log
    frame: Frame
    following: Log | None


def follow(folder: Folder, log: Log, *, writing: bool = False) -> Iterator[Step]:
    """Every frame from where `log` stands to the end of the chain.

    With `writing` (under the write lock) a torn end is cleared. Without it the chain ends there. Raises
    Corruption where an acknowledged frame is damaged, and where a log leads on to none, to itself or to an
    earlier one. The frame that leads there is read again next time.
    """
    current: Log | None = log
    while current is not None:
        following = None
        for frame in current.read_new(writing):
            if frame.kind == END:
                try:
                    following = current.following(folder, frame)
                except BaseException:
                    current.unread(frame)
                    raise
            yield Step(current, frame, following)
        current = following


def read_stable(path: str, version: Callable[[], S], read: Callable[[S], T], *, attempts: int) -> T:
    """The result of `read` over files that other processes may replace meanwhile.

    `version` returns a value that differs after each replacement. A Corruption counts only if the version has
    not changed since before the read. Otherwise `read` is called again, up to `attempts` times.
    """
    for _ in range(attempts):
        before = version()
        try:
            return read(before)
        except Corruption:
            if version() == before:
                raise
    raise Corruption(path, "it keeps changing")


@dataclass(frozen=True, slots=True)
class LogContents:
    """The intact frames of a log, what is wrong with it, and how many frames are lost (at least)."""

    frames: list[Frame]
    problem: str | None
    lost: int


def salvaged(folder: Folder, name: str) -> LogContents:
    """All intact frames of one log, also those behind damage. A log with a problem is read twice and the
    second result counts, because a disk may fail only once."""
    found = _salvaged_once(folder, name)
    return found if found.problem is None else _salvaged_once(folder, name)


def _salvaged_once(folder: Folder, name: str) -> LogContents:
    frames: list[Frame] = []
    try:
        log = Log.open(folder, name)
    except Corruption as error:
        return LogContents(frames, str(error), 1)
    first = log.sequence
    problem = None
    try:
        for frame in log.read_new():
            frames.append(frame)
    except Corruption as error:
        problem = str(error)
        frames.extend(log.salvage())
    finally:
        log.close()
    expected = frames[-1].sequence - first + 1 if frames else 0
    lost = 0 if problem is None else max(1, expected - len(frames))
    return LogContents(frames, problem, lost)


def named_next(path: str, frames: Sequence[Frame]) -> str | None:
    """The log that these frames of the log at `path` lead on to, if they end it."""
    if not frames or frames[-1].kind != END:
        return None
    return file_names.following(path, frames[-1].payload)
