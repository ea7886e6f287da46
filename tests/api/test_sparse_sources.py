"""Sparse vectors that a collection makes of its texts, on every kind of client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chroma import K, Knn, Rrf, Schema, Search, SparseEmbeddingFunction, SparseVector, SparseVectorIndexConfig
from chroma.errors import InvalidArgumentError
from chroma.storage.interface.sparse_vector import unchecked
from chroma.utils.embedding_functions import (
    ChromaBm25EmbeddingFunction,
    register_sparse_embedding_function,
    sparse_known_embedding_functions,
)

CALLS: list[tuple[str, list[str]]] = []


@register_sparse_embedding_function
class Letters(SparseEmbeddingFunction[Any]):
    """Embeds a text by its length, at an index that says whether it is a query."""

    def __call__(self, input: Any) -> Any:
        CALLS.append(("records", list(input)))
        return [SparseVector([1], [float(len(text))]) for text in input]

    def embed_query(self, input: Any) -> Any:
        CALLS.append(("queries", list(input)))
        return [SparseVector([2], [float(len(text))]) for text in input]

    @staticmethod
    def name() -> str:
        return "letters of tests"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Letters:
        return Letters()


@pytest.fixture(autouse=True)
def _calls() -> Iterator[None]:
    CALLS.clear()
    yield


def vector(length: int) -> SparseVector:
    return SparseVector([1], [float(length)])


def indexed(source: Any, function: Any = None, key: str = "lex") -> Schema:
    config = SparseVectorIndexConfig(embedding_function=function or Letters(), source_key=source)
    return Schema().create_index(config, key)


@pytest.fixture
def documents(client: Any) -> Any:
    return client.create_collection("documents", schema=indexed(K.DOCUMENT), embedding_function=None)


@pytest.fixture
def titles(client: Any) -> Any:
    return client.create_collection("titles", schema=indexed("title"), embedding_function=None)


def at(collection: Any, key: str = "lex") -> dict[str, Any]:
    found = collection.get()
    metadatas = zip(found["ids"], found["metadatas"], strict=True)
    return {id: None if metadata is None else metadata.get(key) for id, metadata in metadatas}


VECTORS = [[1.0], [2.0], [3.0]]


def test_documents_are_embedded_in_one_call(documents: Any) -> None:
    metadatas = [None, {"a": 1}, {"lex": SparseVector([7], [1.0])}]
    documents.add(ids=["x", "y", "z"], embeddings=VECTORS, documents=["ab", "", "abc"], metadatas=metadatas)
    assert CALLS == [("records", ["ab", ""])]
    assert at(documents) == {"x": vector(2), "y": vector(0), "z": SparseVector([7], [1.0])}
    assert metadatas == [None, {"a": 1}, {"lex": SparseVector([7], [1.0])}]  # the caller's values stay
    documents.add(ids=["w", "v"], embeddings=VECTORS[:2], documents=["abcd", None])
    assert at(documents) == {
        "x": vector(2), "y": vector(0), "z": SparseVector([7], [1.0]), "w": vector(4), "v": None
    }  # fmt: skip
    documents.add(ids=["u"], embeddings=[[1.0]])
    assert len(CALLS) == 2


def test_fields_are_embedded_if_they_are_texts(titles: Any) -> None:
    metadatas = [{"title": "ab"}, {"title": 3}, {"other": "x"}]
    titles.add(ids=["x", "y", "z"], embeddings=VECTORS, metadatas=metadatas, documents=["a", "b", "c"])
    assert CALLS == [("records", ["ab"])]
    assert at(titles) == {"x": vector(2), "y": None, "z": None}
    assert titles.get(ids=["y"])["metadatas"] == [{"title": 3}]


def test_updates_embed_again(titles: Any, documents: Any) -> None:
    titles.add(ids=["x", "y"], embeddings=VECTORS[:2], metadatas=[{"title": "ab"}, {"title": "cd"}])
    titles.update(ids=["x"], metadatas=[{"title": "abcd"}])
    titles.update(ids=["y", "missing"], metadatas=[{"other": 1}, None])
    titles.update(ids=["y"], documents=["a document"], embeddings=[[5.0]])
    assert at(titles) == {"x": vector(4), "y": vector(2)}
    titles.upsert(ids=["y", "z"], embeddings=VECTORS[:2], metadatas=[{"title": "c"}, {"title": "abcde"}])
    assert at(titles) == {"x": vector(4), "y": vector(1), "z": vector(5)}
    titles.upsert(ids=["z"], metadatas=[{"title": "q", "lex": vector(9)}])
    assert at(titles)["z"] == vector(9)
    documents.add(ids=["x"], embeddings=[[1.0]], documents=["ab"], metadatas=[{"a": 1}])
    documents.update(ids=["x"], documents=["abc"], embeddings=[[1.0]])
    assert documents.get()["metadatas"] == [{"a": 1, "lex": vector(3)}]
    documents.update(ids=["x"], metadatas=[{"a": 2}])
    assert at(documents) == {"x": vector(3)}


@pytest.mark.parametrize("removed", [None, 3, ["x"]])
@pytest.mark.parametrize("call", ["update", "upsert"])
def test_a_removed_text_removes_its_vector(titles: Any, call: str, removed: Any) -> None:
    titles.add(
        ids=["x", "y", "z"],
        embeddings=VECTORS,
        metadatas=[{"title": "ab"}, {"title": "cd"}, {"title": "ef"}],
    )
    metadatas = [{"title": removed}, {"title": removed, "lex": vector(9)}, {"title": "e"}]
    getattr(titles, call)(ids=["x", "y", "z"], metadatas=metadatas)
    assert at(titles) == {"x": None, "y": vector(9), "z": vector(1)}


def test_a_vector_can_be_deleted(titles: Any) -> None:
    titles.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"title": "ab"}])
    titles.update(ids=["x"], metadatas=[{"title": "abc", "lex": None}])
    assert titles.get()["metadatas"] == [{"title": "abc"}]


def test_several_keys(client: Any) -> None:
    schema = indexed("title").create_index(
        SparseVectorIndexConfig(embedding_function=Letters(), source_key="#document"), "of documents"
    )
    schema.create_index(SparseVectorIndexConfig(embedding_function=Letters()), "of queries")
    made = client.create_collection("things", schema=schema, embedding_function=None)
    made.add(ids=["x"], embeddings=[[1.0]], documents=["fox"], metadatas=[{"title": "ab"}])
    assert made.get()["metadatas"] == [{"title": "ab", "lex": vector(2), "of documents": vector(3)}]


def test_dense_and_sparse_vectors_together(client: Any, embed: Any) -> None:
    made = client.create_collection("things", schema=indexed("#document"), embedding_function=embed)
    made.add(ids=["x"], documents=["abc"])
    assert at(made) == {"x": vector(3)}
    made.add(ids=["x", "y"], documents=["other", "ab"])
    assert CALLS[-1] == ("records", ["ab"])  # only what is new
    found = made.get(include=["embeddings", "documents"])
    assert found["documents"] == ["abc", "ab"]
    assert len(found["embeddings"]) == 2


def test_reopened_collections_embed(client: Any, reopen: Callable[[Any], Any], titles: Any) -> None:
    fork = titles.fork("fork")
    found = reopen(client).get_collection("titles")
    found.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"title": "ab"}])
    assert at(found) == {"x": vector(2)}
    if fork._backend is found._backend:
        fork.add(ids=["y"], embeddings=[[1.0]], metadatas=[{"title": "abc"}])
        assert at(fork) == {"y": vector(3)}


def test_tables_and_files(titles: Any, tmp_path: Any) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": ["x", "y"], "embedding": VECTORS[:2], "title": ["ab", None]})
    titles.add(frame)
    assert at(titles) == {"x": vector(2), "y": None}
    (tmp_path / "rows.jsonl").write_text(
        '{"id": "z", "embedding": [1.0], "title": "abcd"}\n{"id": "w", "embedding": [1.0], "n": 1}\n'
    )
    titles.load(tmp_path / "rows.jsonl", progress=False)
    assert at(titles) == {"x": vector(2), "y": None, "z": vector(4), "w": None}


def test_functions_without_a_name_serve_their_handle(client: Any) -> None:
    class Nameless(SparseEmbeddingFunction[Any]):
        def __call__(self, input: Any) -> Any:
            return [vector(7) for _ in input]

    made = client.create_collection("things", schema=indexed("title", Nameless()), embedding_function=None)
    made.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"title": "ab"}])
    assert at(made) == {"x": vector(7)}
    again = client.get_collection("things")
    with pytest.warns(UserWarning, match="stored without a name"):
        again.add(ids=["y"], embeddings=[[1.0]], metadatas=[{"title": "ab"}])
    assert at(again) == {"x": vector(7), "y": None}


def test_names_that_are_not_registered(client: Any, titles: Any) -> None:
    again = client.get_collection("titles")
    del sparse_known_embedding_functions["letters of tests"]
    try:
        with pytest.warns(UserWarning, match="letters of tests"):
            again.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"title": "ab"}])
        with pytest.raises(ValueError, match="'lex' has no sparse embedding function"):
            again.search(Search(rank=Knn("text", key="lex")))
    finally:
        register_sparse_embedding_function(Letters)
    assert at(again) == {"x": None}


@pytest.mark.parametrize(
    "answer",
    [
        lambda texts: [],
        lambda texts: [{1: 2.0} for _ in texts],
        lambda texts: None,
        lambda texts: [unchecked([1], [float("nan")], None) for _ in texts],
        lambda texts: [unchecked([2, 1], [1.0, 1.0], None) for _ in texts],
    ],
)
def test_functions_that_answer_otherwise(client: Any, answer: Any) -> None:
    def function(input: Any) -> Any:
        return answer(input)

    made = client.create_collection("things", schema=indexed("title", function), embedding_function=None)
    with pytest.raises(InvalidArgumentError, match="'lex'"):
        made.add(ids=["x"], embeddings=[[1.0]], metadatas=[{"title": "ab"}])
    assert made.count() == 0


# -- texts of queries


def sent(collection: Any, search: Any, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The leaves of a search as they are sent."""
    from chroma.wire import search_codec

    found: list[dict[str, Any]] = []

    def leaves(form: Any) -> None:
        if isinstance(form, dict):
            if "$knn" in form:
                found.append(form["$knn"])
            for each in form.values():
                leaves(each)
        elif isinstance(form, list):
            for each in form:
                leaves(each)

    def stop(form: Any) -> Any:
        leaves(form)
        raise RuntimeError("sent")

    monkeypatch.setattr(search_codec, "search_from_json", stop)
    with pytest.raises(RuntimeError, match="sent"):
        collection.search(search)
    return found


def test_texts_are_embedded_by_the_function_of_their_key(
    client: Any, embed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.create_collection("things", schema=indexed("title"), embedding_function=embed)
    rank = Rrf([Knn("dense", return_rank=True), Knn("abc", key="lex"), 2 * Knn("abcd", key=K("lex"))])
    form = rank.to_dict()
    dense, *sparse = sent(made, Search(rank=rank), monkeypatch)
    assert (dense["key"], len(dense["query"])) == ("#embedding", 4)
    assert [leaf["key"] for leaf in sparse] == ["lex", "lex"]
    assert [leaf["query"] for leaf in sparse] == [
        {"#type": "sparse_vector", "indices": [2], "values": [float(length)]} for length in (3, 4)
    ]
    ((kind, texts),) = CALLS
    assert (kind, sorted(texts)) == ("queries", ["abc", "abcd"])
    assert rank.to_dict() == form


@pytest.mark.parametrize("key", ["other", "title"])
def test_texts_of_keys_without_a_function(titles: Any, key: str) -> None:
    with pytest.raises(ValueError, match=f"the key '{key}' has no sparse .* schema"):
        titles.search(Search(rank=Knn("text", key=key)))
    with pytest.raises(ValueError, match=f"the key '{key}'"):
        titles.search(Search(rank=Rrf([Knn([1.0], return_rank=True), Knn("text", key=K(key))])))


def test_many_records_get_the_vectors_that_few_get(client: Any) -> None:
    """A large call makes arrays instead of an object per vector."""
    schema = Schema().create_index(
        SparseVectorIndexConfig(
            embedding_function=ChromaBm25EmbeddingFunction(), source_key="#document", bm25=True
        ),
        key="lex",
    )
    texts = [None if n % 5 == 4 else f"apples and pears {n % 7} ü{n % 3}" for n in range(600)]
    entries: list[Any] = [
        None if n % 3 == 0 else {"n": n, "t": "ü"} | ({"x": [1, 2]} if n % 2 else {}) for n in range(600)
    ]
    found = []
    for step in (600, 50):
        collection = client.create_collection(f"in-{step}", schema=schema, embedding_function=None)
        for start in range(0, 600, step):
            part = slice(start, start + step)
            collection.add(
                ids=[str(n) for n in range(600)][part],
                embeddings=[[0.0, 1.0]] * step,
                documents=texts[part],
                metadatas=entries[part],
            )
        found.append(collection.get()["metadatas"])
        collection.compact()
        found.append(collection.get()["metadatas"])
        best = collection.search(Search().rank(Knn("pears 3", key="lex", limit=5)).select(K.SCORE))
        found.append(best["scores"])
    assert found[0] == found[1] == found[3] == found[4]
    assert found[2] == found[5]
    assert isinstance(found[0][0]["lex"], SparseVector) and found[0][4] == {"n": 4, "t": "ü"}
