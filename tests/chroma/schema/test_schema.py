"""`Schema` by itself: its rules, its JSON form, and the settings of indexes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import chroma
from chroma import (
    BoolInvertedIndexConfig,
    Cmek,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    HnswIndexConfig,
    IntInvertedIndexConfig,
    K,
    Schema,
    SpannIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)
from chroma.api.types import StringInvertedIndexType, ValueTypes
from chroma.errors import InvalidArgumentError
from chroma.types import SparseVector
from chroma.utils.embedding_functions import ChromaBm25EmbeddingFunction, DefaultEmbeddingFunction

ON: dict[str, Any] = {"enabled": True, "config": {}}
OFF: dict[str, Any] = {"enabled": False, "config": {}}
DEFAULT = {"type": "known", "name": "default", "config": {}}
BM25 = {
    "type": "known",
    "name": "chroma_bm25",
    "config": {
        "k": 1.2, "b": 0.75, "avg_doc_length": 256.0, "token_max_length": 40, "include_tokens": False
    },
}  # fmt: skip


def form(**keys: Any) -> dict[str, Any]:
    """What the contract says that Schema() is, with more keys."""
    vectors = {"embedding_function": DEFAULT, "space": "l2"}
    return {
        "defaults": {
            "string": {"fts_index": OFF, "string_inverted_index": ON},
            "float_list": {"vector_index": {"enabled": False, "config": vectors}},
            "sparse_vector": {
                "sparse_vector_index": {
                    "enabled": False, "config": {"embedding_function": {"type": "unknown"}}
                }
            },
            "int": {"int_inverted_index": ON},
            "float": {"float_inverted_index": ON},
            "bool": {"bool_inverted_index": ON},
        },
        "keys": {
            "#document": {"string": {"fts_index": ON, "string_inverted_index": OFF}},
            "#embedding": {
                "float_list": {
                    "vector_index": {"enabled": True, "config": {**vectors, "source_key": "#document"}}
                }
            },
            **keys,
        },
    }  # fmt: skip


def sparse(**config: Any) -> dict[str, Any]:
    return {"sparse_vector": {"sparse_vector_index": {"enabled": True, "config": config}}}


def test_the_json_form_of_a_new_schema() -> None:
    assert Schema().serialize_to_json() == form()
    json.dumps(form())


def test_calls_are_chained_and_the_last_one_counts() -> None:
    schema = (
        Schema()
        .create_index(SparseVectorIndexConfig(embedding_function=ChromaBm25EmbeddingFunction()), "lex")
        .create_index(
            config=SparseVectorIndexConfig(
                embedding_function=ChromaBm25EmbeddingFunction(), source_key=K.DOCUMENT, bm25=True
            ),
            key="lex",
        )
        .create_index(SparseVectorIndexConfig(), K("more"))
        .delete_index(StringInvertedIndexConfig(), "raw")
        .delete_index(IntInvertedIndexConfig(), K("raw"))
        .create_index(IntInvertedIndexConfig(), "raw")
    )
    assert schema.serialize_to_json() == form(
        lex=sparse(embedding_function=BM25, source_key="#document", bm25=True),
        more=sparse(embedding_function={"type": "unknown"}),
        raw={"string": {"string_inverted_index": OFF}, "int": {"int_inverted_index": ON}},
    )


@pytest.mark.parametrize(
    ("config", "kind", "index"),
    [
        (StringInvertedIndexConfig(), "string", "string_inverted_index"),
        (IntInvertedIndexConfig(), "int", "int_inverted_index"),
        (FloatInvertedIndexConfig(), "float", "float_inverted_index"),
        (BoolInvertedIndexConfig(), "bool", "bool_inverted_index"),
    ],
)
def test_a_type_is_switched_off_for_all_keys(config: Any, kind: str, index: str) -> None:
    schema = Schema().delete_index(config)
    assert schema.serialize_to_json()["defaults"][kind][index] == OFF
    assert schema.create_index(config).serialize_to_json() == form()


def test_full_text() -> None:
    schema = Schema().delete_index(FtsIndexConfig(), K.DOCUMENT)
    assert schema.serialize_to_json()["keys"]["#document"]["string"]["fts_index"] == OFF
    assert schema.create_index(FtsIndexConfig(), "#document") == Schema()


def test_vectors() -> None:
    settings = VectorIndexConfig(space="cosine", hnsw=HnswIndexConfig(ef_search=7, resize_factor=2))
    schema = Schema().create_index(settings)
    found = schema.serialize_to_json()
    wanted = {
        "space": "cosine", "embedding_function": DEFAULT, "hnsw": {"ef_search": 7, "resize_factor": 2}
    }  # fmt: skip
    assert found["defaults"]["float_list"]["vector_index"] == {"enabled": False, "config": wanted}
    assert found["keys"]["#embedding"]["float_list"]["vector_index"] == {
        "enabled": True, "config": {**wanted, "source_key": "#document"}
    }  # fmt: skip
    assert settings.source_key is None
    spann = Schema().create_index(VectorIndexConfig(spann=SpannIndexConfig(search_nprobe=3, quantize=True)))
    config = spann.serialize_to_json()["keys"]["#embedding"]["float_list"]["vector_index"]["config"]
    assert config["spann"] == {"search_nprobe": 3}
    none = Schema().create_index(VectorIndexConfig(embedding_function=None)).serialize_to_json()
    assert none["defaults"]["float_list"]["vector_index"]["config"] == {
        "embedding_function": {"type": "legacy"}
    }


@pytest.mark.parametrize("verb", ["create_index", "delete_index"])
@pytest.mark.parametrize(
    ("config", "key"),
    [
        (None, None),
        (None, "a"),
        (StringInvertedIndexConfig(), "#embedding"),
        (VectorIndexConfig(), "#embedding"),
        (StringInvertedIndexConfig(), "#document"),
        (SparseVectorIndexConfig(), K.DOCUMENT),
        (IntInvertedIndexConfig(), "#other"),
        (VectorIndexConfig(), "a"),
        (FtsIndexConfig(), None),
        (FtsIndexConfig(), "a"),
        (SparseVectorIndexConfig(), None),
        (HnswIndexConfig(), None),
        (3, None),
        (StringInvertedIndexConfig(), 3),
    ],
)
def test_what_has_no_place(verb: str, config: Any, key: Any) -> None:
    schema = Schema()
    with pytest.raises(ValueError) as caught:
        getattr(schema, verb)(config, key)
    assert isinstance(caught.value, InvalidArgumentError)
    assert schema.serialize_to_json() == form()


@pytest.mark.parametrize(("config", "key"), [(VectorIndexConfig(), None), (SparseVectorIndexConfig(), "a")])
def test_what_cannot_be_deleted(config: Any, key: Any) -> None:
    with pytest.raises(ValueError, match="not currently supported"):
        Schema().delete_index(config, key)


def test_a_source_needs_a_function() -> None:
    with pytest.raises(ValueError, match="embedding_function must also be provided"):
        Schema().create_index(SparseVectorIndexConfig(source_key="title"), "lex")


@pytest.mark.parametrize(
    "made",
    [
        lambda: VectorIndexConfig(other=1),
        lambda: HnswIndexConfig(other=1),
        lambda: SpannIndexConfig(other=1),
        lambda: FtsIndexConfig(other=1),
        lambda: SparseVectorIndexConfig(other=1),
        lambda: BoolInvertedIndexConfig(other=1),
        lambda: VectorIndexConfig(embedding_function=3),
        lambda: VectorIndexConfig(space="other"),  # type: ignore[arg-type]
        lambda: VectorIndexConfig(hnsw=3),  # type: ignore[arg-type]
        lambda: VectorIndexConfig(source_key="#other"),
        lambda: HnswIndexConfig(ef_search="x"),  # type: ignore[arg-type]
        lambda: HnswIndexConfig(ef_search=True),
        lambda: HnswIndexConfig(resize_factor="x"),  # type: ignore[arg-type]
        lambda: SpannIndexConfig(search_nprobe=1.5),  # type: ignore[arg-type]
        lambda: SparseVectorIndexConfig(embedding_function=3),  # type: ignore[arg-type]
        lambda: SparseVectorIndexConfig(source_key="#embedding"),
        lambda: SparseVectorIndexConfig(source_key=K.SCORE),
        lambda: SparseVectorIndexConfig(source_key=3),  # type: ignore[arg-type]
        lambda: SparseVectorIndexConfig(bm25="yes"),  # type: ignore[arg-type]
    ],
)
def test_invalid_settings(made: Callable[[], Any]) -> None:
    with pytest.raises(ValueError) as caught:
        made()
    assert isinstance(caught.value, InvalidArgumentError)


def test_settings_that_are_dropped() -> None:
    assert SparseVectorIndexConfig(algorithm="wand") == SparseVectorIndexConfig()
    assert SpannIndexConfig(num_samples_kmeans=3, initial_lambda=1) == SpannIndexConfig()


def test_settings_take_keys_and_scalars_of_numpy() -> None:
    import numpy as np

    assert SparseVectorIndexConfig(source_key=K("title")).source_key == "title"
    assert type(HnswIndexConfig(ef_search=np.int64(3)).ef_search) is int  # type: ignore[arg-type]
    assert VectorIndexConfig(source_key=K.DOCUMENT).source_key == "#document"


def test_reading_back() -> None:
    settings = SparseVectorIndexConfig(
        embedding_function=ChromaBm25EmbeddingFunction(k=2.0), source_key="title", bm25=True
    )
    schema = Schema().create_index(settings, "lex").create_index(VectorIndexConfig(space="ip"))
    found = Schema.deserialize_from_json(json.loads(json.dumps(schema.serialize_to_json())))
    assert found == schema
    assert found.serialize_to_json() == schema.serialize_to_json()
    sparse_type = found.keys["lex"].sparse_vector
    assert sparse_type is not None and sparse_type.sparse_vector_index is not None
    config = sparse_type.sparse_vector_index.config
    assert isinstance(config.embedding_function, ChromaBm25EmbeddingFunction)
    assert config.embedding_function.get_config()["k"] == 2.0
    vectors = found.keys["#embedding"].float_list
    assert vectors is not None and vectors.vector_index is not None
    assert isinstance(vectors.vector_index.config.embedding_function, DefaultEmbeddingFunction)


def test_the_name_that_the_javascript_client_gives() -> None:
    name = {"type": "known", "name": "chroma-bm25", "config": {"k": 1.2, "b": 0.75}}
    found = Schema.deserialize_from_json(form(lex=sparse(embedding_function=name, source_key="#document")))
    lex = found.keys["lex"].sparse_vector
    assert lex is not None and lex.sparse_vector_index is not None
    assert isinstance(lex.sparse_vector_index.config.embedding_function, ChromaBm25EmbeddingFunction)


@pytest.mark.parametrize("name", ["never registered", "fastembed_sparse"])
def test_functions_that_cannot_be_built_are_none(name: str) -> None:
    function = {"type": "known", "name": name, "config": {"other": 1}}
    with pytest.warns(UserWarning, match=name):
        found = Schema.deserialize_from_json(form(lex=sparse(embedding_function=function)))
    lex = found.keys["lex"].sparse_vector
    assert lex is not None and lex.sparse_vector_index is not None
    assert lex.sparse_vector_index.config.embedding_function is None


def test_reading_parts_and_unknown_parts() -> None:
    assert Schema.deserialize_from_json({}).serialize_to_json() == {"defaults": {}, "keys": {}}
    found = Schema.deserialize_from_json(
        {"defaults": {"other": {"index": ON}}, "keys": {"a": {"other": {}, "string": {"other": ON}}}}
    )
    assert found.serialize_to_json() == {"defaults": {}, "keys": {"a": {"string": {}}}}
    assert found.keys["a"].int_value is None


def test_reading_settings_of_later_servers() -> None:
    data = form()
    index = data["keys"]["#embedding"]["float_list"]["vector_index"]
    index["config"] |= {"hnsw": {"ef_search": 3, "later": 1}, "later": 1}
    vectors = Schema.deserialize_from_json(data).keys["#embedding"].float_list
    assert vectors is not None and vectors.vector_index is not None
    assert vectors.vector_index.config.hnsw == HnswIndexConfig(ef_search=3)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"keys": []},
        {"defaults": {"string": 3}},
        {"keys": {"a": {"int": {"int_inverted_index": 1}}}},
    ],
)
def test_reading_other_data(data: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="JSON form of a schema"):
        Schema.deserialize_from_json(data)


def test_the_objects_are_plain_and_comparable() -> None:
    schema = Schema().delete_index(IntInvertedIndexConfig(), "a").create_index(VectorIndexConfig(space="ip"))
    assert pickle.loads(pickle.dumps(schema)) == schema != Schema()
    assert repr(ValueTypes()).startswith("ValueTypes(string=None, float_list=None")
    assert repr(HnswIndexConfig(ef_search=3)).startswith("HnswIndexConfig(ef_construction=None, max_n")
    assert "int_inverted_index=IntInvertedIndexType(enabled=False" in repr(schema)
    assert StringInvertedIndexType(True, StringInvertedIndexConfig()) == StringInvertedIndexType(
        enabled=True, config=StringInvertedIndexConfig()
    )
    schema.defaults.string.string_inverted_index.enabled = False  # type: ignore[union-attr]
    assert schema.serialize_to_json()["defaults"]["string"]["string_inverted_index"] == OFF


def test_functions_that_have_no_name() -> None:
    class Nameless(chroma.SparseEmbeddingFunction[Any]):
        def __call__(self, input: Any) -> Any:
            return [SparseVector([1], [1.0]) for _ in input]

    for function in (Nameless(), lambda input: []):
        schema = Schema().create_index(
            SparseVectorIndexConfig(embedding_function=function, source_key="t"),  # type: ignore[arg-type]
            "lex",
        )
        assert schema.serialize_to_json()["keys"]["lex"] == sparse(
            embedding_function={"type": "unknown"}, source_key="t"
        )


def test_encryption_keys_of_the_hosted_service() -> None:
    name = "projects/a/locations/b/keyRings/c/cryptoKeys/d"
    schema = Schema().set_cmek(Cmek.gcp(name))
    assert schema.serialize_to_json()["cmek"] == {"gcp": name}
    assert Schema.deserialize_from_json(schema.serialize_to_json()).cmek == schema.cmek
    assert schema.cmek is not None and schema.cmek.validate_pattern()
    assert not Cmek.gcp("other").validate_pattern()
    assert schema.set_cmek(None) == Schema()
    for wrong in ({"gcp": 3}, {"aws": "x"}, "x"):
        with pytest.raises(ValueError):
            Cmek.from_dict(wrong)
    with pytest.raises(ValueError):
        schema.set_cmek("x")  # type: ignore[arg-type]
