"""Messages of mistakes, and their tracebacks: what was meant, and nothing twice."""

from __future__ import annotations

import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError, NotFoundError, UniqueConstraintError

from ..support.checks import fill, refused
from ..support.tiny_embedding import HashEmbedding


class Broken(HashEmbedding):
    """An embedding function of the user with a bug."""

    def __call__(self, input: Any) -> Any:
        raise KeyError("price")


def test_an_unknown_collection_has_a_nearest_name(client: Any) -> None:
    with refused("Collection [dcos] does not exist; there are no collections", error=NotFoundError):
        client.get_collection("dcos")
    client.create_collection("docs")
    with refused("Collection [dcos] does not exist; the nearest is 'docs'", error=NotFoundError):
        client.get_collection("dcos")
    with refused("Collection [DOCS] does not exist; the nearest is 'docs'", error=NotFoundError):
        client.delete_collection("DOCS")
    with refused("[other] does not exist; the collections are 'docs'", error=NotFoundError):
        client.get_collection("other")


def test_an_unknown_database_and_tenant_have_nearest_names(client: Any) -> None:
    with refused("Database [default_databse] not found", "'default_database'", error=NotFoundError):
        client.set_database("default_databse")
    with refused("Tenant [tenant] not found", "'default_tenant'", error=NotFoundError):
        client.set_tenant("tenant")


def test_a_taken_name_says_how_to_open_it(client: Any) -> None:
    client.create_collection("docs")
    with refused("[docs] already exists", "get_or_create_collection", error=UniqueConstraintError):
        client.create_collection("docs")


def test_a_deleted_collection_is_named(client: Any) -> None:
    docs = client.create_collection("docs", embedding_function=None)
    client.delete_collection("docs")
    with refused("[docs] does not exist any more", "deleted", str(docs.id), error=NotFoundError):
        docs.count()
    client.create_collection("docs", embedding_function=None)
    calls = (
        lambda: docs.get(),
        lambda: docs.add(ids=["a"], embeddings=[[1, 2]]),
        lambda: docs.modify(name="new-name"),
    )
    for call in calls:
        with refused(
            "[docs] does not exist any more", "another collection has its name", error=NotFoundError
        ):
            call()


def test_snapshots_are_no_collections_of_messages(client: Any) -> None:
    docs = client.create_collection("docs", embedding_function=None)
    docs.add(ids=["a"], embeddings=[[1, 2]])
    docs.snapshot("before")
    then = docs.at("before")
    with pytest.raises(NotFoundError) as caught:
        client.get_collection("other")
    assert str(caught.value) == "Collection [other] does not exist; the collections are 'docs'"
    docs.drop_snapshot("before")
    with refused("the snapshot 'before' was dropped", error=NotFoundError):
        then.count()


def test_vectors_of_another_length(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    fragment = "Collection expecting embedding with dimension of 2, got 3"
    for verb in ("add", "upsert", "update"):
        with refused(fragment, "embeddings", "embedding function"):
            getattr(collection, verb)(ids=["a"], embeddings=[[1, 2, 3]])
    with refused(fragment, "query_embeddings", "embedding function"):
        collection.query(query_embeddings=[[1, 2, 3]])


def test_no_results(collection: Any) -> None:
    with refused("Expected n_results to be 1 or more, got 0", error=InvalidTypeError):
        collection.query(query_embeddings=[[1, 2]], n_results=0)


def test_errors_of_an_embedding_function_pass_unchanged(client: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    things = client.create_collection("things", embedding_function=Broken())
    calls = (
        lambda: things.add(ids=["a"], documents=["text"]),
        lambda: things.query(query_texts=["text"]),
        lambda: things.load(pa.table({"id": ["a"], "document": ["text"]}), progress=False),
    )
    for call, method in zip(calls, ("add", "query", "load"), strict=True):
        with pytest.raises(KeyError) as caught:
            call()
        assert caught.value.args == ("price",)
        if sys.version_info >= (3, 11):
            assert any(f"{method}()" in text for text in caught.value.__notes__)


def mistakes(client: Any) -> list[Any]:
    things = client.create_collection("things", embedding_function=None)
    fill(things, 2)
    return [
        lambda: things.get(where={"n": {"$gtt": 1}}),
        lambda: things.get(where={"n": {"$in": []}}),
        lambda: things.get(ids=[None]),
        lambda: things.add(ids=["a"], embeddings=[["x"]]),
        lambda: things.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"a": {"b": 1}}]),
        lambda: things.add(ids=["a"], documents=["text"]),
        lambda: things.query(query_embeddings=[[1, 2, 3]]),
        lambda: things.query(query_embeddings=[[1, 2]], include=["nothing"]),
        lambda: client.get_collection("none"),
        lambda: client.create_collection("things"),
    ]


@pytest.mark.parametrize("number", range(10))
def test_the_traceback_of_a_mistake_is_short(folder: Path, number: int) -> None:
    with chroma.PersistentClient(folder) as client:
        call = mistakes(client)[number]
        with pytest.raises(chroma.errors.ChromaError) as caught:
            call()
    text = "".join(traceback.format_exception(caught.value))
    assert text.count("Traceback") == 1, text
    inner = [
        frame for frame in traceback.extract_tb(caught.value.__traceback__) if "/tests/" not in frame.filename
    ]
    assert len(inner) <= 3, text


def test_the_traceback_through_code_of_the_caller_is_whole(client: Any) -> None:
    class Refusing(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            raise InvalidArgumentError("not this text")

    things = client.create_collection("things", embedding_function=Refusing())
    with pytest.raises(InvalidArgumentError, match="^add: not this text$") as caught:
        things.add(ids=["a"], documents=["text"])
    assert "Refusing" in "".join(traceback.format_exception(caught.value)) or any(
        frame.name == "__call__" for frame in traceback.extract_tb(caught.value.__traceback__)
    )


def test_settings_that_are_a_path_or_a_url() -> None:
    with refused("got 'my-db'", "chroma.PersistentClient('my-db')", error=InvalidTypeError):
        chroma.Client("my-db")  # type: ignore[arg-type]
    with refused("chroma.HttpClient('http://localhost:8000')", error=InvalidTypeError):
        chroma.Client("http://localhost:8000")  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc")
def test_a_path_where_nothing_can_be_made() -> None:
    with refused(
        "cannot make the folder /proc/none", "choose another path", error=chroma.errors.ReadOnlyError
    ):
        chroma.PersistentClient("/proc/none/db")


def test_data_of_chromadb_beside_an_empty_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = tmp_path / "chroma"
    old.mkdir()
    (old / "chroma.sqlite3").touch()
    with pytest.warns(UserWarning, match=f"chroma migrate --from {old} --to {tmp_path}/.chroma"):
        chroma.PersistentClient().close()
    chroma.PersistentClient().close()  # it is there now, and not overlooked any more
    chroma.PersistentClient(tmp_path / "elsewhere").close()


def test_questions_of_another_kind_say_how_they_are_asked(collection: Any) -> None:
    fill(collection, 3)
    for call, fragments in (
        (lambda: collection.query("cooking"), ("query_embeddings='cooking'", "query_texts=…")),
        (lambda: collection.query(ids=["a"]), ("query_ids", "ids=… only restricts")),
        (lambda: collection.query(query_ids=[]), ("['query_ids']",)),
        (lambda: collection.query(query_ids=["a"], mode="hybrid"), ("leave mode out",)),
        (lambda: collection.get(where=[{"a": 1}]), ("where to be a dict", "{'$and': [...]}")),
        (lambda: collection.get(where={"$not": [{"a": 1}]}), ("{'$or': [...]}",)),
    ):
        with refused(*fragments):
            call()


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_no_distance_is_negative_but_those_of_inner_products(client: Any, space: str) -> None:
    pytest.importorskip("pyarrow")
    docs = client.create_collection("docs", embedding_function=None, configuration={"hnsw": {"space": space}})
    docs.add(ids=["a", "b"], embeddings=[[3.0, 0.0], [3.0, 0.1]])
    if space == "ip":
        assert docs.duplicates(-1).num_rows == 1
        return
    with refused("max_distance to be zero or positive, got -1", repr(space)):
        docs.duplicates(-1)


def test_metadata_of_a_collection_that_exists_are_kept_with_a_warning(client: Any) -> None:
    client.get_or_create_collection("docs", metadata={"owner": "ana", "hnsw:space": "cosine"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.get_or_create_collection("docs", metadata={"owner": "ana", "hnsw:space": "cosine"})
        client.get_or_create_collection("docs")
    with pytest.warns(UserWarning, match=r"keeps its metadata.*'ana'.*modify\(metadata=…\)"):
        found = client.get_or_create_collection("docs", metadata={"owner": "bob"})
    assert found.metadata["owner"] == "ana"


def test_a_path_that_is_a_url_or_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused("'http://localhost:8000'", "chroma.HttpClient('http://localhost:8000')"):
        chroma.PersistentClient("http://localhost:8000")
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning, match="a folder '~' in the working directory.*expanduser"):
        chroma.PersistentClient("~/notes").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chroma.PersistentClient("~/notes").close()


def test_csv_has_no_column_of_all_metadata(collection: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    fill(collection, 3)
    with refused("export: columns names 'metadata', which only JSON lines have", "'csv'", "name the keys"):
        collection.export(tmp_path / "x.csv", columns=["id", "metadata"], progress=False)
    assert not list(tmp_path.glob("*.csv"))


def test_a_function_without_a_name_in_place_of_the_stored_one_gives_a_warning(client: Any) -> None:
    client.create_collection("docs")

    class Mine:
        def __call__(self, input: Any) -> Any:
            return [[1.0]] * len(input)

    for call in (client.get_or_create_collection, client.get_collection):
        with pytest.warns(UserWarning, match="stores the embedding function 'default'.*Mine, is used"):
            call("docs", embedding_function=Mine())
    client.create_collection("mine", embedding_function=Mine())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.get_collection("mine", embedding_function=Mine())
