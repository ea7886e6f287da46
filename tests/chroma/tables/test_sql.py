"""SQL over the collections of a database: what it sees, and that it sees and does nothing else."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import chroma
from chroma.errors import ChromaError, InvalidArgumentError, InvalidTypeError, NotFoundError

from ...conftest import CLIENTS
from ...support.checks import refused


def filled(client: Any) -> Any:
    things = client.create_collection("words", embedding_function=None)
    things.add(
        ids=["a", "b", "c", "d"],
        embeddings=[[1, 0], [0, 1], [1, 1], [2, 2]],
        documents=["alpha", "beta", None, "delta"],
        metadatas=[
            {"pos": "n", "size": 1, "tags": ["x", "y"]},
            {"pos": "v", "size": 2},
            {"pos": "n", "size": 2**62, "Mixed": 1},
            {"Mixed": "text", "day": "2024-05-01"},
        ],
    )
    dashed = client.create_collection("My-docs.v1", embedding_function=None)
    dashed.add(ids=["a"], embeddings=[[1]], metadatas=[{"n": 5}])
    clash = client.create_collection("clash", embedding_function=None)
    clash.add(ids=["a"], embeddings=[[1]], metadatas=[{"Key": 1, "key": 2}])
    client.create_collection("empty", embedding_function=None)
    return client


@pytest.fixture(scope="module", params=["ephemeral", "persistent"])
def words(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client with some collections, one for all tests: they only read."""
    with CLIENTS[request.param](tmp_path_factory.mktemp("sql") / "db") as client:
        yield filled(client)


@pytest.mark.parametrize("kind", ["http", "async"])
def test_the_same_over_http(kind: str, tmp_path: Any) -> None:
    """A statement is a process there: few of them, and see also tests/chroma/server/test_sql.py."""
    with CLIENTS[kind](tmp_path) as client:
        filled(client)
        things = client.get_collection("words", embedding_function=None)
        near = things.query(query_embeddings=[[1, 0]], n_results=3, where={"pos": "n"})
        found = things.sql(
            "select id, distance, sum(records.size) over ()::hugeint as s from records join near using (id)"
            " where records.size < $most order by distance",
            {"most": np.int64(2**62 + 1)},
            tables={"near": near},
        )
        assert rows(found) == [("a", 0.0, 2**62 + 1), ("c", 1.0, 2**62 + 1)]
        assert str(found.schema.field("s").type) == "int64"
        kinds = pd.DataFrame({"n": [5], "kind": pd.Categorical(["odd"])})
        both = "select n, kind, {'a': [kind]} as s from \"MY-DOCS.V1\" join kinds using (n) where n > ?"
        assert rows(client.sql(both, [4], tables={"kinds": kinds})) == [(5, "odd", {"a": ["odd"]})]
        with refused("'nothing'", "no collection", error=NotFoundError):
            client.sql("from nothing")
        for statement in ("drop table words", "from read_text('/etc/passwd')", "from duckdb_settings()"):
            with refused():
                client.sql(statement)
        with refused("on purpose"):
            client.sql("select error('on purpose')")


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def test_metadata_are_typed_columns(words: Any) -> None:
    sql = words.sql(
        "select pos, count(*) as n, sum(size) as total from words where pos is not null group by 1 order by 1"
    )
    assert sql.schema == pa.schema({"pos": pa.string(), "n": pa.int64(), "total": pa.int64()})
    assert rows(sql) == [("n", 2, 2**62 + 1), ("v", 1, 2)]
    assert rows(words.sql("select id from words where list_contains(tags, 'y')")) == [("a",)]
    assert rows(
        words.sql(
            'select "metadata[int].Mixed", "metadata[str].Mixed" from words where id >= \'c\' order by id'
        )
    ) == [(1, None), (None, "text")]
    assert rows(words.sql("select typeof(embedding), typeof(size), typeof(tags) from words limit 1")) == [
        ("FLOAT[2]", "BIGINT", "VARCHAR[]")
    ]
    assert words.sql("from words where false").column_names == words.sql("from words").column_names
    assert rows(words.sql("select count(*) from empty")) == [(0,)]


def test_the_collection_is_called_records(words: Any) -> None:
    things = words.get_collection("words", embedding_function=None)
    assert rows(things.sql("select count(*) from records")) == [(4,)]
    assert rows(things.sql("select count(*) from records join words using (id)")) == [(4,)]
    with refused("'records'", error=NotFoundError):
        words.sql("from records")


def test_names(words: Any) -> None:
    assert rows(words.sql('select n from "My-docs.v1"')) == [(5,)]
    assert rows(words.sql('select n from "MY-DOCS.V1"')) == [(5,)]
    assert rows(words.sql("select count(*) from WORDS w join Words v using (id)")) == [(4,)]
    with refused("'nothing'", "no collection", error=NotFoundError):
        words.sql("select * from nothing")
    with refused("'Key'", "'key'", "to_arrow"):
        words.sql("from clash")
    with refused("double quotes"):
        words.sql("from main.words")
    assert rows(words.sql("with words as (select 7 as id) select id from words")) == [(7,)]
    assert rows(
        words.sql(
            "with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) select max(n) from t"
        )
    ) == [(3,)]


def test_names_in_other_cases(store: Any) -> None:
    near = store.create_collection("Near", embedding_function=None)
    near.add(ids=["a", "b"], embeddings=[[1], [2]])
    for name in ("Near", "near", "NEAR", '"Near"', '"near"'):
        assert rows(store.sql(f"select count(*) from {name}")) == [(2,)]
        given = {"Near": pd.DataFrame({"x": [1, 2, 3]})}  # it goes before the collection
        assert rows(store.sql(f"select count(*) from {name}", tables=given)) == [(3,)]
        given = {"neaR": pd.DataFrame({"x": [1, 2, 3]})}
        assert rows(store.sql(f"select count(*) from {name}", tables=given)) == [(3,)]
    assert rows(near.sql('select count(*) from Records join "RECORDS" r using (id)')) == [(2,)]
    with refused("'Near'", "'near'", "rename"):
        store.sql("from near", tables={"Near": near.get(), "near": near.get()})
    store.create_collection("near", embedding_function=None)
    assert rows(store.sql("select count(*) from Near")) == [(2,)]
    assert rows(store.sql("select count(*) from near")) == [(0,)]
    with refused("'NEAR'", "'Near'", "'near'", "as it is"):
        store.sql("from NEAR")
    with refused("'Near'", "'near'", "tell apart"):
        store.sql("select count(*) from Near union all select count(*) from near")


def test_a_key_of_ints_and_floats_is_one_column_of_numbers(store: Any) -> None:
    goods = store.create_collection("goods", embedding_function=None)
    goods.add(
        ids=list("abcde"),
        embeddings=[[1]] * 5,
        metadatas=[
            {"price": 1, "id": 1, "n": 1},
            {"price": 2.5, "id": 2.5},
            None,
            {"price": 4, "id": 4},
            {"n": "x"},
        ],
    )
    assert rows(store.sql("select avg(price), sum(Price), count(price) from goods")) == [(2.5, 7.5, 3)]
    assert rows(store.sql("select id from goods where price > 2 order by price desc")) == [("d",), ("b",)]
    typed = 'select "metadata[int].price", "metadata[float].price" from goods where price < 2'
    assert rows(store.sql(typed)) == [(1, None)]
    assert rows(store.sql('select avg("metadata.id") from goods')) == [(2.5,)]
    assert store.sql("from goods").schema.field("price").type == pa.float64()
    assert "price" not in goods.to_arrow().column_names
    with refused('"n"', "metadata[int].n"):  # a text is no number
        store.sql("select avg(n) from goods")
    goods.add(ids=["f"], embeddings=[[1]], metadatas=[{"price": 2**62}])
    assert rows(store.sql("select max(price) from goods")) == [(2.0**62,)]
    goods.add(ids=["g"], embeddings=[[1]], metadatas=[{"PRICE": 7}])
    assert rows(store.sql("select max(price) from goods")) == [(7,)]  # the other key has the name


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, [1, 2**64]])
def test_parameters_beyond_64_bits(words: Any, value: Any) -> None:
    with refused("parameters[0]", "64 bits", "hugeint"):
        words.sql("select ?", [value])


def test_times_as_parameters(words: Any) -> None:
    """They are the texts that metadata have."""
    zone = dt.timezone(dt.timedelta(hours=2))
    times = [dt.datetime(2024, 5, 1, 2, tzinfo=zone), dt.date(2024, 5, 1), np.datetime64(5, "ns")]
    assert rows(words.sql("select ?, ?, ?", times)) == [
        ("2024-05-01T00:00:00Z", "2024-05-01", "1970-01-01T00:00:00.000000005")
    ]


@pytest.mark.parametrize(
    ("text", "parameters", "tables"),
    [
        ("select '\ud800'", None, None),
        ("select ?", ["\ud800"], None),
        ("select $x", {"\ud800": 1}, None),
        ("select 1", None, {"\ud800": pd.DataFrame({"x": [1]})}),
    ],
)
def test_texts_that_are_not_unicode(words: Any, text: str, parameters: Any, tables: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="lone surrogate") as caught:
        words.sql(text, parameters, tables=tables)
    str(caught.value).encode()


def test_parameters(words: Any) -> None:
    assert rows(words.sql("select id from words where pos = ? and size < ?", ["n", 5])) == [("a",)]
    assert rows(words.sql("select id from words where size = $size", {"size": np.int64(2)})) == [("b",)]
    assert rows(words.sql("select $2 || $1", ["x", "y"])) == [("yx",)]
    assert rows(words.sql("select ?, ?, ?", [None, True, 0.5])) == [(None, True, 0.5)]
    nearest = "select id from words order by array_distance(embedding, $near::float[2]), id limit 2"
    for near in ([1.0, 0.1], np.array([1, 0.1], np.float32), (1.0, 0.1)):
        assert rows(words.sql(nearest, {"near": near})) == [("a",), ("c",)]
    quote = "x'; drop table words; --"
    assert rows(words.sql("select ?", [quote])) == [(quote,)]
    for wrong, error in (
        ("x", InvalidTypeError),
        ([object()], InvalidTypeError),
        ([1, 2], InvalidArgumentError),
        ([2**64], InvalidArgumentError),
        ([[float("nan")]], InvalidArgumentError),
    ):
        with refused(error=error):
            words.sql("select ?", wrong)
    with refused("for one value pass [value]"):
        words.sql("select ?", 5)


def test_further_tables(words: Any) -> None:
    frame = pd.DataFrame({"pos": ["n", "v"], "name": ["noun", "verb"]})
    joined = "select id, name from words join names using (pos) order by id"
    for table in (frame, pa.Table.from_pandas(frame), pa.Table.from_pandas(frame).to_reader()):
        assert rows(words.sql(joined, tables={"names": table})) == [
            ("a", "noun"),
            ("b", "verb"),
            ("c", "noun"),
        ]
    things = words.get_collection("words", embedding_function=None)
    near = things.query(query_embeddings=[[1, 0]], n_results=3, where={"pos": "n"})
    found = things.sql(
        "select id, distance from records join near using (id) order by distance", tables={"near": near}
    )
    assert rows(found) == [("a", 0.0), ("c", 1.0)]
    assert rows(words.sql("select 1 from words", tables={"words": frame})) == [
        (1,),
        (1,),
    ]  # given ones come first
    with refused("tables['x']", error=InvalidTypeError):
        words.sql("from x", tables={"x": 5})


def test_categories_are_texts(words: Any) -> None:
    """As over HTTP, where streams carry no dictionaries."""
    for kinds in (["u", "v", None], []):
        frame = pa.table({"kind": pa.array(kinds, pa.string()).dictionary_encode()})
        found = words.sql("select kind, kind::enum('u', 'v') as e from frame", tables={"frame": frame})
        assert found.schema.types == [pa.string(), pa.string()]
        assert rows(found) == [(kind, kind) for kind in kinds]


def test_numbers_of_answers(words: Any) -> None:
    table = words.sql(
        "select sum(size) as s, sum(size)::decimal(38, 2) as d, 1::hugeint << 100 as huge from words"
    )
    assert str(table.schema.field("s").type) == "int64"
    assert str(table.schema.field("d").type) == "decimal128(38, 2)"
    assert int(table["huge"][0].as_py()) == 1 << 100


CHANGES = [
    "insert into words values ('x')",
    "update words set pos = 'x'",
    "delete from words",
    "drop table words",
    "create table t as select 1",
    "create view v as select 1",
    "create macro m() as 1",
    "alter table words add x int",
    "copy words to 'x.csv'",
    "copy (select 1) to '/tmp/x.csv'",
    "attach 'x.db'",
    "detach memory",
    "install httpfs",
    "load httpfs",
    "set threads = 1",
    "reset threads",
    "pragma threads = 1",
    "call pragma_version()",
    "export database 'x'",
    "import database 'x'",
    "checkpoint",
    "vacuum",
    "begin",
    "explain select 1",
    "prepare p as select 1",
    "execute p",
    "use memory",
    "analyze",
    "create secret s (type s3)",
    "with x as (insert into words values ('x') returning 1) from x",
    "select 1; select 2",
    "",
    "  ",
    "-- nothing",
    "selec 1",
    "select (",
    "pivot words on pos using count(*)",
]
OUTSIDE = [
    "from read_csv('/etc/passwd')",
    "from read_text('/etc/passwd')",
    "from read_blob('/etc/passwd')",
    "from '/etc/passwd'",
    "from '/etc/passwd.csv'",
    'from "x.parquet"',
    "from read_parquet('x.parquet')",
    "from read_json('x.json')",
    "from glob('/*')",
    "from sniff_csv('/etc/passwd')",
    "from parquet_metadata('x')",
    "from 'https://127.0.0.1/x.parquet'",
    "from read_csv('https://127.0.0.1/x.csv')",
    "select getenv('HOME')",
    "from duckdb_settings()",
    "from duckdb_secrets()",
    "from duckdb_extensions()",
    "from duckdb_tables()",
    "from duckdb_databases()",
    "from pg_settings",
    "from pg_catalog.pg_settings",
    "from information_schema.tables",
    "from sqlite_master",
    "from duckdb_logs",
    "with pg_settings as (select 1) from (from pg_settings)",
    "select current_setting('threads')",
    "select 'threads'.current_setting()",
    "select \"CURRENT_SETTING\"('threads')",
    "from query('select 1')",
    "from query_table('words')",
    "select '--', * from query_table('words')",
    "select '/*', * from query('from duckdb_settings()') -- */",
    "from json_execute_serialized_sql(json_serialize_sql('from duckdb_settings()'))",
    "select json_serialize_plan('from duckdb_settings()')",
    "select write_log('x')",
    "from pandas_scan(1)",
    "select '--', * from arrow_scan(1, 2, 3)",
    "from python_map_function(1)",
    "from checkpoint()",
    "from seq_scan('words')",
    "show tables",
    "show databases",
    "show all tables",
    "from test_all_types()",
]


def test_it_only_reads(words: Any) -> None:
    for statement in CHANGES:
        with refused(error=InvalidArgumentError):
            words.sql(statement)
    assert words.get_collection("words", embedding_function=None).count() == 4
    assert not os.path.exists("/tmp/x.csv")


def test_it_reads_nothing_else(words: Any) -> None:
    home = os.path.expanduser("~")
    for statement in OUTSIDE:
        with pytest.raises(ChromaError) as caught:
            words.sql(statement)
        assert home not in str(caught.value), statement
        assert isinstance(caught.value, (InvalidArgumentError, NotFoundError)), statement


def test_variables_of_the_program_are_not_tables(words: Any) -> None:
    secret = pd.DataFrame({"x": [1]})
    with refused("'secret'", error=NotFoundError):
        words.sql("from secret")
    assert len(secret) == 1


def test_errors_say_what_is_wrong(words: Any) -> None:
    with refused("nope", "size"):
        words.sql("select nope from words")
    with refused("cast", error=ChromaError):
        words.sql("select cast(pos as int) from words")
    with refused("on purpose"):
        words.sql("select error('on purpose ' || id) from words")
    with refused("depth"):
        words.sql("select " + "-(" * 600 + "1" + ")" * 600)
    with refused("5"):
        words.sql(5)


def test_vectors_are_read_where_they_are_named(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from chroma.embedded import table_scans

    read: list[bool] = []
    table = table_scans.table

    def noted(*arguments: Any, **more: Any) -> Any:
        found = table(*arguments, **more)
        if found is not None:
            read.append("embedding" in found.column_names)
        return found

    monkeypatch.setattr(table_scans, "table", noted)
    for statement in (
        "select count(*) from words",
        "select pos, sum(size) from words w where w.id in (select id from words) group by pos order by 1",
    ):
        words.sql(statement)
    assert set(read) == {False}
    read.clear()
    for statement in (
        "select Embedding from words",
        "select w.embedding[1] from words w",
        "select * exclude (id) from words",
        "select w.* from words w",
        "select columns('emb.*') from words",
        "select w from words w",
        "select words from words",
        "select s.embedding from (select words as s from words)",
        "select sum(e[1]) from (select embedding as e from words)",
        "select a.id from words a join words b using (embedding)",
        "select a.id from words a natural join words b",
        "select id from words order by array_distance(embedding, [1, 0]::float[2])",
        "describe words",
        "summarize words",
        "from words",
        "with w as (from words) select count(embedding) from w",
        "select count(*) from words where exists (from words)",
        "select id from words group by id having count(embedding) > 0",
        "unpivot (from words select id, size) on size",
    ):
        words.sql(statement)
        assert read and all(read), statement
    assert "embedding" in words.sql("select w from words w").to_pylist()[0]["w"]


def test_useful_forms(words: Any) -> None:
    assert rows(words.sql("select column_name from (describe words) where column_type = 'BIGINT'"))
    assert words.sql("summarize words").num_rows > 3
    assert words.sql("show words").num_rows > 3
    assert rows(words.sql("select * from (values (1), (2)) t(x)")) == [(1,), (2,)]
    assert rows(words.sql("select sum(range) from range(4)")) == [(6,)]
    assert rows(words.sql("select unnest(tags) as tag from words order by 1")) == [("x",), ("y",)]
    assert rows(
        words.sql("select rank() over (order by size desc nulls last) from words where id = 'c'")
    ) == [(1,)]
    assert rows(
        words.sql('select id from words where exists (from "My-docs.v1" d where d.id = words.id)')
    ) == [("a",)]


def test_several_at_once(words: Any) -> None:
    got: list[Any] = []

    def ask(number: int) -> None:
        got.append(rows(words.sql("select count(*) + ? from words", [number]))[0][0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [4, 5, 6]


def test_other_databases_are_out_of_reach(tmp_path: Any) -> None:
    with chroma.PersistentClient(tmp_path) as here:
        admin = chroma.AdminClient(chroma.Settings(is_persistent=True, persist_directory=str(tmp_path)))
        admin.create_database("other")
        with chroma.PersistentClient(tmp_path, database="other") as there:
            there.create_collection("hidden", embedding_function=None).add(["a"], embeddings=[[1]])
            assert rows(there.sql("select count(*) from hidden")) == [(1,)]
            for name in ("hidden", "other.hidden", '"other"."main"."hidden"'):
                with refused("hidden", error=ChromaError):
                    here.sql(f"from {name}")
        admin.close()


def test_a_closed_client(tmp_path: Any) -> None:
    client = chroma.EphemeralClient(private=True)
    client.close()
    with pytest.raises(chroma.errors.ClosedError):
        client.sql("select 1")


def test_one_snapshot(store: Any) -> None:
    """Each table of a statement is of one moment, and its records are as `to_arrow` gives them."""
    things = store.create_collection("things", embedding_function=None)
    things.add(["a", "b"], embeddings=[[1], [2]], metadatas=[{"n": 1}, {"n": 2}])
    things.delete(["a"])
    assert store.sql("from things").to_pylist() == things.to_arrow().to_pylist()


@pytest.mark.parametrize("kind", ["persistent", "http"])
def test_values_beyond_the_types_of_arrow(kind: str, tmp_path: Any) -> None:
    """DuckDB has integers of 39 digits and a time 24:00:00; in answers, and in tables that are given."""
    huge, midnight = (1 << 127) - 1, 86_400_000_000
    with CLIENTS[kind](tmp_path) as client:
        answer = client.sql(
            f"select {huge}::HUGEINT n, TIME '24:00:00' t, [TIME '24:00:00'] l, {{'n': {huge}::HUGEINT}} s, "
            "map {1: TIME '24:00:00'} m"
        )
        assert answer["n"][0].as_py() == huge
        assert answer["t"].chunk(0).view(pa.int64()).to_pylist() == [midnight]
        given = answer.select(["n", "t", "l", "s"])
        back = client.sql("select n, t, l, s from given", tables={"given": given})
        assert back["n"][0].as_py() == huge
        assert back["t"].chunk(0).view(pa.int64()).to_pylist() == [midnight]
