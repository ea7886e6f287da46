"""The report of a migration."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ..storage.interface.report_repr import report_html, report_repr


@dataclass(frozen=True, slots=True)
class MovedCollection:
    """One migrated collection. `id` is its id in the target; `skipped` has the ids of damaged records."""

    __module__ = "chroma"

    tenant: str
    database: str
    name: str
    id: str
    records: int
    skipped: tuple[str, ...] = ()

    __repr__ = report_repr
    _repr_html_ = report_html


@dataclass(slots=True)
class MigrationReport:
    """The report of a migration.

    collections    tenant, database, name, id in the target, records and skipped ids of each collection
    records        records now in the target, in all collections
    written        records written by this call; less than `records` after an interrupted call, 0 after a
                   finished one
    compared       records that were read from both sides and are equal
    already_done   whether an earlier call had finished, so that this call only compared
    warnings       data that could not be copied unchanged
    """

    __module__ = "chroma"

    source: str
    target: str
    collections: list[MovedCollection] = field(default_factory=list)
    records: int = 0
    written: int = 0
    compared: int = 0
    seconds: float = 0.0
    already_done: bool = False
    warnings: list[str] = field(default_factory=list)

    __repr__ = report_repr
    _repr_html_ = report_html

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, in the form that `chroma migrate --json` prints."""
        return asdict(self)

    def __str__(self) -> str:
        what = "was moved before; compared again" if self.already_done else f"moved in {self.seconds:,.1f} s"
        lines = [
            f"{len(self.collections):,} collections, {self.records:,} records: {what}; "
            f"{self.compared:,} records compared, all equal"
        ]
        lines += [f"Note: {text}" for text in self.warnings]
        return "\n".join(lines)
