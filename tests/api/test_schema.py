"""Collections with a schema, on every kind of client."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import chroma
from chroma import (
    BoolInvertedIndexConfig,
    Cmek,
    EmbeddingFunction,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    HnswIndexConfig,
    IntInvertedIndexConfig,
    K,
    Knn,
    Schema,
    Search,
    SpannIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)
from chroma.errors import InvalidArgumentError
from chroma.utils.embedding_functions import ChromaBm25EmbeddingFunction, register_embedding_function

ON: dict[str, Any] = {"enabled": True, "config": {}}
OFF: dict[str, Any] = {"enabled": False, "config": {}}


@register_embedding_function
class Lengths(EmbeddingFunction[Any]):
    """Embeds a text by its length."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [[float(len(text)), 1.0] for text in input]

    @staticmethod
    def name() -> str:
        return "lengths of tests"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Lengths:
        return Lengths()

    def default_space(self) -> Any:
        return "ip"


@register_embedding_function
class Widths(Lengths):
    @staticmethod
    def name() -> str:
        return "widths of tests"

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Widths:
        return Widths()


class Nameless(EmbeddingFunction[Any]):
    def __call__(self, input: Any) -> Any:
        return [[float(len(text)), 2.0] for text in input]


def without(*configs: Any, key: str | None = None) -> Schema:
    schema = Schema()
    for config in configs:
        schema.delete_index(config, key)
    return schema


def vectors(schema: Schema) -> Any:
    """The settings of vectors."""
    found = schema.keys["#embedding"].float_list
    assert found is not None and found.vector_index is not None and found.vector_index.enabled
    return found.vector_index.config


def names(collection: Any, **how: Any) -> list[str]:
    found: list[str] = collection.get(**how)["ids"]
    return found


# -- stored and returned


def test_every_collection_has_a_schema(client: Any, reopen: Callable[[Any], Any]) -> None:
    configuration = {"hnsw": {"space": "cosine", "ef_search": 7}}
    made = client.create_collection("plain", configuration=configuration, embedding_function=None)
    for found in (made, client.get_collection("plain"), reopen(client).get_collection("plain")):
        form = found.schema.serialize_to_json()
        assert form["keys"]["#document"] == {"string": {"fts_index": ON, "string_inverted_index": OFF}}
        assert vectors(found.schema).space == "cosine"
        assert vectors(found.schema).hnsw.ef_search == 7
        assert vectors(found.schema).hnsw.max_neighbors == 16
        assert vectors(found.schema).source_key == "#document"
        assert found.schema.defaults.sparse_vector.sparse_vector_index.enabled is False
        assert found.schema.defaults.sparse_vector.sparse_vector_index.config.bm25 is False


def test_a_schema_is_kept(client: Any, reopen: Callable[[Any], Any]) -> None:
    bm25 = ChromaBm25EmbeddingFunction(k=1.5)
    schema = (
        without(StringInvertedIndexConfig(), key="raw")
        .delete_index(FtsIndexConfig(), K.DOCUMENT)
        .delete_index(FloatInvertedIndexConfig())
        .create_index(
            SparseVectorIndexConfig(embedding_function=bm25, source_key="#document", bm25=True), "lex"
        )
        .create_index(SparseVectorIndexConfig(), "other")
        .create_index(VectorIndexConfig(space="cosine", hnsw=HnswIndexConfig(ef_search=9)))
    )
    made = client.create_collection("things", schema=schema)
    copy = made.fork("copy")
    made.modify(configuration={"hnsw": {"ef_search": 11}}, name="renamed")
    client = reopen(client)
    for found, ef_search in (
        (made, 11), (client.get_collection("renamed"), 11), (client.get_collection("copy"), 9), (copy, 9),
        (next(each for each in client.list_collections() if each.name == "copy"), 9),
    ):  # fmt: skip
        read = found.schema
        assert read.keys["raw"].string.string_inverted_index.enabled is False
        assert read.keys["#document"].string.fts_index.enabled is False
        assert read.defaults.float_value.float_inverted_index.enabled is False
        lex = read.keys["lex"].sparse_vector.sparse_vector_index
        assert (lex.enabled, lex.config.source_key, lex.config.bm25) == (True, "#document", True)
        assert lex.config.embedding_function.get_config() == bm25.get_config()
        assert read.keys["other"].sparse_vector.sparse_vector_index.config.embedding_function is None
        assert vectors(read).space == read.defaults.float_list.vector_index.config.space == "cosine"
        assert vectors(read).hnsw.ef_search == ef_search
        assert found.configuration_json["hnsw"]["space"] == "cosine"
        assert found.configuration_json["hnsw"]["ef_search"] == ef_search


def test_the_first_schema_stays(client: Any) -> None:
    first = client.get_or_create_collection("things", schema=without(IntInvertedIndexConfig(), key="n"))
    again = client.get_or_create_collection(
        "things", schema=Schema().create_index(VectorIndexConfig(space="cosine"))
    )
    assert again.id == first.id
    assert again == client.get_collection("things")
    assert again.schema.keys["n"].int_value.int_inverted_index.enabled is False
    assert vectors(again.schema).space == "l2"
    other = Schema().create_index(VectorIndexConfig(embedding_function=Lengths()))
    assert client.get_or_create_collection("things", schema=other).id == first.id
    client.get_or_create_collection("third", embedding_function=Widths())
    found = client.get_or_create_collection("third", schema=other)
    assert isinstance(found.configuration["embedding_function"], Widths)
    with pytest.raises(InvalidArgumentError, match="conflict"):
        client.get_or_create_collection("third", schema=Schema(), embedding_function=Lengths())
    client.delete_collection("things")
    assert "n" not in client.create_collection("things", schema=Schema()).schema.keys


def test_of_settings_of_spann_the_space_counts(client: Any) -> None:
    settings = SpannIndexConfig(search_nprobe=3, ef_construction=120)
    found = client.create_collection(
        "things", schema=Schema().create_index(VectorIndexConfig(space="ip", spann=settings))
    )
    for each in (found, client.get_collection("things")):
        assert vectors(each.schema).spann is None
        assert vectors(each.schema).space == "ip"
        assert each.configuration_json["hnsw"]["space"] == "ip"
        assert vectors(each.schema).hnsw.ef_construction == 100
    found.add(ids=["a", "b"], embeddings=[[1.0, 0.0], [0.0, 2.0]])
    assert found.query(query_embeddings=[[0.0, 1.0]])["distances"] == [[-1.0, 1.0]]


def test_handles_of_other_schemas_differ(client: Any) -> None:
    made = client.create_collection("things", schema=without(IntInvertedIndexConfig(), key="n"))
    made.add(ids=["a"], embeddings=[[1.0]], metadatas=[{"new": 1}])
    assert made == client.get_collection("things")


# -- keys of records


def test_keys_come_with_the_records(client: Any, reopen: Callable[[Any], Any]) -> None:
    schema = without(StringInvertedIndexConfig()).create_index(StringInvertedIndexConfig(), "known")
    made = client.create_collection("things", schema=schema, embedding_function=None)
    assert set(made.schema.keys) == {"#document", "#embedding", "known"}
    made.add(
        ids=["a", "b"],
        embeddings=[[1.0], [2.0]],
        metadatas=[{"s": "x", "known": "y", "i": 1}, {"f": 1.5, "b": True, "ls": ["x"], "li": [1], "i": 1.5}],
    )
    client = reopen(client)
    for when in ("in a log", "in a segment"):
        found = client.get_collection("things")
        read = {key: found.schema.serialize_to_json()["keys"][key] for key in found.schema.keys}
        text = {"string": {"fts_index": OFF, "string_inverted_index": OFF}}
        assert read["s"] == read["ls"] == text, when
        assert read["known"] == {"string": {"string_inverted_index": ON}}
        assert read["i"] == {"int": {"int_inverted_index": ON}, "float": {"float_inverted_index": ON}}
        assert read["f"] == {"float": {"float_inverted_index": ON}}
        assert read["b"] == {"bool": {"bool_inverted_index": ON}}
        assert read["li"] == {"int": {"int_inverted_index": ON}}
        assert names(found, where={"known": "y"}) == ["a"]
        with pytest.raises(InvalidArgumentError, match="indexing is disabled"):
            found.get(where={"s": "x"})
        found.compact()
    found.upsert(ids=["c"], embeddings=[[1.0]], metadatas=[{"later": True}])
    assert "later" in client.get_collection("things").schema.keys


# -- functions and configurations


def test_the_function_of_the_schema_embeds(client: Any, reopen: Callable[[Any], Any]) -> None:
    schema = Schema().create_index(VectorIndexConfig(embedding_function=Lengths()))
    made = client.create_collection("things", schema=schema)
    assert made.configuration_json["hnsw"]["space"] == "ip"
    made.add(ids=["a"], documents=["abc"])
    found = reopen(client).get_collection("things")
    found.add(ids=["b"], documents=["abcd"])
    assert found.get(include=["embeddings"])["embeddings"].tolist() == [[3.0, 1.0], [4.0, 1.0]]
    assert isinstance(vectors(found.schema).embedding_function, Lengths)


def test_none_says_nothing_beside_a_schema(client: Any) -> None:
    schema = Schema().create_index(VectorIndexConfig(embedding_function=Lengths()))
    made = client.create_collection("things", schema=schema, embedding_function=None)
    assert isinstance(made.configuration["embedding_function"], Lengths)
    vectors_only = Schema().create_index(VectorIndexConfig(embedding_function=None, space="cosine"))
    other = client.create_collection("other", schema=vectors_only)
    assert other.configuration["embedding_function"] is None
    with pytest.raises(InvalidArgumentError, match="embedding function"):
        other.add(ids=["a"], documents=["abc"])


def test_a_function_that_has_no_name_serves_its_handle(client: Any) -> None:
    schema = Schema().create_index(VectorIndexConfig(embedding_function=Nameless(), space="cosine"))
    made = client.create_collection("things", schema=schema)
    made.add(ids=["a"], documents=["abc"])
    assert made.get(include=["embeddings"])["embeddings"].tolist() == [[3.0, 2.0]]
    assert client.get_collection("things").configuration["embedding_function"] is None


def test_an_untouched_schema_leaves_the_configuration(client: Any) -> None:
    made = client.create_collection(
        "things",
        schema=Schema(),
        configuration={"hnsw": {"space": "cosine"}},
        metadata={"hnsw:M": 8},
        embedding_function=Lengths(),
    )
    assert vectors(made.schema).space == "cosine"
    assert vectors(made.schema).hnsw.max_neighbors == 8
    assert isinstance(vectors(made.schema).embedding_function, Lengths)
    same = Schema().create_index(VectorIndexConfig(space="l2", hnsw=HnswIndexConfig(ef_search=100)))
    other = client.create_collection("other", schema=same, configuration={"hnsw": {"space": "ip"}})
    assert vectors(other.schema).space == "ip"


@pytest.mark.parametrize(
    "more",
    [
        {"configuration": {"hnsw": {"space": "cosine"}}},
        {"configuration": {"hnsw": {"ef_search": 7}}},
        {"configuration": {"spann": {"space": "cosine"}}},
        {"configuration": {"embedding_function": Widths()}},
        {"metadata": {"hnsw:space": "cosine"}},
        {"metadata": {"hnsw:M": 16}},
    ],
)
def test_conflicts(client: Any, more: dict[str, Any]) -> None:
    for schema in (
        without(IntInvertedIndexConfig(), key="n"),
        Schema().create_index(VectorIndexConfig(space="cosine")),
        Schema().create_index(SparseVectorIndexConfig(), "lex"),
    ):
        with pytest.raises(InvalidArgumentError, match="Cannot set both collection config and schema"):
            client.create_collection("things", schema=schema, **more)
        assert client.count_collections() == 0


def test_functions_in_conflict(client: Any) -> None:
    of_schema = Schema().create_index(VectorIndexConfig(embedding_function=Lengths()))
    with pytest.raises(InvalidArgumentError, match="Cannot set both collection config and schema"):
        client.create_collection("things", schema=of_schema, embedding_function=Widths())
    both = client.create_collection("both", schema=of_schema, embedding_function=Lengths())
    assert isinstance(both.configuration["embedding_function"], Lengths)
    of_keys = without(IntInvertedIndexConfig(), key="n")  # says nothing about vectors
    beside = client.create_collection("beside", schema=of_keys, embedding_function=Widths())
    assert isinstance(client.get_collection("beside").configuration["embedding_function"], Widths)
    assert beside.configuration_json["hnsw"]["space"] == "ip"
    defaults = {"hnsw": {"space": "l2", "ef_search": 100}}
    client.create_collection("defaults", schema=of_keys, configuration=defaults)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (Schema().set_cmek(Cmek.gcp("projects/a/locations/b/keyRings/c/cryptoKeys/d")), "cmek"),
        ("text", "Expected schema to be a Schema"),
        ({}, "Expected schema to be a Schema"),
        (
            Schema().create_index(VectorIndexConfig(hnsw=HnswIndexConfig(), spann=SpannIndexConfig())),
            "Both spann and hnsw",
        ),
        (Schema().create_index(VectorIndexConfig(hnsw=HnswIndexConfig(ef_search=0))), "ef_search"),
    ],
)
def test_schemas_that_no_collection_has(client: Any, schema: Any, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        client.create_collection("things", schema=schema)


# -- indexes that are off

ALL_OFF = (
    without(StringInvertedIndexConfig(), key="s")
    .delete_index(IntInvertedIndexConfig(), "i")
    .delete_index(FloatInvertedIndexConfig(), "f")
    .delete_index(BoolInvertedIndexConfig(), "b")
)


@pytest.fixture
def switched(client: Any) -> Any:
    made = client.create_collection("switched", schema=ALL_OFF, embedding_function=None)
    made.add(
        ids=["x"],
        embeddings=[[1.0, 2.0]],
        metadatas=[{"s": "a", "i": 1, "f": 1.5, "b": True, "z": 3}],
        documents=["hello"],
    )
    return made


def reads(collection: Any, **filters: Any) -> list[Callable[[], Any]]:
    """Every call that takes filters."""
    calls = [
        lambda: collection.get(**filters),
        lambda: collection.get(ids=["x"], **filters),
        lambda: collection.get(order_by="z", **filters),
        lambda: collection.count(**filters),
        lambda: collection.delete(**filters),
        lambda: collection.query(query_embeddings=[[1.0, 2.0]], **filters),
        lambda: collection.query(query_embeddings=[[1.0, 2.0]], ids=["x"], **filters),
        lambda: collection.facets("z", **filters),
    ]
    if "where" in filters:
        calls.append(lambda: collection.query(query_texts="hello", mode="lexical", **filters))
        calls.append(lambda: collection.search(Search(filters["where"], Knn([1.0, 2.0]))))
        calls.append(lambda: collection.search([Search(), Search({"$or": [{"z": 3}, filters["where"]]})]))
    return calls


@pytest.mark.parametrize(
    ("where", "key", "kind"),
    [
        ({"s": "a"}, "s", "Str"),
        ({"s": {"$ne": "a"}}, "s", "Str"),
        ({"s": {"$nin": ["a"]}}, "s", "Str"),
        ({"s": {"$contains": "a"}}, "s", "Str"),
        ({"s": {"$gt": {"$date": "2024-01-31"}}}, "s", "Str"),
        ({"i": {"$gt": 0}}, "i", "Int"),
        ({"i": {"$in": [1, 2]}}, "i", "Int"),
        ({"f": 1.5}, "f", "Float"),
        ({"b": True}, "b", "Bool"),
        ({"s": {"$like": "a%"}}, "s", "Str"),
        ({"s": {"$not": {"$regex": "a"}}}, "s", "Str"),
        ({"s": ["a"]}, "s", "Str"),
        ({"$not": {"i": {"$between": [1, 2]}}}, "i", "Int"),
        ({"i": {"$gte": 1, "$lt": 2.5}}, "i", "Int"),
        ({"f": {"$exists": True, "$gt": 0.5}}, "f", "Float"),
        ({"$and": [{"z": 3}, {"$or": [{"z": 4}, {"i": 1}]}]}, "i", "Int"),
    ],
)
def test_filters_are_refused(switched: Any, where: Any, key: str, kind: str) -> None:
    text = f"Cannot filter using metadata key '{key}' with type '{kind}' because indexing is disabled"
    for call in reads(switched, where=where):
        with pytest.raises(InvalidArgumentError, match=text):
            call()
    assert switched.count() == 1


def test_operands_of_other_types_are_not_refused(switched: Any) -> None:
    assert names(switched, where={"i": 1.0}) == ["x"]
    assert names(switched, where={"f": 1}) == []
    assert names(switched, where={"s": 1}) == []
    assert names(switched, where={"z": {"$gte": 3}}) == ["x"]
    assert names(switched, where_document={"$contains": "ell"}) == ["x"]
    assert switched.search(Search(K.ID == "x"))["ids"] == [["x"]]
    assert switched.get()["metadatas"] == [{"s": "a", "i": 1, "f": 1.5, "b": True, "z": 3}]


def test_invalid_filters_are_told_first(switched: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="exactly one"):
        switched.get(where={"s": {}})


def test_full_text_may_be_off(client: Any, reopen: Callable[[Any], Any]) -> None:
    schema = without(FtsIndexConfig(), key="#document")
    client.create_collection("silent", schema=schema, embedding_function=None)
    silent = reopen(client).get_collection("silent")
    silent.add(ids=["x"], embeddings=[[1.0, 2.0]], documents=["hello"], metadatas=[{"z": 3}])
    for where_document in ({"$contains": "hello"}, {"$not_contains": "x"}, {"$regex": "h"}):
        for call in reads(silent, where_document=where_document):
            with pytest.raises(InvalidArgumentError, match="FTS indexing is disabled"):
                call()
    for where in (K.DOCUMENT.contains("h"), (K("z") == 3) & K.DOCUMENT.regex("h")):
        with pytest.raises(InvalidArgumentError, match="FTS indexing is disabled"):
            silent.search(Search(where))
    assert silent.get(where={"z": 3})["documents"] == ["hello"]


def test_defaults_may_be_off(client: Any) -> None:
    schema = without(StringInvertedIndexConfig()).create_index(StringInvertedIndexConfig(), "on")
    made = client.create_collection("things", schema=schema, embedding_function=None)
    made.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"on": "a", "other": "a", "n": 1}])
    assert names(made, where={"on": "a"}) == names(made, where={"n": 1}) == ["x"]
    with pytest.raises(InvalidArgumentError, match="'other' with type 'Str'"):
        made.get(where={"other": "a"})


# -- copies


def test_copies_have_the_schema(tmp_path: Any) -> None:
    schema = without(IntInvertedIndexConfig(), key="n").create_index(SparseVectorIndexConfig(), "lex")
    with (
        chroma.PersistentClient(tmp_path / "a") as one,
        chroma.PersistentClient(tmp_path / "b") as other,
    ):
        made = one.create_collection("things", schema=schema, embedding_function=None)
        made.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"n": 1, "t": "a"}])
        chroma.copy_collections(one, other)
        one.backup(tmp_path / "backup")
    chroma.restore(tmp_path / "backup", tmp_path / "c")
    for name in ("b", "c"):
        with chroma.PersistentClient(tmp_path / name) as client:
            found = client.get_collection("things")
            assert found.schema == made_schema(schema, found)
            with pytest.raises(InvalidArgumentError, match="indexing is disabled"):
                found.get(where={"n": 1})


def made_schema(schema: Schema, collection: Any) -> Schema:
    """The schema that a collection has if it was created with `schema` and has the key `t`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        form = collection.schema.serialize_to_json()
    assert form["keys"]["n"] == schema.serialize_to_json()["keys"]["n"]
    assert form["keys"]["lex"]["sparse_vector"]["sparse_vector_index"]["enabled"]
    assert "t" in form["keys"]
    return Schema.deserialize_from_json(form)


# -- searches


def test_the_lexical_example_of_the_contract(client: Any, reopen: Callable[[Any], Any]) -> None:
    """Section 14: "apple" in four of eight records."""
    bm25 = SparseVectorIndexConfig(
        embedding_function=ChromaBm25EmbeddingFunction(), source_key=K.DOCUMENT, bm25=True
    )
    client.create_collection("shelf", schema=Schema().create_index(bm25, "lex"), embedding_function=None)
    shelf = reopen(client).get_collection("shelf")
    texts = {
        "a": "red apple pie", "b": "green apple", "c": "banana split", "d": "red hammer", "e": "saw",
        "f": None, "g": "apple", "h": "red red apple",
    }  # fmt: skip
    shelf.add(ids=list(texts), embeddings=[[1.0]] * 8, documents=list(texts.values()))
    keys: list[Any] = ["lex", K("lex")]
    for key in keys:
        found = shelf.search(Search(rank=Knn("Apples!", key=key)).select(K.SCORE))
        assert found["ids"] == [["g", "b", "a", "h"]]
        wanted = [-0.974415, -0.969104, -0.963822, -0.963822]
        assert found["scores"][0] == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(InvalidArgumentError, match="'other' with type 'SparseVector' because indexing"):
        shelf.search(Search(rank=Knn(chroma.SparseVector([1], [1.0]), key="other")))
