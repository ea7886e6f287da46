"""Collections over the raw API: addressing, bodies, statuses."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import DATABASE, Api, refused

COLLECTIONS = f"{DATABASE}/collections"
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_the_object(api: Api) -> None:
    function = {"type": "known", "name": "default", "config": {}}
    body = {
        "name": "things",
        "metadata": {"a": 1, "b": 2.0, "c": True, "d": "x"},
        "configuration": {"hnsw": {"space": "cosine", "ef_search": 50}, "embedding_function": function},
        "schema": None,
        "more": 1,
    }
    answer = api.post(COLLECTIONS, body)
    assert answer.status_code == 200
    found = answer.json()
    assert {key: found[key] for key in ("name", "tenant", "database", "dimension")} == {
        "name": "things", "tenant": "default_tenant", "database": "default_database", "dimension": None,
    }  # fmt: skip
    assert (found["version"], found["log_position"]) == (0, 0)
    assert found["metadata"] == body["metadata"]
    assert '"b":2.0' in answer.text
    configuration = found["configuration_json"]
    assert configuration["hnsw"] == {
        "space": "cosine", "ef_construction": 100, "ef_search": 50, "max_neighbors": 16,
        "resize_factor": 1.2, "sync_threshold": 1000,
    }  # fmt: skip
    assert configuration["spann"] is None
    assert configuration["embedding_function"] == function
    index = found["schema"]["keys"]["#embedding"]["float_list"]["vector_index"]
    assert index["config"]["space"] == "cosine"
    assert index["config"]["source_key"] == "#document"
    assert api.get(f"{COLLECTIONS}/things").json() == found
    assert api.get(f"{COLLECTIONS}/by-id/{found['id']}").json() == found
    assert api.get(COLLECTIONS).json() == [found]
    assert api.get(f"{DATABASE}/collections_count").content == b"1"


def test_addressed_by_name_or_by_id(api: Api) -> None:
    path = api.collection()
    id = path.rpartition("/")[2]
    refused(api.get(path), 404, "NotFoundError")  # this route takes a name
    refused(api.request("DELETE", path), 404, "NotFoundError")
    refused(api.get(f"{COLLECTIONS}/by-id/things"), 400, "InvalidArgumentError")
    refused(api.get(f"{COLLECTIONS}/by-id/{NOBODY}"), 404, "NotFoundError")
    refused(api.get(f"{COLLECTIONS}/things/count"), 400, "InvalidArgumentError")
    refused(api.get(f"{COLLECTIONS}/{NOBODY}/count"), 404, "NotFoundError")
    assert api.get(f"{COLLECTIONS}/{id}/count").content == b"0"
    assert api.request("DELETE", f"{COLLECTIONS}/things").json() == {}
    refused(api.get(f"{path}/count"), 404, "NotFoundError")


def test_tenant_and_database_are_enforced(api: Api) -> None:
    path = api.collection()
    api.post("/api/v2/tenants", {"name": "other"})
    api.post("/api/v2/tenants/other/databases", {"name": "default_database"})
    api.post("/api/v2/tenants/default_tenant/databases", {"name": "second"})
    record = {"ids": ["a"], "embeddings": [[1.0]]}
    for foreign in (
        path.replace("default_tenant", "other"),
        path.replace("default_tenant", "nobody"),
        path.replace("default_database", "second"),
        path.replace("default_database", "nothing"),
    ):
        for verb, body in (
            ("add", record), ("upsert", record), ("update", {"ids": ["a"]}), ("get", {}), ("delete", {}),
            ("delete", {"ids": ["a"]}), ("query", {"query_embeddings": [[1.0]]}),
            ("fork", {"new_name": "new"}),
            ("query", {"query_embeddings": []}), ("add", {"ids": [], "embeddings": []}),
            ("chroma-arrow/count", {}), ("chroma-arrow/known_ids", {"ids": ["a"]}),
            ("chroma-arrow/recall", {}), ("chroma-arrow/compact", {}),
        ):  # fmt: skip
            refused(api.post(f"{foreign}/{verb}", body), 404, "NotFoundError")
        for verb in ("count", "indexing_status", "chroma-arrow/stats"):
            refused(api.get(f"{foreign}/{verb}"), 404, "NotFoundError")
        refused(api.request("PUT", foreign, json={"new_name": "new"}), 404, "NotFoundError")
        refused(api.request("PUT", foreign, json={}), 404, "NotFoundError")
    assert api.get(f"{path}/count").content == b"0"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": None}, 422),
        ({"name": 5}, 422),
        ({"name": "x"}, 400),
        ({"name": "things", "metadata": {}}, 400),
        ({"name": "things", "metadata": {"a": None}}, 422),
        ({"name": "things", "metadata": {"a": {"b": 1}}}, 422),
        ({"name": "things", "metadata": []}, 422),
        ({"name": "things", "get_or_create": "yes"}, 422),
        ({"name": "things", "configuration": []}, 422),
        ({"name": "things", "configuration": {"hnsw": {"nope": 1}}}, 422),
        ({"name": "things", "configuration": {"hnsw": {"space": "l3"}}}, 422),
        ({"name": "things", "configuration": {"hnsw": {"space": ["l2"]}}}, 422),
        ({"name": "things", "configuration": {"hnsw": {"ef_search": "9"}}}, 422),
        ({"name": "things", "configuration": {"hnsw": {"ef_search": 0}}}, 400),
        ({"name": "things", "configuration": {"hnsw": {}, "spann": {}}}, 400),
        ({"name": "things", "configuration": {"embedding_function": {"type": "other"}}}, 422),
        ({"name": "things", "configuration": {"embedding_function": {"type": "known"}}}, 422),
        ({"name": "things", "schema": {"keys": {}}}, 422),
        ({"name": "things", "schema": []}, 422),
    ],
)
def test_bodies_that_are_refused(api: Api, body: Any, status: int) -> None:
    name = "InvalidArgumentError" if status == 400 else "ChromaError"
    refused(api.post(COLLECTIONS, body), status, name)
    assert api.get(COLLECTIONS).json() == []


ON: dict[str, Any] = {"enabled": True, "config": {}}
OFF: dict[str, Any] = {"enabled": False, "config": {}}


def of_vectors(**config: Any) -> dict[str, Any]:
    return {"#embedding": {"float_list": {"vector_index": {"enabled": True, "config": config}}}}


def of_sparse(enabled: bool = True, **config: Any) -> dict[str, Any]:
    return {"sparse_vector": {"sparse_vector_index": {"enabled": enabled, "config": config}}}


@pytest.mark.parametrize(
    ("schema", "status"),
    [
        ({"defaults": {}}, 422),
        ({"defaults": None, "keys": {}}, 422),
        ({"defaults": {}, "keys": []}, 422),
        (
            {"defaults": {"string": {"string_inverted_index": {"enabled": "x", "config": {}}}}, "keys": {}},
            422,
        ),
        ({"defaults": {"string": {"string_inverted_index": {"enabled": True}}}, "keys": {}}, 422),
        ({"defaults": {"string": {"string_inverted_index": {"config": {}}}}, "keys": {}}, 422),
        ({"defaults": {}, "keys": of_vectors(space="other")}, 422),
        ({"defaults": {}, "keys": of_vectors(hnsw={"other": 1})}, 422),
        ({"defaults": {}, "keys": of_vectors(hnsw={"ef_search": "x"})}, 422),
        ({"defaults": {}, "keys": of_vectors(hnsw={"ef_search": 0})}, 400),
        ({"defaults": {}, "keys": of_vectors(spann={"search_nprobe": "x"})}, 422),
        ({"defaults": {}, "keys": of_vectors(spann={"other": 1})}, 422),
        ({"defaults": {}, "keys": of_vectors(embedding_function={"type": "other"})}, 422),
        ({"defaults": {}, "keys": of_vectors(source_key="title")}, 400),
        ({"defaults": {}, "keys": of_vectors(source_key="#other")}, 400),
        ({"defaults": {}, "keys": of_vectors(hnsw={"ef_search": 3}, spann={"search_nprobe": 3})}, 400),
        ({"defaults": {"string": {"fts_index": ON}}, "keys": {}}, 400),
        ({"defaults": of_sparse(), "keys": {}}, 400),
        ({"defaults": {"float_list": {"vector_index": ON}}, "keys": {}}, 400),
        ({"defaults": {}, "keys": {"a": {"string": {"fts_index": ON}}}}, 400),
        ({"defaults": {}, "keys": {"a": {"float_list": {"vector_index": ON}}}}, 400),
        ({"defaults": {}, "keys": {"#document": {"int": {"int_inverted_index": ON}}}}, 400),
        ({"defaults": {}, "keys": {"#document": {"string": {"string_inverted_index": ON}}}}, 400),
        ({"defaults": {}, "keys": {"#embedding": {"string": {"string_inverted_index": OFF}}}}, 400),
        ({"defaults": {}, "keys": {"#other": {"string": {"string_inverted_index": OFF}}}}, 400),
        ({"defaults": {}, "keys": {"a": of_sparse(source_key="b")}}, 400),
        ({"defaults": {}, "keys": {"a": of_sparse(False, source_key="#b")}}, 400),
        ({"defaults": {}, "keys": {"a": of_sparse(bm25="yes")}}, 422),
        ({"defaults": {}, "keys": {"a": of_sparse(source_key=3)}}, 422),
        ({"defaults": {}, "keys": {}, "cmek": "x"}, 422),
        ({"defaults": {}, "keys": {}, "cmek": {"gcp": "x"}}, 400),
    ],
)
def test_schemas_that_are_refused(api: Api, schema: Any, status: int) -> None:
    name = "InvalidArgumentError" if status == 400 else "ChromaError"
    refused(api.post(COLLECTIONS, {"name": "things", "schema": schema}), status, name)
    assert api.get(COLLECTIONS).json() == []


@pytest.mark.parametrize(
    "schema",
    [
        {"defaults": {}, "keys": {}},
        {"defaults": {"other": {}, "string": {"other": ON}, "int": None}, "keys": {}, "more": 1},
        {"defaults": {"float_list": {"vector_index": OFF}}, "keys": {"a": {"other": {"index": ON}}}},
        {"defaults": {}, "keys": {"a": of_sparse(algorithm="wand")}},
        {"defaults": {}, "keys": {"a": of_sparse(), "b": of_sparse(bm25=True)}},
        {"defaults": {}, "keys": {"a": {"string": {"fts_index": OFF}, "float_list": {"vector_index": OFF}}}},
        {"defaults": {}, "keys": of_vectors(embedding_function=None, hnsw=None)},
    ],
)
def test_schemas_that_are_taken_are_completed(api: Api, schema: Any) -> None:
    answer = api.post(COLLECTIONS, {"name": "things", "schema": schema})
    assert answer.status_code == 200
    found = answer.json()["schema"]
    assert found["defaults"]["int"] == {"int_inverted_index": ON}
    assert found["keys"]["#document"]["string"]["fts_index"] == ON
    index = found["keys"]["#embedding"]["float_list"]["vector_index"]
    assert (index["config"]["source_key"], index["config"]["space"]) == ("#document", "l2")
    assert index["config"]["hnsw"]["max_neighbors"] == 16
    again = api.post(COLLECTIONS, {"name": "again", "schema": found})
    assert again.json()["schema"] == found


def test_settings_of_unknown_names(api: Api) -> None:
    for name in ("hnsw", "spann"):
        for unknown in ("self", "other"):
            config = {name: {unknown: 1}}
            index = {"enabled": True, "config": config}
            schema = {"defaults": {}, "keys": {"#embedding": {"float_list": {"vector_index": index}}}}
            answer = api.post(COLLECTIONS, {"name": "things", "schema": schema})
            assert "Extra inputs are not permitted" in refused(answer, 422, "ChromaError")


def test_a_schema_beside_a_configuration(api: Api) -> None:
    schema = {"defaults": {}, "keys": {"a": {"string": {"string_inverted_index": OFF}}}}
    for more in (
        {"configuration": {"hnsw": {"space": "cosine"}}},
        {"configuration": {"embedding_function": {"type": "known", "name": "other", "config": {}}}},
        {"metadata": {"hnsw:space": "cosine"}},
    ):
        answer = api.post(COLLECTIONS, {"name": "things", "schema": schema, **more})
        assert "Cannot set both collection config" in refused(answer, 400, "InvalidArgumentError")
    function = {"type": "known", "name": "default", "config": {}}
    plain = {"hnsw": {"space": "l2"}, "embedding_function": function}
    made = api.post(COLLECTIONS, {"name": "things", "schema": schema, "configuration": plain}).json()
    assert made["schema"]["keys"]["a"] == schema["keys"]["a"]  # type: ignore[index]
    only_space = {"defaults": {"float_list": {"vector_index": OFF | {"config": {"space": "ip"}}}}, "keys": {}}
    other = api.post(COLLECTIONS, {"name": "other", "schema": only_space}).json()
    assert other["configuration_json"]["hnsw"]["space"] == "ip"
    path = f"{COLLECTIONS}/{made['id']}"
    api.post(f"{path}/add", {"ids": ["x"], "embeddings": [[1]], "metadatas": [{"a": "b"}]})
    for verb, body in (
        ("get", {"where": {"a": "b"}}),
        ("delete", {"where": {"a": "b"}}),
        ("query", {"query_embeddings": [[1]], "where": {"a": "b"}}),
        ("search", {"searches": [{"filter": {"a": "b"}}]}),
    ):
        told = refused(api.post(f"{path}/{verb}", body), 400, "InvalidArgumentError")
        assert "because indexing is disabled" in told


def test_a_taken_name(api: Api) -> None:
    first = api.post(COLLECTIONS, {"name": "things", "metadata": {"a": 1}}).json()
    refused(api.post(COLLECTIONS, {"name": "things"}), 409, "UniqueConstraintError")
    again = api.post(COLLECTIONS, {"name": "things", "metadata": {"b": 1}, "get_or_create": True})
    assert (again.status_code, again.json()) == (200, first)


def test_spann_alone_becomes_hnsw(api: Api) -> None:
    body = {"name": "things", "configuration": {"spann": {"search_nprobe": 3}, "unknown": 1}}
    assert api.post(COLLECTIONS, body).json()["configuration_json"]["hnsw"]["space"] == "l2"


def test_a_named_function_is_kept_and_never_looked_into(api: Api) -> None:
    function = {"type": "known", "name": "os.system", "config": {"command": "true", "deep": [{"a": None}]}}
    body = {"name": "things", "configuration": {"embedding_function": function}}
    assert api.post(COLLECTIONS, body).json()["configuration_json"]["embedding_function"] == function


def test_modify(api: Api) -> None:
    path = api.collection(metadata={"a": 1, "b": 2})
    api.collection("taken")

    def change(**body: Any) -> Any:
        return api.request("PUT", path, json=body)

    assert change().status_code == 200
    assert change(new_metadata={"c": 3, "none": None}).json()["metadata"] == {"c": 3}
    refused(change(new_metadata={}), 400, "InvalidArgumentError")
    refused(change(new_metadata={"hnsw:space": "ip"}), 400, "InvalidArgumentError")
    assert change(new_metadata={"none": None}).json()["metadata"] is None
    wanted = {"hnsw": {"ef_search": 33}, "spann": None, "embedding_function": None}
    assert change(new_configuration=wanted).json()["configuration_json"]["hnsw"]["ef_search"] == 33
    refused(change(new_configuration={"hnsw": {"space": "ip"}}), 422, "ChromaError")
    refused(change(new_configuration={"spann": {}}), 400, "InvalidArgumentError")
    refused(change(new_name="taken"), 409, "UniqueConstraintError")
    refused(change(new_name="no"), 400, "InvalidArgumentError")
    assert change(new_name="renamed").json()["name"] == "renamed"
    assert api.get(f"{COLLECTIONS}/renamed").json()["configuration_json"]["hnsw"]["ef_search"] == 33


def test_pages_in_the_order_of_creation(api: Api) -> None:
    names = [f"name{number}" for number in range(5)]
    for name in names:
        api.collection(name)
    page = api.get(f"{COLLECTIONS}?limit=2&offset=1").json()
    assert [entry["name"] for entry in page] == names[1:3]
    assert api.get(f"{COLLECTIONS}?limit=0").json() == []


def test_fork_and_status(api: Api, things: str) -> None:
    copy = api.post(f"{things}/fork", {"new_name": "copy"}).json()
    assert api.get(f"{COLLECTIONS}/{copy['id']}/count").content == b"3"
    refused(api.post(f"{things}/fork", {"new_name": "copy"}), 409, "UniqueConstraintError")
    refused(api.post(f"{things}/fork", {}), 422, "ChromaError")
    status = api.get(f"{things}/indexing_status").json()
    assert status["total_ops"] == 3
    assert status["num_indexed_ops"] + status["num_unindexed_ops"] == 3
    assert 0 <= status["op_indexing_progress"] <= 1


def test_what_only_hosted_servers_have(api: Api, things: str) -> None:
    refused(api.get(f"{things}/fork_count"), 501, "ChromaError")
    refused(api.post(f"{things}/functions/attach", {"name": "f"}), 501, "ChromaError")
    refused(api.get(f"{things}/functions/f"), 404, "NotFoundError")
    refused(api.post(f"{things}/attached_functions/f/detach", {}), 501, "ChromaError")
    refused(api.get("/api/v2/collections/a:b:c"), 501, "ChromaError")
    refused(api.get("/api/v2/collections/abc"), 400, "InvalidArgumentError")
