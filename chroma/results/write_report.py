"""`WriteReport`: the outcome of a write."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from ..storage.interface.values import Written


@dataclass(frozen=True, slots=True)
class WriteReport:
    """The outcome of `add`, `upsert` or `update`, as numbers of records.

        >>> print(collection.add(ids=["a", "b"], documents=["one", "two"]))
        2 added

    added    new records
    updated  stored records that were changed
    skipped  records that changed nothing: `add` leaves stored ids as they are, `update` leaves out others

    Servers of Chroma's own report nothing: all three are 0 then.

    A report is false, like the None that Chroma returns. Programs that look at the result go on as before.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        named = zip(astuple(self), ("added", "updated", "skipped"))
        parts = [f"{count:,} {what}" for count, what in named if count]
        return ", ".join(parts) or "no change was reported"


WriteReport.__module__ = "chroma.api.types"


def report_of(written: Written) -> WriteReport:
    """Return the report of a write."""
    return WriteReport(written.added, written.updated, written.skipped)
