"""What programs written for Chroma do with clients and collections besides calling them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import EmbeddingFunction
from chroma.embedding import register_embedding_function
from chroma.errors import ClosedError, InvalidArgumentError
from tests.support import driven


class Lengths(EmbeddingFunction[Any]):
    """Embeds a text as its length, an image as its sum."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [np.full(3, len(x) if isinstance(x, str) else np.sum(x), np.float32) for x in input]

    @staticmethod
    def name() -> str:
        return "lengths"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Lengths:
        return Lengths()


class CalledOpenAI(Lengths):
    @staticmethod
    def name() -> str:
        return "openai"


class CalledDefault(Lengths):
    @staticmethod
    def name() -> str:
        return "default"


def loader(uris: Any) -> list[Any]:
    return [np.full((2, 2), float(len(uri))) for uri in uris]


# ---------------------------------------------------------------------------- copies


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_collection_is_a_handle_on_the_same(client: Any, how: Any) -> None:
    things = client.create_collection("things", embedding_function=Lengths())
    other = how(things)
    assert other is not things and other == things
    if isinstance(things, driven.Driven):
        return  # the copy is one of the stand-in that drives it
    other.add(ids=["a"], documents=["four"])
    assert things.get(include=["embeddings"])["embeddings"].tolist() == [[4, 4, 4]]
    other.modify(name="renamed")
    assert (things.name, other.name) == ("things", "renamed")  # as with two handles that were opened


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_client_shares_its_connection(tmp_path: Any, how: Any) -> None:
    client = chroma.PersistentClient(tmp_path)
    client.create_collection("things", embedding_function=None)
    other = how(client)
    assert [each.name for each in other.list_collections()] == ["things"]
    assert how({"clients": [client]})["clients"][0].count_collections() == 1
    other.close()
    with pytest.raises(ClosedError):
        client.list_collections()
    client.close()


def test_pickles_say_what_to_do_instead(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    with pytest.raises(TypeError, match=r"'things' cannot be pickled, .*get_collection"):
        pickle.dumps(things)
    with pytest.raises(TypeError, match=r"Client cannot be pickled, .*open another client"):
        pickle.dumps(client)


# ---------------------------------------------------------------------------- attributes


def test_the_function_of_a_handle_may_be_read_and_set(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    assert things._embedding_function is None
    things._embedding_function = Lengths()
    assert isinstance(things._embedding_function, Lengths)
    things.add(ids=["a"], documents=["four"])
    assert things.query(query_texts=["four"])["distances"] == [[0.0]]
    with pytest.raises(InvalidArgumentError, match="embedding_function"):
        things._embedding_function = 5
    stored = client.create_collection("stored", embedding_function=Lengths())
    assert isinstance(client.get_collection("stored")._embedding_function, Lengths)
    assert isinstance(stored._embedding_function, Lengths)


def test_the_loader_of_a_handle_may_be_read_and_set(client: Any) -> None:
    things = client.create_collection("things", embedding_function=Lengths())
    assert things._data_loader is None
    things._data_loader = loader
    things.add(ids=["a"], uris=["xx"])
    assert things._data_loader is loader
    assert things.get(include=["embeddings"])["embeddings"].tolist() == [[8, 8, 8]]


def test_other_attributes_of_chromas_are_read_only(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    assert things._model == things.get_model()
    assert client._identifier and client._system.settings is client.get_settings()
    for owner, name in [
        (things, "_client"), (things, "_model"), (things, "name"), (things, "id"), (things, "metadata"),
        (client, "_server"), (client, "_system"), (client, "_identifier"), (client, "_admin_client"),
    ]:  # fmt: skip
        with pytest.raises(AttributeError):
            setattr(owner, name, 1)
    with pytest.raises(AttributeError, match="set_tenant"):
        client.tenant = "other"
    with pytest.raises(AttributeError, match="set_database"):
        client.database = "other"
    with pytest.raises(AttributeError, match="methods of the client"):
        _ = client._server


def test_the_client_of_a_collection(tmp_path: Any) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        assert [each.name for each in things._client.list_collections()] == ["things"]
        assert things._client.get_max_batch_size() == client.get_max_batch_size()
        assert client._admin_client.get_tenant("default_tenant")["name"] == "default_tenant"


def test_stopping_the_system_closes_the_client(tmp_path: Any) -> None:
    client = chroma.PersistentClient(tmp_path)
    client._system.stop()
    with pytest.raises(ClosedError):
        client.list_collections()


# ---------------------------------------------------------------------------- functions of one's own


@pytest.mark.parametrize("function", [CalledOpenAI, CalledDefault])
def test_a_function_with_the_name_of_a_built_in_one_is_used(client: Any, function: Any) -> None:
    with pytest.warns(UserWarning, match="belongs to a built-in embedding function"):
        things = client.create_collection("things", embedding_function=function())
    things.add(ids=["a"], documents=["four"])
    for _ in range(2):
        again = client.get_collection("things", embedding_function=function())
        assert again.query(query_texts=["four"])["distances"] == [[0.0]]
        assert isinstance(again._embedding_function, function)
    assert things.configuration_json["embedding_function"] == {"type": "legacy"}
    with pytest.raises(InvalidArgumentError, match="embedding_function="):
        client.get_collection("things").query(query_texts=["four"])  # never with the built-in one in silence


def test_registering_it_is_still_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="belongs to a built-in function"):
        register_embedding_function(CalledOpenAI)


# ---------------------------------------------------------------------------- uris


def test_an_upsert_of_uris_embeds_what_they_point_to(client: Any) -> None:
    things = client.create_collection("things", embedding_function=Lengths(), data_loader=loader)
    things.upsert(ids=["a", "b"], uris=["x", "xx"])
    things.upsert(ids=["a", "c"], uris=["xxx", "xxxx"])
    found = things.get(include=["embeddings", "uris"])
    assert found["uris"] == ["xxx", "xx", "xxxx"]
    assert found["embeddings"][:, 0].tolist() == [12, 8, 16]
    for write in (things.add, things.upsert):
        with pytest.raises(InvalidArgumentError, match=r"uris\[1\] is None"):
            write(ids=["y", "z"], uris=["x", None])
    things.upsert(ids=["a"], metadatas=[{"n": 1}])
    things.update(ids=["b"], uris=["xxxxx"])  # as with Chroma, an update of uris embeds nothing
    assert things.get(include=["embeddings"])["embeddings"][:, 0].tolist() == [12, 8, 16]
    things.upsert(ids=["a"], uris=["x"], documents=["text"])  # the documents are what is embedded
    assert things.get(ids=["a"], include=["embeddings"])["embeddings"][:, 0].tolist() == [4]
    things.upsert(ids=["a"], uris=["xx"], embeddings=[[7, 7, 7]])
    assert things.get(ids=["a"], include=["embeddings"])["embeddings"][:, 0].tolist() == [7]


def test_an_upsert_of_uris_without_a_loader_keeps_the_vectors(client: Any) -> None:
    things = client.create_collection("things", embedding_function=Lengths())
    things.add(ids=["a"], embeddings=[[1, 2, 3]])
    things.upsert(ids=["a"], uris=["x"])
    assert things.get(include=["embeddings", "uris"])["uris"] == ["x"]
    with pytest.raises(InvalidArgumentError):
        things.upsert(ids=["new"], uris=["x"])


# ---------------------------------------------------------------------------- spann


def test_spann_keeps_its_space(client: Any) -> None:
    settings = {"space": "cosine", "ef_search": 50, "max_neighbors": 24, "search_nprobe": 10}
    with pytest.warns(UserWarning, match="spann.*hnsw index, with .*cosine"):
        things = client.create_collection(
            "things", embedding_function=None, configuration={"spann": settings}
        )
    found = client.get_collection("things").configuration_json["hnsw"]
    assert things.configuration_json["hnsw"] == found
    assert (found["space"], found["ef_search"], found["max_neighbors"]) == ("cosine", 100, 16)
    things.add(ids=["a", "b"], embeddings=[[1, 0], [0, 9]])
    assert things.query(query_embeddings=[[5, 0]])["distances"] == [[0.0, 1.0]]
    with pytest.warns(UserWarning), pytest.raises(InvalidArgumentError, match="space"):
        client.create_collection("others", configuration={"spann": {"space": "round"}})
