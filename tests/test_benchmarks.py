"""The parts of benchmarks/ that decide what a figure means: medians, ratios, bars, tables, pages, filters."""

from __future__ import annotations

import sys
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import bars
import bench
import conditions
import data
import environments
import planner
import plots
import prepare
import report
import timing
from conditions import Condition
from results import Results, spread
from taken_apart import adding, reading, steps

from chroma.storage.collection import index_builds, record_store

BENCHMARKS = Path(bench.__file__).parent


def results(*runs: tuple[str, str, dict[str, Any]]) -> Results:
    found = Results(machine={"cores": 2, "processor": "p", "memory_gb": 1, "system": "s"})
    for system, workload, figures in runs:
        found.add(
            {"data": "d", "system": system, "workload": workload, "date": "2026-01-01", "figures": figures}
        )
    return found


def test_a_figure_is_the_median_of_all_runs(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    found = results(*(("chroma", "query", {"ef": 16, "rate": rate}) for rate in (3.0, 1.0, 10.0)))
    found.path = path
    found.write()
    again = Results.read(path)
    assert again.figure("chroma", "query", "rate") == spread([1.0, 3.0, 10.0])
    assert spread([1.0, 3.0, 10.0]).median == 3.0
    assert again.figure("chroma", "query", "absent") is None
    assert again.knob("chroma") == 16
    assert again.knob("zvec") is None


def test_reasons_stand_where_there_is_no_number() -> None:
    found = results(("zvec", "read", {"to Arrow, rows/s": "not supported"}))
    assert found.figure("zvec", "read", "to Arrow, rows/s") == "not supported"
    assert report.cell("not supported") == "not supported"


@pytest.mark.parametrize(
    ("ours", "peer", "less", "text"),
    [
        (150.0, 100.0, False, "met"),
        (120.0, 100.0, False, "MISSED by 20%"),
        (150.0, 100.0, True, "met"),
        (300.0, 100.0, True, "MISSED by 100%"),
    ],
)
def test_bars(ours: float, peer: float, less: bool, text: str) -> None:
    bar = bars.Bar("query", "rate", "zvec", 1.5, less)
    found = results(("chroma", "query", {"rate": ours}), ("zvec", "query", {"rate": peer}))
    verdict = bars.judge(found, [bar])[0]
    assert verdict.ratio == pytest.approx(ours / peer)
    assert verdict.text() == text
    assert text in report.bars_table([verdict])


def test_a_bar_may_be_about_another_figure_and_may_lack_one() -> None:
    bar = bars.Bar("single", "many", "chroma", 3, peer_figure="one")
    found = results(("chroma", "single", {"many": 6.0, "one": 2.0}))
    assert bars.judge(found, [bar])[0].text() == "met"
    absent = bars.Bar("single", "many", "zvec", 3)
    assert bars.judge(found, [absent])[0].text() == "not measured: zvec"


def test_every_bar_is_about_a_workload_and_a_system_that_exist() -> None:
    for bar in [*bars.BARS, *bars.SYNTHETIC_BARS]:
        assert bar.workload in bench.WORKLOADS
        assert bar.peer in environments.SYSTEMS
        assert bar.figure.rpartition(", ")[0] or " " in bar.figure
    assert {bar.peer for bar in bars.bars_for("synthetic:1:1")} == {"zvec"}
    assert bars.bars_for("words.parquet") is bars.BARS


def test_every_system_has_a_driver_and_every_workload_a_module() -> None:
    assert {file.stem for file in (BENCHMARKS / "systems").glob("*.py")} - {"__init__", "base"} == set(
        environments.SYSTEMS
    )
    assert {file.stem for file in (BENCHMARKS / "workloads").glob("*.py")} - {"__init__", "common"} == set(
        bench.WORKLOADS
    )


def test_environments_are_found_by_either_name_or_reported(tmp_path: Path) -> None:
    for name in ("zvec", "v-chroma"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").touch()
    assert environments.interpreter("zvec", tmp_path) == str(tmp_path / "zvec" / "bin" / "python")
    assert environments.interpreter("chromadb", tmp_path) == str(tmp_path / "v-chroma" / "bin" / "python")
    assert environments.interpreter("chroma", tmp_path) == sys.executable
    with pytest.raises(environments.Missing, match="lancedb"):
        environments.interpreter("lancedb", tmp_path)


def test_what_failed_stands_in_the_report() -> None:
    found = results(("chroma", "query", {"one thread, queries/s": 5.0}))
    found.add(
        {"data": "d", "system": "zvec", "workload": "environment", "date": "2026-01-01", "missing": "no"}
    )
    found.runs[0]["checks"] = {"count": False, "recall": True}
    text = report.section(found, "d")
    assert "zvec is MISSING: no" in text
    assert "chroma, query: NOT TRUE: count" in text
    assert "NOT TRUE: recall" not in text
    found.found("d", "zvec")
    assert "MISSING" not in report.section(found, "d")


def test_numbers_and_tables() -> None:
    shown = [report.number(value) for value in (0.0, 0.01234, 1.234, 12.345, 123.4, 12345.6)]
    assert shown == ["0", "0.0123", "1.234", "12.3", "123", "12,346"]
    assert report.cell(spread([1.0, 2.0, 4.0])) == "2 (1–4)"
    assert report.cell(spread([2.0])) == "2"
    assert report.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_a_report_replaces_itself_between_its_markers() -> None:
    page = "# Title\n\n<!-- bench:d begin -->\nold\n<!-- bench:d end -->\n\nmore\n"
    new = report.replace(page, "d", "new\n")
    assert new == "# Title\n\n<!-- bench:d begin -->\nnew\n<!-- bench:d end -->\n\nmore\n"
    assert report.replace(new, "d", "new") == new
    added = report.replace(new, "other", "text")
    assert added.startswith(new.rstrip())
    assert added.endswith("<!-- bench:other begin -->\ntext\n<!-- bench:other end -->\n")
    with pytest.raises(ValueError, match="markers"):
        report.replace("<!-- bench:d begin -->", "d", "new")


def test_conditions_in_every_language() -> None:
    columns = {"u": np.array([1, 5, 9]), "lexname": np.array(["a", "b'", "b'"]), "text": ["one", "two", "on"]}
    condition = Condition((("u", ">=", 2), ("lexname", "=", "b'")), "o")
    assert condition.mask(columns).tolist() == [False, True, True]
    assert condition.where() == {"$and": [{"u": {"$gte": 2}}, {"lexname": {"$eq": "b'"}}]}
    assert condition.where_document() == {"$contains": "o"}
    assert condition.sql() == "u >= 2 and lexname = 'b''' and text like '%o%'"
    assert Condition((("u", "<", 5),)).where() == {"u": {"$lt": 5}}


def test_fresh_conditions_have_the_share_of_the_repeated_one_and_never_come_again() -> None:
    u = np.arange(conditions.RANGE)
    for name, share in conditions.SHARES.items():
        assert conditions.repeated(name, None).mask({"u": u}).sum() == share
        several = [conditions.fresh(name, None, number) for number in range(20_000)]
        assert len(set(several)) == len(several)
        assert [several[at].mask({"u": u}).sum() for at in (0, 7, 19_999)] == [share] * 3
    columns = {"u": np.array([0, 1]), "lexname": np.array(["a", "b"])}
    assert conditions.fresh("correlated", "a", 3).mask(columns).tolist() == [True, False]
    assert conditions.RANGE == data.RANGE


def test_the_plan_agrees_with_a_search_of_every_row() -> None:
    table, vectors, asked = data.read("synthetic:600:8", 20)
    plan = prepare.plan(table, vectors, asked)
    records = table.to_pylist()
    assert plan["rows"] == 600
    assert plan["correlated"] in {record["lexname"] for record in records}

    def truth(number: int, kept: Any) -> set[str]:
        scored = [
            (float(asked[number] @ vectors[i]), one["id"]) for i, one in enumerate(records) if kept(one)
        ]
        return {id for _, id in sorted(scored, reverse=True)[:10]}

    assert set(plan["truth"]["all"][3]) == truth(3, lambda _: True)
    assert set(plan["truth"]["10 % repeated"][4]) == truth(4, lambda one: one["u"] < 100_000)
    low = 6 * conditions.STRIDE
    assert set(plan["truth"]["1 % new"][5]) == truth(5, lambda one: low <= one["u"] < low + 10_000)
    gone = set(plan["delete"])
    assert set(plan["truth"]["after deleting"][2]) == truth(2, lambda one: one["id"] not in gone)
    assert not gone & set(plan["update"])
    word = plan["words"]["common"][0]
    assert set(plan["truth"]["common word repeated"][1]) == truth(1, lambda one: word in one["text"])
    share = sum(word in one["text"] for one in records) / len(records)
    assert 0.05 <= share <= 0.2


def test_speed_uses_up_its_arguments_and_counts_the_calls_only() -> None:
    called: list[int] = []
    found = timing.speed(called.append, iter(range(40)), 60.0)
    assert called == list(range(40))
    assert found.per_second > 0
    assert timing.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert timing.threaded(lambda _: None, [repeat(0), repeat(0)], 0.01).per_second > 0
    with pytest.raises(ZeroDivisionError):
        timing.threaded(lambda _: 1 / 0, [repeat(0)], 0.01)


def test_plots_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altair = pytest.importorskip("altair")
    saved = {}
    monkeypatch.setattr(altair.TopLevelMixin, "save", lambda self, file: saved.update({file: self.to_dict()}))
    found = results(
        ("chroma", "query", {"one thread, queries/s": 5.0, "curve": [[16, 0.9, 50.0], [32, 0.95, 40.0]]}),
        ("zvec", "query", {"one thread, queries/s": 4.0, "curve": [[16, 0.8, 60.0]]}),
    )
    assert plots.draw(found, tmp_path, "d") == {"query": ["d-query.svg", "d-recall.svg"]}
    assert [sorted(chart["encoding"]) for chart in saved.values()] == [
        ["color", "x", "x2", "y", "yOffset"],
        ["color", "order", "x", "y"],
    ]


def test_a_profile_makes_the_steps_of_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of the engine that has moved, or does something else, is noticed here."""
    monkeypatch.setattr(index_builds, "INDEX_BYTES", 0)
    monkeypatch.setattr(record_store, "BULK_ROWS", 100)
    monkeypatch.setattr(adding, "ROWS", 150)
    monkeypatch.setattr(adding, "ADDS", 2)
    rows, queries = data.load("synthetic:450:16", 12)
    correlated = prepare.correlated_value(np.array([each["lexname"] for each in rows.metadatas]))
    truth = data.exact(rows, queries, np.arange(len(rows)))
    opened = reading.Opened(str(tmp_path / "read"), rows)
    try:
        table, notes = reading.plain(opened, reading.Bare(rows.vectors), queries, truth)
        assert "| **a query** |" in table
        assert "recall@10" in notes[0]
        for name in ("50 %", "correlated"):
            assert "which rows match" in reading.filtered(opened, name, correlated, queries)[0]
    finally:
        opened.close()
    (tmp_path / "many").mkdir()
    assert "of it the filter columns" in adding.batch(str(tmp_path / "many"), rows)[0]
    (tmp_path / "one").mkdir()
    assert "| synced |" in adding.one(str(tmp_path / "one"), rows, 4)[0]


def test_steps_that_are_not_those_of_the_call_are_an_error() -> None:
    made = [steps.Step("double", "doubled", lambda case: 2 * case.number)]
    cases: list[Any] = [lambda n=n: steps.Case(number=n) for n in range(3)]

    def table(call: Any) -> str:
        same = lambda answer, case: answer == case.doubled  # noqa: E731
        return steps.measure("a call", call, made, cases, same, lambda _: None, "nothing")

    assert "| double |" in table(lambda case: case.number + case.number)
    with pytest.raises(steps.NotTheCall, match="a call"):
        table(lambda case: case.number + 7)


def test_the_constants_of_the_cost_model_are_fitted() -> None:
    samples = [planner.Sample(ef, dim, ef * (600 + 4.3 * dim)) for ef in (32, 512) for dim in (64, 384)]
    assert planner.fit(samples) == pytest.approx((600, 4.3))
    assert all(isinstance(getattr(planner.code, name), float) for name in planner.MODEL)
