"""Configuration: what is accepted, echoed, kept, refused."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.checks import fill, refused

DEFAULTS = {
    "space": "l2",
    "ef_construction": 100,
    "ef_search": 100,
    "max_neighbors": 16,
    "resize_factor": 1.2,
    "sync_threshold": 1000,
}


def hnsw(collection: Any) -> dict[str, Any]:
    return dict(collection.configuration_json["hnsw"])


def test_the_defaults(client: Any) -> None:
    configuration = client.create_collection("things", embedding_function=None).configuration_json
    assert DEFAULTS.items() <= configuration["hnsw"].items()
    assert configuration["spann"] is None
    assert configuration["embedding_function"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("space", "cosine"),
        ("ef_construction", 200),
        ("ef_search", 50),
        ("max_neighbors", 32),
        ("resize_factor", 1.5),
        ("sync_threshold", 500),
    ],
)
def test_each_key_is_stored_and_echoed(client: Any, reopen: Any, key: str, value: Any) -> None:
    collection = client.create_collection("things", configuration={"hnsw": {key: value}})
    assert hnsw(collection) == {**hnsw(collection), **DEFAULTS, key: value}
    assert hnsw(reopen(client).get_collection("things"))[key] == value


@pytest.mark.parametrize(("key", "value"), [("num_threads", 1), ("batch_size", 50)])
def test_threads_and_batch_size_are_echoed(client: Any, key: str, value: int) -> None:
    """Edge 41."""
    client.create_collection("things", configuration={"hnsw": {key: value}})
    assert hnsw(client.get_collection("things"))[key] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("space", "manhattan"),
        ("space", 5),
        ("ef_search", "many"),
        ("ef_construction", 1.5),
        ("unheard_of", 1),
    ],
)
def test_a_bad_key_or_value_is_refused(client: Any, key: str, value: Any) -> None:
    with refused(key):
        client.create_collection("things", configuration={"hnsw": {key: value}})
    assert client.count_collections() == 0


@pytest.mark.parametrize(
    ("key", "value"), [("max_neighbors", 0), ("max_neighbors", -1), ("ef_search", 0), ("ef_construction", 0)]
)
def test_numbers_out_of_range_are_refused(client: Any, key: str, value: int) -> None:
    """Edge 41."""
    with refused(key, str(value)):
        client.create_collection("things", configuration={"hnsw": {key: value}})


@pytest.mark.parametrize(
    ("key", "value"),
    [("ef_search", 55), ("sync_threshold", 77), ("resize_factor", 1.9), ("max_neighbors", 24)],
)
def test_mutable_keys_can_be_modified(client: Any, collection: Any, key: str, value: Any) -> None:
    collection.modify(configuration={"hnsw": {key: value}})
    assert hnsw(collection)[key] == value
    assert hnsw(client.get_collection("things"))[key] == value


def test_modified_keys_leave_the_others_alone(client: Any) -> None:
    collection = client.create_collection("things", configuration={"hnsw": {"space": "ip", "ef_search": 33}})
    collection.modify(configuration={"hnsw": {"sync_threshold": 50}})
    stored = hnsw(client.get_collection("things"))
    assert (stored["space"], stored["ef_search"], stored["sync_threshold"]) == ("ip", 33, 50)


@pytest.mark.parametrize("key", ["space", "ef_construction", "unheard_of"])
def test_fixed_and_unknown_keys_cannot_be_modified(collection: Any, key: str) -> None:
    before = hnsw(collection)
    with refused(key):
        collection.modify(configuration={"hnsw": {key: "cosine" if key == "space" else 50}})
    assert hnsw(collection) == before


def test_spann_cannot_be_modified_into_an_hnsw_collection(client: Any, collection: Any) -> None:
    with refused("spann"):
        collection.modify(configuration={"spann": {"search_nprobe": 10}})
    assert client.get_collection("things").configuration_json["spann"] is None


def test_hnsw_and_spann_exclude_each_other(client: Any) -> None:
    with refused("cannot both be provided"):
        client.create_collection("things", configuration={"hnsw": {}, "spann": {}})


def test_spann_warns_that_it_becomes_hnsw(client: Any) -> None:
    """Edge 41."""
    with pytest.warns(UserWarning, match="spann"):
        collection = client.create_collection("things", configuration={"spann": {"search_nprobe": 10}})
    assert hnsw(collection)["space"] == "l2"


@pytest.mark.parametrize(
    ("legacy", "key", "value"),
    [
        ("hnsw:space", "space", "cosine"),
        ("hnsw:construction_ef", "ef_construction", 150),
        ("hnsw:search_ef", "ef_search", 60),
        ("hnsw:M", "max_neighbors", 20),
        ("hnsw:sync_threshold", "sync_threshold", 40),
        ("hnsw:resize_factor", "resize_factor", 1.7),
    ],
)
def test_legacy_metadata_keys_configure_and_stay_visible(
    client: Any, legacy: str, key: str, value: Any
) -> None:
    collection = client.create_collection("things", metadata={legacy: value, "note": "x"})
    assert hnsw(collection)[key] == value
    assert collection.metadata == {legacy: value, "note": "x"}


def test_an_explicit_configuration_wins_over_metadata(client: Any) -> None:
    collection = client.create_collection(
        "things", metadata={"hnsw:space": "cosine"}, configuration={"hnsw": {"space": "ip"}}
    )
    assert hnsw(collection)["space"] == "ip"


def test_an_unknown_legacy_space_is_refused(client: Any) -> None:
    with refused("manhattan"):
        client.create_collection("things", metadata={"hnsw:space": "manhattan"})


def test_mutable_keys_keep_the_records_findable(client: Any, collection: Any) -> None:
    fill(collection, 50)
    client.compact()
    collection.modify(configuration={"hnsw": {"max_neighbors": 8, "ef_search": 20}})
    client.compact()
    assert collection.query(query_embeddings=[[7, 0]], n_results=1)["ids"] == [["r7"]]
