"""What programs do with the names of chromadb: catch, derive, annotate, pickle, ask for versions."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pickle
import subprocess
import sys
import typing
import unittest.mock
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import InvalidArgumentError, UnsupportedError

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("installed")

SAME = {
    "chromadb:PersistentClient": chroma.PersistentClient,
    "chromadb:Settings": chroma.Settings,
    "chromadb.api:ClientAPI": chroma.ClientAPI,
    "chromadb.api.client:Client": chroma.ClientAPI,
    "chromadb.api.models.Collection:Collection": chroma.Collection,
    "chromadb.api.types:EmbeddingFunction": chroma.EmbeddingFunction,
    "chromadb.api.types:Where": chroma.Where,
    "chromadb.auth.token_authn:TokenTransportHeader": chroma.TokenTransportHeader,
    "chromadb.base_types:SparseVector": chroma.SparseVector,
    "chromadb.errors:NotFoundError": chroma.errors.NotFoundError,
    "chromadb.types:Metadata": chroma.Metadata,
    "chromadb.utils.embedding_functions:EmbeddingFunction": chroma.EmbeddingFunction,
    "chromadb.utils.embedding_functions.openai_embedding_function:OpenAIEmbeddingFunction": (
        chroma.embedding.OpenAIEmbeddingFunction
    ),
}


def get(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", SAME)
def test_names_that_exist_here_are_the_same_objects(path: str) -> None:
    assert get(path) is SAME[path]


def test_submodules_are_attributes() -> None:
    chromadb = importlib.import_module("chromadb")
    assert chromadb.utils.embedding_functions.EmbeddingFunction is chroma.EmbeddingFunction
    assert chromadb.api.models.Collection.Collection is chroma.Collection
    assert chromadb.telemetry.product.posthog.Posthog


def test_modules_that_only_this_package_has_are_the_same_modules() -> None:
    migration = importlib.import_module("chromadb.migration.report")
    assert migration is importlib.import_module("chroma.migration.report")
    assert migration.__spec__ is not None
    assert migration.__spec__.name == "chroma.migration.report"


def test_versions_are_those_of_the_names() -> None:
    assert get("chromadb:__version__") == "1.5.9"
    assert importlib.metadata.version("chromadb") == "1.5.9"
    assert importlib.metadata.version("ChromaDB") == "1.5.9"
    assert importlib.metadata.metadata("chromadb")["Name"] == "chromadb"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("chromadb-nobody")


@pytest.mark.parametrize("name", ["chromadb", "chromadb.api.types", "chromadb.db.mixins", "chromadb.segment"])
def test_specs_are_found(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.name == name
    assert spec.origin
    assert importlib.import_module(name).__spec__ == spec


def test_an_unknown_module_has_no_spec() -> None:
    assert importlib.util.find_spec("chromadb.nowhere") is None


def test_errors_are_caught_under_the_name_of_chromadb() -> None:
    chromadb = importlib.import_module("chromadb")
    client = chromadb.EphemeralClient()
    with pytest.raises(chromadb.errors.NotFoundError):
        client.get_collection("nobody")
    assert chromadb.errors.error_types["NotFoundError"] is chromadb.errors.NotFoundError
    try:
        raise ValueError("of the program")
    except (chromadb.auth.AuthError, chromadb.db.migrations.InvalidHashError, ValueError):
        pass


def test_unsupported_classes_can_be_named_and_derived_from() -> None:
    function = get("chromadb.api.models.AttachedFunction:AttachedFunction")
    component = get("chromadb.config:Component")

    class Part(component):  # type: ignore[misc, valid-type]
        pass

    assert typing.get_args(list[function]) == (function,)
    assert typing.get_args(typing.Union[function, None, int])[0] is function  # noqa: UP007
    assert not isinstance(1, function)
    with pytest.raises(UnsupportedError, match=r"chromadb\.config\.Component is not offered"):
        Part()
    with pytest.raises(UnsupportedError, match=r"AttachedFunction .*Collection\.sql"):
        function()


def test_schemas_are_those_of_this_package() -> None:
    assert get("chromadb:Schema") is get("chromadb.api.types:Schema") is chroma.Schema
    for name in chroma.api.types.__all__:
        if name.endswith(("Config", "Type", "Types")):
            assert get(f"chromadb.api.types:{name}") is getattr(chroma.api.types, name)
    assert get("chromadb:VectorIndexConfig")(space="cosine").space == "cosine"


def test_enumerations_have_their_members() -> None:
    operation = get("chromadb.types:Operation")
    assert [member.name for member in operation] == ["ADD", "UPDATE", "UPSERT", "DELETE"]
    assert get("chromadb.quota:Action").CREATE_DATABASE == "create_database"


def test_records_are_dicts() -> None:
    assert get("chromadb.types:Segment")(id=1) == {"id": 1}


def test_telemetry_can_be_derived_from_and_switched_off() -> None:
    base = get("chromadb.telemetry.product:ProductTelemetryClient")

    class Silent(base):  # type: ignore[misc, valid-type]
        def capture(self, event: Any) -> None:
            raise AssertionError("nothing sends events")

    Silent(chroma.Settings())
    posthog = get("chromadb.telemetry.product.posthog:Posthog")
    assert (posthog(None).user_id, posthog(None).context) == ("UNKNOWN", {})
    posthog(None).capture(get("chromadb.telemetry.product.events:CollectionAddEvent")("id", add_amount=3))

    @get("chromadb.telemetry.opentelemetry:trace_method")("name", 1)  # type: ignore[untyped-decorator]
    def traced() -> int:
        return 3

    assert traced() == 3


@pytest.mark.parametrize(
    "path",
    ["chromadb:Schema", "chromadb.config:Component", "chromadb.types:Operation", "chromadb.types:Segment",
     "chromadb.auth:AuthError", "chromadb.utils.statistics:get_statistics", "chromadb.api.types:QueryResult"],
)  # fmt: skip
def test_names_can_be_pickled(path: str) -> None:
    assert pickle.loads(pickle.dumps(get(path))) is get(path)


def test_modules_can_be_patched_and_reloaded() -> None:
    chromadb = importlib.import_module("chromadb")
    with unittest.mock.patch("chromadb.HttpClient") as patched:
        assert chromadb.HttpClient is patched
    assert chromadb.HttpClient is chroma.HttpClient
    assert importlib.reload(chromadb) is chromadb
    assert chromadb.HttpClient is chroma.HttpClient
    assert chromadb.__file__ == chroma.__file__
    assert not hasattr(chromadb, "__warningregistry__")


def test_dir_lists_the_names() -> None:
    assert {"Schema", "validate_where", "EmbeddingFunction"} <= set(
        dir(importlib.import_module("chromadb.api.types"))
    )


def test_checks_of_arguments() -> None:
    types = importlib.import_module("chromadb.api.types")
    assert types.validate_ids(["a"]) == ["a"]
    assert types.validate_metadata({"a": 1}) == {"a": 1}
    assert types.validate_metadata(None) is None
    assert types.validate_update_metadata({"a": None}) == {"a": None}
    types.validate_metadatas([{"a": 1}, {"b": [1, 2]}])
    types.validate_documents(["a"])
    types.validate_documents([None], nullable=True)
    types.validate_embeddings([np.array([1.0, 2.0])])
    types.validate_sparse_vectors([chroma.SparseVector([1], [2.0])])
    types.validate_images([np.zeros((2, 2, 3))])
    types.validate_include(["documents"])
    assert types.validate_n_results(3) == 3
    types.validate_batch((["a"], None, None, None, None), {"max_batch_size": 1})
    for where in (
        {"a": 1}, {"a": {"$gt": 2}}, {"a": {"$in": ["x"]}}, {"$and": [{"a": 1}, {"b": {"$ne": True}}]},
        {"tags": {"$contains": "x"}}, {"#document": {"$contains": "x"}}, {"#id": "a"},
    ):  # fmt: skip
        types.validate_where(where)
    types.validate_where_document({"$or": [{"$contains": "a"}, {"$not_regex": "b"}]})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("validate_ids", "a"), ("validate_ids", ["a", "a"]), ("validate_ids", [1]),
        ("validate_metadata", {"a": {}}), ("validate_metadata", {}), ("validate_metadatas", {"a": 1}),
        ("validate_documents", "a"), ("validate_documents", [None]), ("validate_embeddings", [["a"]]),
        ("validate_images", [1]), ("validate_include", ["everything"]), ("validate_n_results", 0),
        ("validate_sparse_vectors", [[1]]), ("validate_where", []), ("validate_where", {"a": 1, "b": 2}),
        ("validate_where", {"$and": [{"a": 1}]}), ("validate_where", {"a": {"$gt": "x"}}),
        ("validate_where", {"a": {"$in": []}}), ("validate_where", {"a": {"$like": "x"}}),
        ("validate_where", {"a": None}), ("validate_where", {"$not": 1}), ("validate_where", {1: 2}),
        ("validate_where", {"a": {"$contains": ["x"]}}), ("validate_where", {"a": {"$contains": {"x": 1}}}),
        ("validate_where_document", {"$contains": ""}), ("validate_where_document", {"a": "b"}),
    ],
)  # fmt: skip
def test_checks_refuse(name: str, given: Any) -> None:
    with pytest.raises(ValueError):
        get(f"chromadb.api.types:{name}")(given)


def test_checks_of_functions_and_batches() -> None:
    types = importlib.import_module("chromadb.api.types")
    types.validate_embedding_function(chroma.embedding.DefaultEmbeddingFunction())
    with pytest.raises(ValueError, match="signature"):
        types.validate_embedding_function(lambda texts: texts)
    with pytest.raises(chroma.errors.BatchSizeExceededError):
        types.validate_batch((["a", "b"],), {"max_batch_size": 1})
    with pytest.raises(InvalidArgumentError, match="cannot be one of data"):
        types.validate_include(["data"], ["data"])


def test_conversions() -> None:
    types = importlib.import_module("chromadb.api.types")
    assert types.maybe_cast_one_to_many("a") == types.maybe_cast_one_to_many(["a"]) == ["a"]
    assert types.maybe_cast_one_to_many(None) is None
    (vector,) = types.normalize_embeddings([1, 2])
    assert vector.dtype == np.float32
    texts = types.optional_embeddings_to_base64_strings([vector, None])
    assert types.optional_base64_strings_to_embeddings(texts) == [[1.0, 2.0], None]
    assert types.convert_np_embeddings_to_list([vector]) == [[1.0, 2.0]]
    assert types.convert_list_embeddings_to_np([[1, 2]])[0].tolist() == [1.0, 2.0]
    assert types.is_document("a")
    assert types.is_image(np.zeros((2, 2)))
    metadata = {"s": chroma.SparseVector([1], [2.0], ["a"]), "n": 1}
    assert types.deserialize_metadata(types.serialize_metadata(metadata)) == metadata


def test_sparse_vectors_as_dicts() -> None:
    """The form is that of chromadb 1.5.9."""
    vector = chroma.SparseVector([1, 5], [0.5, 2.0], ["a", "b"])
    assert vector.to_dict() == {
        "#type": "sparse_vector", "indices": [1, 5], "values": [0.5, 2.0], "tokens": ["a", "b"],
    }  # fmt: skip
    assert chroma.SparseVector.from_dict(vector.to_dict()) == vector
    assert "tokens" not in chroma.SparseVector([1], [0.5]).to_dict()
    with pytest.raises(ValueError, match="#type"):
        chroma.SparseVector.from_dict({"indices": [1], "values": [0.5]})
    types = importlib.import_module("chromadb.api.types")
    metadata = {"s": vector.to_dict(), "n": 1}
    assert types.normalize_metadata(metadata) == {"s": vector, "n": 1}
    assert types.normalize_metadatas(metadata) == [{"s": vector, "n": 1}]
    assert types.normalize_metadatas([None, {"s": vector}]) == [None, {"s": vector}]
    assert (types.normalize_metadata(None), types.normalize_metadatas(None)) == (None, None)


def test_distances() -> None:
    functions = importlib.import_module("chromadb.utils.distance_functions")
    x, y = np.array([3.0, 4.0]), np.array([3.0, 0.0])
    assert functions.l2(x, y) == 16
    assert functions.ip(x, y) == -8
    assert functions.cosine(x, y) == pytest.approx(0.4)
    assert functions.cosine(x, np.zeros(2)) == 1


def test_configurations() -> None:
    module = importlib.import_module("chromadb.api.collection_configuration")
    given = {"hnsw": {"space": "cosine"}, "embedding_function": chroma.embedding.DefaultEmbeddingFunction()}
    text = module.create_collection_configuration_to_json_str(given)
    loaded = module.load_collection_configuration_from_json_str(text)
    assert loaded["hnsw"] == {"space": "cosine"}
    assert isinstance(loaded["embedding_function"], chroma.embedding.DefaultEmbeddingFunction)


LIGHT = """
import sys, chroma
chroma.install_as_chromadb()
print(sorted(name for name in sys.modules if name.startswith("chroma")))
import chromadb
print(sorted(name for name in sys.modules if name.startswith("chromadb")), "numpy" in sys.modules)
"""


def test_only_what_is_asked_for_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    first, second = done.stdout.splitlines()
    assert first == str(
        [
            "chroma",
            "chroma._version",
            "chroma.compat",
            "chroma.compat.install",
            "chroma.errors",
            "chroma.internal",
            "chroma.internal.chromadb_name",
            "chroma.storage",
            "chroma.storage.interface",
            "chroma.storage.interface.short_repr",
            "chroma.storage.interface.unmatched",
        ]
    )
    assert second == "['chromadb'] False"
