"""What a migration says at its end."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class MovedCollection:
    """One collection of a report. `id` is its id in the target; `skipped` the ids left out as damaged."""

    __module__ = "chroma"

    tenant: str
    database: str
    name: str
    id: str
    records: int
    skipped: tuple[str, ...] = ()


@dataclass(slots=True)
class MigrationReport:
    """What a migration did.

    collections    per collection tenant, database, name, id in the target, records, ids that were skipped
    records        now in the target, over all collections
    written        by this call; less than `records` when an earlier call had begun, 0 when it had finished
    compared       records that were read from both sides and found equal
    already_done   whether an earlier call had finished, so that this one only compared
    warnings       what did not come over as it was
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `chroma migrate --json` prints them."""
        return asdict(self)

    def __str__(self) -> str:
        what = "was moved before; compared again" if self.already_done else f"moved in {self.seconds:,.1f} s"
        lines = [
            f"{len(self.collections):,} collections, {self.records:,} records: {what}; "
            f"{self.compared:,} records compared, all equal"
        ]
        lines += [f"Note: {text}" for text in self.warnings]
        return "\n".join(lines)
