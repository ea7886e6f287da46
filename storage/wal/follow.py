"""Follow a chain of logs. Each log ends with a frame that names the next one.

Owns: moving from log to log, and reading files that other processes may replace meanwhile. Three readers
follow chains: a collection's state, the catalog, and a backup. A check reads each log separately, including
the frames after damage. It chooses the next log itself, because the frame that names it may be lost.
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
    """A frame, and the log that contains it. For an END frame, `following` is the next log, opened."""

    log: Log
    frame: Frame
    following: Log | None


def follow(
    folder: Folder,
    log: Log,
    *,
    writing: bool = False,
    opened: Callable[[Log, Folder, Frame], Log] = Log.following,
) -> Iterator[Step]:
    """Yield every frame from the current offset of `log` to the end of the chain.

    `opened` opens the log that an END frame names. A torn frame ends the chain. With `writing` (under the
    write lock), it is also cleared. Raises Corruption if an acknowledged frame is damaged, or if a log names
    no log, itself or an earlier one. After an error in opening the next log, the frame that names it is read
    again next time.
    """
    current: Log | None = log
    while current is not None:
        following = None
        for frame in current.read_new(writing):
            if frame.kind == END:
                try:
                    following = opened(current, folder, frame)
                except BaseException:
                    current.unread(frame)
                    raise
            yield Step(current, frame, following)
        current = following


def read_stable(path: str, version: Callable[[], S], read: Callable[[S], T], *, attempts: int) -> T:
    """Call `read` on files that other processes may replace meanwhile, and return its result.

    `version` returns a value that differs after each replacement. A Corruption is raised only if the version
    is the same as before the read. Otherwise `read` is called again, up to `attempts` times in total.
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
    """The intact frames of a log, a description of its damage, and the least number of lost frames."""

    frames: list[Frame]
    problem: str | None
    lost: int


def salvaged(folder: Folder, name: str) -> LogContents:
    """Read all intact frames of one log, including those after damage.

    A log with a problem is read a second time and that result is used, because a disk error may be temporary.
    """
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
    """Return the name of the next log, if `frames` from the log at `path` end with an END frame."""
    if not frames or frames[-1].kind != END:
        return None
    return file_names.following(path, frames[-1].payload)
