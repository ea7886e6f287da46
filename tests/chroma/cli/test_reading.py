"""`ls`, `info`, `count`, `get`, `query`: the same of a folder and of a server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chroma
from chroma.storage.interface.report_repr import size

from .running import read, run

SCOPE = {"tenant": "default_tenant", "database": "default_database"}


def test_ls(target: str) -> None:
    found = read("ls", target)
    assert found["target"] == target and found["databases"] == [SCOPE]
    assert [(each["name"], each["dimension"], each["records"]) for each in found["collections"]] == [
        ("notes", 4, 3),
        ("empty", None, 0),
    ]
    text = run("ls", target).output
    assert "notes" in text and text.endswith("2 collections in 1 database\n")


def test_info(target: str) -> None:
    rows = {row["name"]: row for row in read("info", target)["collections"]}
    assert (rows["notes"]["space"], rows["notes"]["live"], rows["empty"]["live"]) == ("cosine", 3, 0)
    assert rows["notes"]["bytes"] == sum(rows["notes"]["files"].values())
    shown = run("info", target).stdout
    assert "2 collections" in shown and "tenant" not in shown and "obsolete" in shown


def test_bytes_of_forks_are_counted_once(database: Path) -> None:
    with chroma.PersistentClient(database) as client:
        notes = client.get_collection("notes", embedding_function=None)
        notes.add(ids=[f"n{i}" for i in range(5000)], embeddings=np.zeros((5000, 4), np.float32))
        notes.compact()
        shared = sum(size for name, size in notes.info().files.items() if name.startswith("seg-"))
        notes.fork("again")
    last = run("info", database).stdout.splitlines()[-1]
    assert f"{size(shared)} that forks share are counted once" in last
    with chroma.PersistentClient(database) as client:
        whole = sum(each.info().bytes for each in client.list_collections())
    assert last.startswith(f"3 collections, {size(whole - shared)};")


def test_ls_of_several_tenants(database: Path) -> None:
    with chroma.PersistentClient(database) as client:
        admin = chroma.AdminClient(client.get_settings())
        admin.create_tenant("acme")
        admin.create_database("prod", tenant="acme")
    with chroma.PersistentClient(database, tenant="acme", database="prod") as client:
        client.create_collection("plans", embedding_function=None)
    assert run("ls", database).stdout.split()[:2] == ["tenant", "database"]
    found = read("ls", database)
    assert [each["tenant"] for each in found["databases"]] == ["acme", "default_tenant"]
    assert [each["name"] for each in found["collections"]] == ["plans", "notes", "empty"]
    assert [each["name"] for each in read("ls", database, "--tenant", "acme")["collections"]] == ["plans"]
    scoped = ("--tenant", "acme", "--database", "prod")
    assert [each["name"] for each in read("info", database, *scoped)["collections"]] == ["plans"]
    assert read("count", database, "plans", *scoped)["count"] == 0
    assert run("ls", database, "--tenant", "nobody").exit_code == 0
    assert run("ls", database, "--database", "nothing").exit_code == 3


def test_variables_choose_as_options_do(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_TENANT", "nobody")
    assert run("count", database, "notes").exit_code == 3
    assert run("count", database, "notes", "--tenant", "default_tenant").exit_code == 0


def test_count(target: str) -> None:
    assert run("count", target, "notes").output == "3\n"
    assert read("count", target, "notes", "--where", '{"n": {"$gte": 2}}') == {
        "collection": "notes",
        "count": 1,
    }
    assert run("count", target, "notes", "--where-document", '{"$contains": "apple"}').output == "2\n"


def test_get(target: str) -> None:
    found = read("get", target, "notes")
    assert found["collection"] == "notes"
    assert found["records"] == [
        {"id": "a", "document": "red\napple", "metadata": {"n": 1}},
        {"id": "b", "document": None, "metadata": None},
        {"id": "c", "document": "green apple", "metadata": {"n": 2, "tags": ["x", "y"]}},
    ]
    only = ("--include", "embeddings", "--include", "uris")
    assert read("get", target, "notes", "b", *only)["records"] == [
        {"id": "b", "embedding": [0.0, 1.0, 0.0, 0.0], "uri": "file:b"}
    ]
    ids = lambda *options: [each["id"] for each in read("get", target, "notes", *options)["records"]]  # noqa: E731
    assert ids("--limit", "1", "--offset", "1") == ["b"]
    assert ids("--where", '{"n": 2}') == ["c"]
    assert ids("--order-by", "-n") == ["c", "a", "b"]
    assert ids("--where-document", '{"$contains": "red"}') == ["a"]


def test_get_as_a_table(database: Path) -> None:
    lines = run("get", database, "notes", "--limit", "2").output.splitlines()
    assert lines[0].split() == ["id", "document", "metadata"]
    assert lines[1] == 'a   red apple  {"n": 1}'
    assert lines[2].split() == ["b", "-", "-"]
    assert lines[3].startswith("2 of 3 records")


def test_get_shows_ten_unless_told_otherwise(database: Path) -> None:
    with chroma.PersistentClient(database) as client:
        client.get_collection("notes").add(ids=[f"n{i}" for i in range(20)], embeddings=[[1, 0, 0, 0]] * 20)
    assert len(read("get", database, "notes")["records"]) == 10
    assert len(read("get", database, "notes", "--all")["records"]) == 23
    assert "10 of 23 records" in run("get", database, "notes").output
    assert "of 23" not in run("get", database, "notes", "--all").output


def test_get_of_an_id_that_is_not_there(target: str) -> None:
    result = run("get", target, "notes", "a", "zz")
    assert result.exit_code == 3
    assert "red apple" in result.stdout and "'zz'" in result.stderr


def test_query(target: str) -> None:
    found = read("query", target, "notes", "--embedding", "[1, 0, 0, 0]", "-n", "2")
    (answer,) = found["queries"]
    assert answer["embedding"] == [1, 0, 0, 0]
    assert [each["id"] for each in answer["records"]] == ["a", "c"]
    assert answer["records"][0] == {
        "id": "a", "document": "red\napple", "metadata": {"n": 1}, "distance": 0.0,
    }  # fmt: skip
    several = ("--embedding", "[1, 0, 0, 0]", "--embedding", "[0, 1, 0, 0]", "--id", "b", "--exact")
    assert [each["records"][0]["id"] for each in read("query", target, "notes", *several)["queries"]] == [
        "b",
        "b",
    ]
    text = run("query", target, "notes", "--embedding", "[1, 0, 0, 0]").output
    assert text.splitlines()[0].split() == ["id", "distance", "document", "metadata"]


def test_query_within_a_distance(target: str) -> None:
    near = ("--embedding", "[1, 0, 0, 0]", "--max-distance", "0.5")
    (answer,) = read("query", target, "notes", *near)["queries"]
    assert [each["id"] for each in answer["records"]] == ["a", "c"]
    assert run("query", target, "notes", *near[:3], "near").exit_code == 2
    below = run("query", target, "notes", *near[:3], "-1")
    assert below.exit_code == 2 and "max-distance to be zero or positive" in below.stderr.replace("_", "-")


def test_query_by_words(target: str) -> None:
    (answer,) = read("query", target, "notes", "--text", "apples", "--mode", "lexical")["queries"]
    assert [each["id"] for each in answer["records"]] == ["a", "c"]
    assert set(answer["records"][0]) == {"id", "document", "metadata", "lexical_score"}
    both = ("--text", "apples", "--embedding", "[1, 0, 0, 0]", "--mode", "hybrid")
    (answer,) = read("query", target, "notes", *both)["queries"]
    ranks = {each["id"]: (each["lexical_rank"], each["dense_rank"]) for each in answer["records"]}
    assert ranks["a"][0] == 0 and ranks["c"][0] == 1 and ranks["b"][0] is None
    assert sorted(dense for _, dense in ranks.values()) == [0, 1, 2]
    assert all(each["distance"] >= 0 for each in answer["records"])
    assert "lexical_rank  dense_rank" in run("query", target, "notes", *both).stdout
    exact = run("query", target, "notes", *both[:2], "--mode", "lexical", "--exact")
    assert exact.exit_code == 2 and "exact needs" in exact.stderr
    for wrong in (both[2:], (*both[:4], "--mode", "lexical"), ("--text", "apples", "--mode", "words")):
        assert run("query", target, "notes", *wrong).exit_code == 2


def test_search(target: str, tmp_path: Path) -> None:
    found = read("search", target, "notes", "--text", "apple", "--limit", "2")
    (answer,) = found["searches"]
    assert found["collection"] == "notes" and len(answer["records"]) == 2
    assert set(answer["records"][0]) <= {"id", "document", "metadata", "score"}
    ids = lambda *options: [  # noqa: E731
        [each["id"] for each in part["records"]]
        for part in read("search", target, "notes", *options)["searches"]
    ]
    assert ids() == [["a", "b", "c"]]
    assert ids("--where", '{"n": {"$gte": 2}}', "--where-document", '{"$contains": "apple"}') == [["c"]]
    documents = '{"$and": [{"$contains": "apple"}, {"$not_contains": "green"}]}'
    assert ids("--where-document", documents) == [["a"]]
    assert ids("--limit", "1", "--offset", "1") == [["b"]]
    form = {
        "rank": {"$knn": {"query": [1, 0, 0, 0]}},
        "limit": {"limit": 2},
        "select": {"keys": ["#score", "n"]},
    }
    assert ids("--search", json.dumps(form)) == [["a", "c"]]
    assert ids("--search", json.dumps([form, {"limit": {"limit": 1}}])) == [["a", "c"], ["a"]]
    file = tmp_path / "searches.json"
    texts = {"searches": [{"rank": {"$knn": {"query": "apple", "limit": 1}}}], "read_level": "index_only"}
    file.write_text(json.dumps(texts))
    assert [len(each) for each in ids("--search", f"@{file}")] == [1]
    text = run("search", target, "notes", "--search", json.dumps(form)).output.splitlines()
    assert [line.split() for line in text] == [
        ["id", "score", "n"],
        ["a", "0", "1"],
        ["c", text[2].split()[1], "2"],
    ]
    several = run("search", target, "notes", "--search", json.dumps([form, form])).output
    assert several.startswith("0:\n") and "1:\n" in several
    selected = run("search", target, "notes", "--select", "embedding", "--select", "metadata").output
    assert selected.splitlines()[0].split() == ["id", "embedding", "metadata"]
    piped = run("search", target, "notes", "--search", "@-", "--json", input=json.dumps(form))
    assert [each["id"] for each in json.loads(piped.stdout)["searches"][0]["records"]] == ["a", "c"]


def test_sparse_vectors(database: Path) -> None:
    schema = chroma.Schema().create_index(chroma.SparseVectorIndexConfig(), "lex")
    with chroma.PersistentClient(database) as client:
        made = client.create_collection("sparse", embedding_function=None, schema=schema)
        made.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"lex": chroma.SparseVector([1, 3], [0.5, 2.0])}])
    lex = {"#type": "sparse_vector", "indices": [1, 3], "values": [0.5, 2.0]}
    (answer,) = read("query", database, "sparse", "--embedding", "[1, 2]")["queries"]
    assert read("get", database, "sparse")["records"][0]["metadata"] == {"lex": lex}
    assert answer["records"][0]["metadata"] == {"lex": lex}
    knn = {"query": {"indices": [3], "values": [1.0]}, "key": "lex"}
    form = json.dumps({"rank": {"$knn": knn}, "select": {"keys": ["#score", "lex"]}})
    (answer,) = read("search", database, "sparse", "--search", form)["searches"]
    assert answer["records"] == [{"id": "a", "metadata": {"lex": lex}, "score": -1.0}]
    for command in (["get"], ["search"], ["search", "--search", form], ["query", "--embedding", "[1, 2]"]):
        shown = run(command[0], database, "sparse", *command[1:])
        assert shown.exit_code == 0 and "sparse_vector" in shown.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--search", "{"], "not JSON"), (["--search", "3"], "no search"), (["--search", "[]"], "no search"),
        (["--search", "@/none/such"], "cannot be read"),
        (["--search", '{"searches": [{}], "read_level": "none"}'], "read_level"),
        (["--search", "{}", "--limit", "3"], "no other option"),
        (["--key", "lex"], "--text"), (["--limit", "0"], "--limit"), (["--text", "x", "--key", "lex"], "lex"),
        (["--search", '{"rank": {"$no": 1}}'], "$no"), (["--where", '{"n": {"$no": 1}}'], "$no"),
    ],
)  # fmt: skip
def test_searches_that_cannot_be_used(database: Path, arguments: list[str], said: str) -> None:
    result = run("search", database, "notes", *arguments)
    assert result.exit_code in (1, 2) and said in result.stderr


def test_query_by_text(tmp_path: Path) -> None:
    """With the embedding function of the collection."""
    with chroma.PersistentClient(tmp_path / "db") as client:
        client.create_collection("texts").add(ids=["a", "b"], documents=["a red apple", "a blue bicycle"])
    found = read("query", tmp_path / "db", "texts", "--text", "fruit", "--text", "wheels", "-n", "1")
    assert [(each["text"], each["records"][0]["id"]) for each in found["queries"]] == [
        ("fruit", "a"),
        ("wheels", "b"),
    ]
    text = run("query", tmp_path / "db", "texts", "--text", "fruit", "--text", "wheels").output
    assert "fruit:\n" in text and "wheels:\n" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "--where", "{n: 2}"], "is not JSON"),
        (["get", "--where", "[1]"], "another kind of JSON"),
        (["get", "--where", '{"n": {"$near": 1}}'], "$near"),
        (["get", "--limit", "-1"], "--limit"),
        (["query"], "--text or --embedding"),
        (["query", "--text", "x", "--embedding", "[1]"], "--text or --embedding"),
        (["query", "--embedding", "[1, 2]"], "dimension"),
    ],
)
def test_arguments_that_cannot_be_used(database: Path, arguments: list[str], said: str) -> None:
    command, *options = arguments
    result = run(command, database, "notes", *options)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("command", ["ls", "info", "count", "get", "query", "compact"])
def test_looking_makes_no_database(command: str, tmp_path: Path) -> None:
    arguments = {"count": ["notes"], "get": ["notes"], "query": ["notes", "--text", "x"]}.get(command, [])
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for place, said in (("missing", "no folder"), ("file", "is a file"), ("empty", "no database")):
        result = run(command, tmp_path / place, *arguments)
        assert result.exit_code == 2 and said in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_an_unknown_key_is_a_warning(target: str) -> None:
    for command in ("get", "count"):
        found = run(command, target, "notes", "--where", '{"tag": 2020}')
        assert (
            "Warning: where={'tag': 2020}: no record has the key 'tag'; similar keys are 'tags'"
            in found.stderr
        )
        assert "Warning" not in found.stdout
    assert "Warning" not in run("count", target, "notes", "--where", '{"n": 1}').stderr


def test_sql_conditions(target: str) -> None:
    assert read("count", target, "notes", "--where", "n between 1 and 2")["count"] == len(
        read("get", target, "notes", "--where", '{"n": {"$gte": 1, "$lte": 2}}')["records"]
    )
    assert [
        row["id"] for row in read("search", target, "notes", "--where", "n = 1")["searches"][0]["records"]
    ] == [row["id"] for row in read("get", target, "notes", "--where", " n = 1")["records"]]
    assert run("count", target, "notes", "--where", "done").exit_code == 0
    wrong = run("get", target, "notes", "--where", "n = ")
    assert wrong.exit_code == 2 and "expected a value" in wrong.stderr
