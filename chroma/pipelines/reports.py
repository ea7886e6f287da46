"""The reports of loads and exports."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..storage.interface.report_repr import report_html, report_repr

_SHOWN = 20  # columns in the text of a report


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The report of a load.

    rows      rows of the source that were read, in this and in earlier runs
    added     records that are new
    updated   records that existed and were changed (on_conflict="upsert")
    skipped   rows whose record existed and was left unchanged (on_conflict="skip")
    rejected  rows that could not be stored; `rejects` is the file that contains them
    resumed   rows that an earlier, incomplete run had processed
    seconds   duration of this run
    types     the types by which columns of CSV files, and those that folders name, were read
    """

    __module__ = "chroma"

    collection: str
    rows: int
    added: int
    updated: int
    skipped: int
    rejected: int
    resumed: int
    seconds: float
    rejects: str | None
    types: dict[str, str] = field(default_factory=dict, hash=False)

    __repr__ = report_repr
    _repr_html_ = report_html

    def __str__(self) -> str:
        parts = [f"{_rows(self.rows)} into {self.collection}: {self.added:,} added"]
        for name in ("updated", "skipped", "rejected"):
            if count := getattr(self, name):
                parts.append(f"{count:,} {name}")
        text = ", ".join(parts)
        if self.rejects is not None and self.rejected:
            text += f" (see {self.rejects})"
        if self.resumed:
            text += f"; {self.resumed:,} of the rows were done by an earlier run"
        fresh = self.rows - self.resumed
        rate = f", {fresh / self.seconds:,.0f} rows/s" if self.seconds > 0 and fresh else ""
        text = f"{text}; {self.seconds:.1f} s{rate}"
        if self.types:
            columns = [f"{name} {kind}" for name, kind in self.types.items()]
            more = f", … ({len(columns)})" if len(columns) > _SHOWN else ""
            text += f"; read as {', '.join(columns[:_SHOWN])}{more}"
        return text


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The report of an export: the `files` in order, and the total `bytes` and `rows`."""

    __module__ = "chroma"

    collection: str
    rows: int
    files: tuple[str, ...]
    bytes: int
    seconds: float

    __repr__ = report_repr
    _repr_html_ = report_html

    def __str__(self) -> str:
        target = self.files[0] if len(self.files) == 1 else f"{len(self.files)} files"
        return (
            f"{_rows(self.rows)} of {self.collection} to {target}: {self.bytes:,} bytes; {self.seconds:.1f} s"
        )


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"
