"""How reports show themselves."""

from __future__ import annotations

from typing import Any

import pytest

import chroma
from chroma.pipelines.reports import ExportReport, LoadReport
from chroma.storage.interface.report_repr import size
from chroma.storage.interface.values import BackupReport, CollectionStats
from chroma.types import IndexingStatus

STATS = CollectionStats(20000, 1, 0, 2, 19999, 3_210_032, 32_768, {"log": 5, "seg/ids": 6})
BACKUP = BackupReport("/<b>", 3, 44, 12_345_678, 0, 0, 0, 1.23456789)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (135_897_100, "129.6 MiB"),
        (2**62, "4,194,304.0 TiB"),
    ],
)
def test_sizes(given: int, shown: str) -> None:
    assert size(given) == shown


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        (
            STATS,
            "CollectionStats(live=20,000, deleted=1, unsealed=0, segments=2, indexed=19,999, "
            "bytes=3,210,032, log_bytes=32,768, files={… 2})",
        ),
        (
            BACKUP,
            "BackupReport(path='/<b>', collections=3, files=44, copied=12,345,678, linked=0, reused=0, "
            "removed=0, seconds=1.23)",
        ),
        (
            IndexingStatus(20000, 3, 20003, 20000 / 20003),
            "IndexingStatus(num_indexed_ops=20,000, num_unindexed_ops=3, total_ops=20,003, "
            "op_indexing_progress=0.99985)",
        ),
        (
            LoadReport("docs", 1000, 1000, 0, 0, 0, 0, 0.12345678901, None),
            "LoadReport(collection='docs', rows=1,000, added=1,000, updated=0, skipped=0, rejected=0, "
            "resumed=0, seconds=0.123457, rejects=None, types={})",
        ),
        (
            ExportReport("docs", 1000, ("a.parquet",), 5_000, 2345.6),
            "ExportReport(collection='docs', rows=1,000, files=('a.parquet',), bytes=5,000, "
            "seconds=2,345.60)",
        ),
        (
            chroma.CopyReport("docs", "copy", 1000, "copied"),
            "CopyReport(source='docs', name='copy', records=1,000, outcome='copied')",
        ),
    ],
)
def test_one_line(report: Any, shown: str) -> None:
    assert repr(report) == shown
    assert report._repr_html_().count("<tr ") == shown.count("=")


def test_a_table_in_a_notebook() -> None:
    html = STATS._repr_html_()
    assert "20,000" in html and "3,210,032 (3.1 MiB)" in html and "log 5, seg/ids 6" in html
    assert "/&lt;b&gt;" in BACKUP._repr_html_()
    assert "12,345,678 (11.8 MiB)" in BACKUP._repr_html_()
