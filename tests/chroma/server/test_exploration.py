"""The routes by which the console explores: tree, facets, vectors, maps, pairs, state, SQL, files."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from chroma.cli import cli
from chroma.notebook import projection
from chroma.server import exploration, routes
from chroma.server.answer_cache import AnswerCache
from chroma.storage.interface.values import Hits, Rows
from chroma.tables import neighbour_tables

from .conftest import DATABASE, Api, refused

LARGE = 2**53 + 1
OWN = "/api/v2/chroma-arrow"


def floats(text: str) -> Any:
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture
def cloud(api: Api) -> str:
    """The path of a collection of 40 records in two groups."""
    path = api.collection("cloud")
    vectors = np.random.default_rng(0).normal(0, 0.01, (40, 5))
    vectors[20:, 0] += 10
    metadatas: list[Any] = [{"n": row, "side": "left" if row < 20 else "right"} for row in range(40)]
    metadatas[0] = None
    body = {
        "ids": [f"r{row}" for row in range(40)],
        "embeddings": vectors.tolist(),
        "metadatas": metadatas,
        "documents": ['say "hello", or\nnot' if row == 3 else f"text {row}" for row in range(40)],
    }
    assert api.post(f"{path}/add", body).status_code == 201
    return path


def test_the_tree_has_sizes(api: Api, cloud: str) -> None:
    api.post("/api/v2/tenants", {"name": "other"})
    function = {"type": "known", "name": "mine", "config": {}}
    api.collection("empty", configuration={"embedding_function": function}, metadata={"large": LARGE})
    tenants = {tenant["name"]: tenant["databases"] for tenant in api.get(f"{OWN}/tree").json()["tenants"]}
    assert tenants["other"] == []
    (database,) = tenants["default_tenant"]
    first, second = database["collections"]
    assert (first["name"], first["rows"], first["dimension"], first["space"]) == ("cloud", 40, 5, "l2")
    assert cloud.endswith(first["id"]) and first["bytes"] > 0 and first["indexed"] == 40
    assert (second["rows"], second["dimension"], second["function"]) == (0, None, "mine")
    assert second["metadata"] == {"large": str(LARGE)}


def test_roles_see_their_part(serve: Callable[..., Api], tmp_path: Path) -> None:
    file, secrets = tmp_path / "auth.json", {}
    for name, *options in (
        ("root", "--role", "admin"),
        ("reader", "--role", "read", "--database", "default_database"),
        ("writer", "--role", "write", "--database", "default_database"),
        ("stranger", "--role", "write", "--tenant", "elsewhere"),
    ):
        made = CliRunner().invoke(cli, ["auth", "create", name, "--file", str(file), *options])
        assert made.exit_code == 0, made.output
        secrets[name] = {"authorization": f"Bearer {made.stdout.strip()}"}
    api = serve(auth_file=str(file))
    created = api.post(f"{DATABASE}/collections", {"name": "things"}, headers=secrets["root"])
    path = f"{DATABASE}/collections/{created.json()['id']}"
    refused(api.get(f"{OWN}/tree"), 401, "AuthError")
    (tenant,) = api.get(f"{OWN}/tree", headers=secrets["reader"]).json()["tenants"]
    assert [found["name"] for found in tenant["databases"][0]["collections"]] == ["things"]
    stranger = api.get(f"{OWN}/tree", headers=secrets["stranger"]).json()["tenants"]
    assert "default_tenant" not in [tenant["name"] for tenant in stranger]
    assert api.get(f"{OWN}/state", headers=secrets["root"]).status_code == 200
    for name in ("reader", "stranger"):
        refused(api.get(f"{OWN}/state", headers=secrets[name]), 403, "AuthorizationError")
    for call in ("facets", "projection", "pairs", "embed"):
        body = {"texts": ["a"]} if call == "embed" else {}
        refused(api.post(f"{path}/chroma-arrow/{call}", body), 401, "AuthError")
        target = f"{path}/chroma-arrow/{call}"
        refused(api.post(target, body, headers=secrets["stranger"]), 403, "AuthorizationError")
        assert api.post(target, body, headers=secrets["reader"]).status_code in (200, 409)
    record = {"ids": ["a"], "embeddings": [[1.0]], "documents": ["x"]}
    assert api.post(f"{path}/add", record, headers=secrets["root"]).status_code == 201
    asked: list[tuple[str, Any]] = [
        ("query", {"query_ids": ["a"]}),
        ("chroma-arrow/facets", {"keys": ["#document"]}),
        ("chroma-arrow/recall", {"ef_search": [8]}),
    ]
    for call, body in asked:
        refused(api.post(f"{path}/{call}", body), 401, "AuthError")
        refused(api.post(f"{path}/{call}", body, headers=secrets["stranger"]), 403, "AuthorizationError")
        for name in ("reader", "writer", "root"):
            assert api.post(f"{path}/{call}", body, headers=secrets[name]).status_code == 200, (call, name)
    for name in ("reader", "writer", "root", "stranger"):  # a ticket is no matter of credentials
        answer = api.post(f"{OWN}/ticket", {"ticket": secrets[name]["authorization"]}, headers=secrets[name])
        refused(answer, 401, "AuthError")
    told = api.get("/api/v2/auth/identity", headers={**secrets["reader"], "x-chroma-console": "1"}).json()
    assert told["role"] == "read"
    assert "role" not in api.get("/api/v2/auth/identity", headers=secrets["reader"]).json()


def test_pages_of_others_are_refused(api: Api, things: str) -> None:
    for call in ("facets", "projection", "pairs", "embed", "export"):
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = api.post(f"{things}/chroma-arrow/{call}", {}, headers=headers)
            refused(answer, 403, "AuthorizationError")
    for path in (f"{OWN}/tree", f"{OWN}/state"):
        refused(api.get(path, headers={"host": "evil.example"}), 421, "ChromaError")


def test_facets_with_histograms(api: Api, cloud: str) -> None:
    path = f"{cloud}/chroma-arrow/facets"
    assert api.post(path).json() == {"n": {"types": ["int"]}, "side": {"types": ["string"]}}
    found = api.post(path, {"keys": ["n", "side", "none"], "limit": 1, "bins": 4}).json()
    n = found["n"]
    assert (n["filled"], n["distinct"], n["minimum"], n["maximum"], n["types"]) == (39, 39, 1, 39, ["int"])
    assert len(n["bins"]["edges"]) == 5 and sum(n["bins"]["counts"]) == 39
    assert (n["bins"]["edges"][0], n["bins"]["edges"][-1]) == (1, 39)
    side = found["side"]
    assert (side["minimum"], side["maximum"], side["bins"]) == ("left", "right", {"edges": [], "counts": []})
    assert (found["none"]["filled"], found["none"]["minimum"]) == (0, None)
    assert set(api.post(path, {"keys": ["n"]}).json()["n"]) == {"values", "distinct", "records"}
    refused(api.post(path, {"keys": ["n"], "bins": 0}), 422, "ChromaError")


def test_facets_of_documents(api: Api, cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{cloud}/chroma-arrow/facets"
    found = api.post(path, {"keys": ["#document", "n"], "bins": 4}).json()
    assert set(found) == {"n", "#document"} and found["n"]["filled"] == 39
    lengths = found["#document"]
    assert (lengths["filled"], lengths["minimum"], lengths["maximum"], lengths["cut"]) == (40, 6, 19, None)
    assert lengths["lengths"] == {"edges": [6, 9.25, 12.5, 15.75, 19], "counts": [39, 0, 0, 1]}
    one = api.post(path, {"keys": ["#document"], "where": {"n": 3}}).json()["#document"]
    assert (one["filled"], one["lengths"]) == (1, {"edges": [19, 19], "counts": [1]})
    none = api.post(path, {"keys": ["#document"], "where": {"n": 99}}).json()["#document"]
    assert (none["filled"], none["minimum"], none["lengths"]) == (0, None, {"edges": [], "counts": []})
    for key in ("#documents", "#id", ""):
        refused(api.post(path, {"keys": [key]}), 400, "InvalidArgumentError")


def test_the_share_of_cut_documents(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    function = {"type": "known", "name": "default", "config": {}}
    path = api.collection("texts", configuration={"embedding_function": function})
    texts: list[Any] = ["word " * 300, "word " * 200, "a", None, "unbelievably " * 200, "b", "c", "d"]
    body = {"ids": list("abcdefgh"), "embeddings": [[1.0]] * 8, "documents": texts}
    assert api.post(f"{path}/add", body).status_code == 201
    ask = {"keys": ["#document"]}
    cut = api.post(f"{path}/chroma-arrow/facets", ask).json()["#document"]["cut"]
    assert cut == {"share": pytest.approx(2 / 7), "limit": 256, "sampled": 7}
    monkeypatch.setattr("chroma.server.document_lengths._SAMPLE", 2)
    assert api.post(f"{path}/chroma-arrow/facets", ask).json()["#document"]["cut"] == cut  # it was kept
    assert api.post(f"{path}/delete", {"ids": ["g"]}).is_success
    cut = api.post(f"{path}/chroma-arrow/facets", ask).json()["#document"]["cut"]
    assert cut == {"share": 0.5, "limit": 256, "sampled": 2}
    assert api.post(f"{path}/delete", {"ids": ["f"]}).is_success
    monkeypatch.setattr("chroma.server.document_lengths._SAMPLE", 1000)
    monkeypatch.setattr("chroma.server.document_lengths._DIVIDED_BYTES", 2500)
    assert api.post(f"{path}/chroma-arrow/facets", ask).json()["#document"]["cut"]["sampled"] == 2


def test_recall_takes_bounded_memory(serve: Callable[..., Api]) -> None:
    api = serve(max_answer_bytes=4096)
    path = api.collection("many")
    body = {"ids": [str(row) for row in range(20)], "embeddings": [[float(row)] for row in range(20)]}
    assert api.post(f"{path}/add", body).status_code == 201
    assert api.post(f"{path}/chroma-arrow/recall", {"k": 4, "sample": 4}).json() == 1.0
    for more in ({"k": 10**9}, {"k": 10**9, "ef_search": [8]}):
        assert "k=20 and sample=20" in refused(
            api.post(f"{path}/chroma-arrow/recall", more), 413, "ChromaError"
        )


def test_recall_by_ef(api: Api, cloud: str) -> None:
    path = f"{cloud}/chroma-arrow/recall"
    assert api.post(path, {"k": 3}).json() == 1.0
    found = api.post(path, {"k": 3, "ef_search": [4, 64]}).json()["recalls"]
    assert [(each["ef_search"], each["recall"]) for each in found] == [(4, 1.0), (64, 1.0)]
    assert all(0 < each["ms"] < 1000 and 0 < each["exact_ms"] < 1000 for each in found)
    empty = f"{api.collection('empty')}/chroma-arrow/recall"
    assert api.post(empty, {"ef_search": [9]}).json()["recalls"][0]["recall"] == 1.0
    for efs in ([], [0], list(range(1, 30)), [10**6]):
        refused(api.post(path, {"ef_search": efs}), 400, "InvalidArgumentError")
    for efs in (8, ["8"], [1.5], [True]):
        refused(api.post(path, {"ef_search": efs}), 422, "ChromaError")


def test_histograms_of_extremes(api: Api) -> None:
    path = api.collection("extremes")
    values = [-1.7e308, 1.7e308, 0.0, 2**63 - 1, -(2**63)]
    body = {"ids": list("abcde"), "embeddings": [[1.0]] * 5, "metadatas": [{"v": value} for value in values]}
    assert api.post(f"{path}/add", body).status_code == 201
    whole = api.post(f"{path}/chroma-arrow/facets", {"keys": ["v"], "bins": 2, "integers": "text"}).json()[
        "v"
    ]
    assert whole["bins"] == {"edges": [-1.7e308, 0.0, 1.7e308], "counts": [2, 3]}
    assert str(2**63 - 1) in [entry["value"] for entry in whole["values"]]
    one = api.post(f"{path}/chroma-arrow/facets", {"keys": ["v"], "bins": 2, "where": {"v": 0.0}}).json()["v"]
    assert one["bins"] == {"edges": [0.0, 0.0], "counts": [1]}


def test_embed_only_by_the_default_function(api: Api) -> None:
    function = {"type": "known", "name": "default", "config": {}}
    path = api.collection("texts", configuration={"embedding_function": function})
    (vector,) = api.post(f"{path}/chroma-arrow/embed", {"texts": ["a cat"]}).json()["embeddings"]
    assert len(vector) == 384 and np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
    other = {"type": "known", "name": "openai", "config": {"model": "m"}}
    path = api.collection("others", configuration={"embedding_function": other})
    answer = api.post(f"{path}/chroma-arrow/embed", {"texts": ["a cat"]})
    assert (answer.status_code, answer.json()["function"]) == (409, "openai")
    answer = api.post(f"{api.collection('none')}/chroma-arrow/embed", {"texts": ["a cat"]})
    assert (answer.status_code, answer.json()["function"]) == (409, None)
    refused(api.post(f"{path}/chroma-arrow/embed", {"texts": ["a"] * 101}), 422, "ChromaError")
    refused(api.post(f"{path}/chroma-arrow/embed", {"texts": []}), 422, "ChromaError")


def test_projections(api: Api, cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{cloud}/chroma-arrow/projection"
    found = api.post(path, {"color_by": "side"}).json()
    x, y = floats(found["x"]), floats(found["y"])
    assert len(found["ids"]) == len(x) == len(y) == 40
    assert abs(x[:20].mean() - x[20:].mean()) == pytest.approx(10, abs=0.1)
    assert found["colors"][1] == "left" and found["colors"][0] is None
    assert (found["sampled"], found["matches"]) == (False, 40) and found["variance"][0] > 0.9
    some = api.post(path, {"limit": 7, "seed": 3, "where": {"side": "left"}}).json()
    assert (len(some["ids"]), some["sampled"], some["matches"], some["colors"]) == (7, True, 19, None)
    assert some == api.post(path, {"limit": 7, "seed": 3, "where": {"side": "left"}}).json()
    assert some["ids"] != api.post(path, {"limit": 7, "seed": 4, "where": {"side": "left"}}).json()["ids"]
    assert api.post(path, {"color_by": "none"}).json()["colors"] == [None] * 40
    assert api.post(path, {"limit": 0}).json()["ids"] == []
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    missing = api.post(path, {"method": "umap"})
    assert missing.status_code == 409 and "umap" in missing.json()["message"]
    empty = api.post(f"{api.collection('empty')}/chroma-arrow/projection").json()
    assert (empty["ids"], empty["x"], empty["matches"]) == ([], "", 0)


def test_projections_are_kept_until_the_records_change(
    api: Api, cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = f"{cloud}/chroma-arrow/projection", []
    project = exploration.maps.project
    monkeypatch.setattr(exploration.maps, "project", lambda *given: made.append(1) or project(*given))  # type: ignore[func-returns-value]

    def ask(**body: Any) -> Any:
        return api.post(path, {"color_by": "side", **body}).json()

    first = ask()
    assert ask() == first and len(made) == 1
    assert ask(limit=7) != first and ask(limit=7)["sampled"] and len(made) == 2
    changes: list[tuple[str, Any]] = [
        ("update", {"ids": ["r5"], "metadatas": [{"side": "up"}]}),
        ("add", {"ids": ["new"], "embeddings": [[0.0] * 5]}),
        ("delete", {"ids": ["r7"]}),
        ("chroma-arrow/compact", {}),
        ("update", {"ids": ["r6"], "metadatas": [{"side": "down"}]}),  # a patch of a segment
        ("update", {"ids": ["r8"], "metadatas": [{"side": "down"}]}),
    ]
    for number, (verb, body) in enumerate(changes, 3):
        assert api.post(f"{cloud}/{verb}", body).is_success
        now = ask()
        assert ask() == now and len(made) == number, verb
    colors = dict(zip(now["ids"], now["colors"]))
    assert [colors[id] for id in ("r5", "r6", "r8", "r9")] == ["up", "down", "down", "left"]
    assert "new" in colors and "r7" not in colors


def test_kept_answers_take_bounded_memory() -> None:
    cache = AnswerCache(100)
    for number in range(6):
        cache.put(number, "state", b"x" * 20)
    assert [cache.get(number, "state") is not None for number in range(6)] == [False, *[True] * 5]
    cache.get(1, "state")
    cache.put(6, "state", b"y" * 20)
    assert cache.get(1, "state") and not cache.get(2, "state")
    cache.put(7, "state", b"z" * 26)  # too large
    assert cache.get(7, "state") is None and cache.get(3, "other") is None and cache.get(3, "state") is None


def test_the_tree_opens_few_collections(api: Api, cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "_MOST_OPENED", 2)
    for number in range(4):
        api.collection(f"more-{number}")
    api.get(f"{api.collection('used')}/count")
    (tenant,) = api.get(f"{OWN}/tree").json()["tenants"]
    found = {each["name"]: each for each in tenant["databases"][0]["collections"]}
    assert [found[name]["rows"] for name in ("cloud", "used", "more-0", "more-1")] == [40, 0, 0, 0]
    for name in ("more-2", "more-3"):
        assert [found[name][part] for part in ("rows", "bytes", "indexed")] == [None] * 3


def test_pairs(api: Api) -> None:
    path = api.collection("pairs")
    vectors = [[0.0, 0.0], [0.0, 0.1], [5.0, 5.0], [5.0, 5.0]]
    assert api.post(f"{path}/add", {"ids": list("abcd"), "embeddings": vectors}).status_code == 201
    found = api.post(f"{path}/chroma-arrow/pairs", {}).json()
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [("c", "d"), ("a", "b")]
    assert found["pairs"][0]["distance"] == 0 and found["complete"] is True
    few = api.post(f"{path}/chroma-arrow/pairs", {"limit": 1, "max_distance": 1}).json()
    assert (len(few["pairs"]), few["complete"]) == (1, False)
    refused(api.post(f"{path}/chroma-arrow/pairs", {"max_distance": -1}), 400, "InvalidArgumentError")
    assert api.post(f"{api.collection('empty')}/chroma-arrow/pairs").json() == {"pairs": [], "complete": True}


def test_the_state_of_the_server(api: Api, things: str) -> None:
    state = api.get(f"{OWN}/state").json()
    assert state["uptime_seconds"] >= 0 and state["bytes"] > 0 and state["running"] >= 1
    added = next(entry for entry in state["routes"] if entry["route"].endswith("/add"))
    assert added["calls"] == 1 and 0 < added["mean_ms"] <= added["max_ms"]


def test_integers_as_text(api: Api) -> None:
    path = api.collection("numbers")
    metadatas = [{"n": LARGE, "l": [1, -LARGE], "s": 2**53 - 1}, None]
    body = {"ids": ["a", "b"], "embeddings": [[1.0, 0.0], [0.0, 1.0]], "metadatas": metadatas}
    assert api.post(f"{path}/add", body).status_code == 201
    exact = [{"n": str(LARGE), "l": [1, str(-LARGE)], "s": 2**53 - 1}, None]
    assert api.post(f"{path}/get", {"integers": "text"}).json()["metadatas"] == exact
    assert api.post(f"{path}/get", {}).json()["metadatas"] == metadatas
    query = {"query_embeddings": [[1.0, 0.0]], "integers": "text"}
    assert api.post(f"{path}/query", query).json()["metadatas"] == [exact]
    search = {"searches": [{"select": {"keys": ["#metadata"]}}], "integers": "text"}
    assert api.post(f"{path}/search", search).json()["metadatas"] == [exact]
    refused(api.post(f"{path}/get", {"integers": "float"}), 422, "ChromaError")


def test_integers_as_text_in_a_stream(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma.server.read_responses._FEW_RECORDS", 0)
    monkeypatch.setattr("chroma.server.read_responses._AT_ONCE", 0)
    path = api.collection("streamed")
    body = {"ids": ["a", "b"], "embeddings": [[1.0]] * 2, "metadatas": [{"n": LARGE}, None]}
    assert api.post(f"{path}/add", body).status_code == 201
    assert api.post(f"{path}/get", {"integers": "text"}).json()["metadatas"] == [{"n": str(LARGE)}, None]
    query = {"query_embeddings": [[1.0]], "integers": "text"}
    assert api.post(f"{path}/query", query).json()["metadatas"] == [[{"n": str(LARGE)}, None]]


def test_sql_as_json(api: Api, cloud: str) -> None:
    def ask(statement: str, **more: Any) -> Any:
        body = {"sql": statement, **more}
        return api.post(f"{DATABASE}/chroma-arrow/sql", body, headers={"accept": "application/json"})

    found = ask("select id, n from cloud order by n nulls last", max_rows=2).json()
    assert [column["name"] for column in found["columns"]] == ["id", "n"]
    assert (found["rows"], found["truncated"]) == ([["r1", 1], ["r2", 2]], True)
    assert ask("select id from cloud where n > 37").json()["truncated"] is False
    values = (
        "select 9007199254740993 a, 1.5::decimal(9,2) b, timestamp '2024-01-02 03:04:05' c, [1, null] d, "
        "'x'::blob e, {'k': date '2024-01-02'} f, 'nan'::double g, "
        "170141183460469231731687303715884105727 h, "
        "interval 1 day i, time '01:02:03' j, true k, null l"
    )
    (row,) = ask(values, integers="text").json()["rows"]
    assert row[:6] == [
        str(LARGE),
        1.5,
        "2024-01-02 03:04:05.000000",
        [1, None],
        "eA==",
        {"k": "2024-01-02"},
    ]
    assert row[6] == "nan" and row[10:] == [True, None]
    refused(ask("select nothing from cloud"), 400, "InvalidArgumentError")
    refused(ask("select 1", max_rows=10**6), 422, "ChromaError")
    arrow = api.post(f"{DATABASE}/chroma-arrow/sql", {"sql": "select 1"})
    assert arrow.headers["content-type"] == "application/vnd.apache.arrow.stream"


def test_exports_as_files(api: Api, cloud: str) -> None:
    def ask(**body: Any) -> Any:
        return api.post(f"{cloud}/chroma-arrow/export", body)

    lines = ask(format="jsonl", where={"n": {"$lt": 4}}, include=["documents", "metadatas"])
    assert lines.headers["content-disposition"] == 'attachment; filename="cloud.jsonl"'
    records = [json.loads(line) for line in lines.text.splitlines()]
    assert records[2] == {
        "id": "r3", "document": 'say "hello", or\nnot', "metadata": {"n": 3, "side": "left"},
    }  # fmt: skip
    table = ask(format="csv", include=["documents", "metadatas"])
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == 40 and rows[3]["document"] == records[2]["document"] and rows[3]["n"] == "3"
    parquet = pq.read_table(io.BytesIO(ask(format="parquet").content))
    assert parquet.num_rows == 40 and parquet.column("n").to_pylist()[:2] == [None, 1]
    assert len(parquet.column("embedding")[0].as_py()) == 5
    none = ask(format="csv", where={"n": 1000}, include=[])
    assert (none.status_code, none.text) == (200, '"id"\n')
    assert ask(format="jsonl", where={"n": 1000}).text == ""
    refused(ask(format="xlsx"), 422, "ChromaError")


def test_few_heavy_calls_run_at_a_time(api: Api, cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    project = projection.project

    def slow(*arguments: Any) -> Any:
        begun.release()
        assert go.wait(30)
        return project(*arguments)

    monkeypatch.setattr(projection, "project", slow)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(api.post, f"{cloud}/chroma-arrow/projection", {"seed": n}) for n in range(2)]
        for _ in running:
            assert begun.acquire(timeout=30)
        answers = [
            api.post(f"{cloud}/chroma-arrow/projection", {"seed": 2}),
            api.post(f"{cloud}/chroma-arrow/pairs", {}),
            api.post(f"{cloud}/chroma-arrow/embed", {"texts": ["a"]}),
        ]
        assert api.post(f"{cloud}/get", {"limit": 1}).status_code == 200  # others are served
        go.set()
        assert [call.result(30).status_code for call in running] == [200, 200]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert api.post(f"{cloud}/chroma-arrow/pairs", {}).status_code == 200


def test_numbers_of_sql_stay_numbers(api: Api) -> None:
    statement = (
        "select sum(range), 12345678901234567.89::decimal(20,2), 'inf'::float, "
        "99999999999999999999::decimal(20,0), sum(range) / 4 from range(11)"
    )
    path, headers = f"{DATABASE}/chroma-arrow/sql", {"accept": "application/json"}
    (row,) = api.post(path, {"sql": statement}, headers=headers).json()["rows"]
    assert row == [55, "12345678901234567.89", "inf", "99999999999999999999", 13.75]


def test_large_numbers_are_a_scale(api: Api) -> None:
    path = api.collection("stamps")
    stamps = [LARGE + 1000 * row for row in range(13)]
    body = {
        "ids": [str(row) for row in range(13)],
        "embeddings": [[row, 1] for row in range(13)],
        "metadatas": [{"at": stamp, "some": LARGE} for stamp in stamps],
    }
    assert api.post(f"{path}/add", body).status_code == 201
    ask = f"{path}/chroma-arrow/projection"
    assert api.post(ask, {"color_by": "at"}).json()["colors"] == [float(stamp) for stamp in stamps]
    assert api.post(ask, {"color_by": "some"}).json()["colors"] == [str(LARGE)] * 13  # exact, as a category


def test_umap_gets_few_records(api: Api, cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "_MOST_LAID_OUT", 10)
    monkeypatch.setattr(projection, "umap", lambda vectors, space, seed: projection.pca(vectors))
    found = api.post(f"{cloud}/chroma-arrow/projection", {"method": "umap"}).json()
    assert len(found["ids"]) == 10 and found["sampled"] and found["matches"] == 40


def test_the_size_of_a_folder_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    for file in (tmp_path / "a", tmp_path / "gone" / "b"):
        file.write_bytes(b"12345")
    (tmp_path / "link").hardlink_to(tmp_path / "a")  # as a fork has
    assert exploration._folder_bytes(str(tmp_path), 1) == 10
    listed = os.walk

    def removing(path: str) -> Any:
        for found in listed(path):
            shutil.rmtree(tmp_path / "gone", ignore_errors=True)
            yield found

    monkeypatch.setattr(os, "walk", removing)
    assert exploration._folder_bytes(str(tmp_path), 1) == 10  # at most a minute old
    assert exploration._folder_bytes(str(tmp_path), 2) == 5


def test_pairs_keep_the_nearest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour_tables, "_SLACK", 0)
    random = np.random.default_rng(4)
    ids = [f"r{row}" for row in range(60)]
    vectors = np.round(random.normal(size=(60, 2)), 1).astype(np.float32)  # with equal distances
    apart = np.square(vectors[:, None] - vectors[None]).sum(axis=2)
    every, few = neighbour_tables.Pairs(), neighbour_tables.Pairs(7)
    for pairs in (every, few):
        for start in range(0, 60, 10):
            part = range(start, start + 10)
            pairs.begin([ids[row] for row in part])
            hits = [
                Hits(
                    Rows([ids[at] for at in np.argsort(apart[row], kind="stable")[:8]]),
                    np.sort(apart[row])[:8],
                )
                for row in part
            ]
            pairs.add([ids[row] for row in part], hits)
    assert not few.complete and every.complete
    nearest = every.finish().slice(0, 7).column("distance").to_pylist()
    assert few.finish().slice(0, 7).column("distance").to_pylist() == nearest
    assert few.finish().num_rows <= 14


@pytest.mark.parametrize("there", [True, False])
def test_the_console_learns_which_maps_there_are(
    api: Api, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(routes, "installed", lambda package: there)
    told = api.get("/api/v2/auth/identity", headers={"x-chroma-console": "1"}).json()
    assert told["maps"] == (["pca", "umap"] if there else ["pca"])
    assert (
        "maps" not in api.get("/api/v2/auth/identity").json()
    )  # clients refuse fields that they do not know
