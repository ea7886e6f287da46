"""Calls as users write them. A type checker must find an error on each line that ends with `# wrong` only."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import chroma
from chroma import K, Knn, Search

client = chroma.EphemeralClient()
c = client.get_or_create_collection("words")
vectors = np.zeros((2, 3), np.float32)
anything: Any = None

c.add(ids=["a", "b"], embeddings=vectors, documents=["x", None], metadatas=[{"n": 1}, None])
c.add(ids="a", embeddings=[0.0, 1.0], documents="x", metadatas={"n": 1, "tags": ["a"]}, uris="u://1")
c.add(ids=("a", "b"), embeddings=[[0, 1], [1, 0]])
c.add(ids=["a"], embeddings=[vectors[0]], images=[np.zeros((2, 2))])
c.add(ids=[1, 2], embeddings=list(vectors))
c.add(ids=pd.Series(["a"]), documents=pd.Series(["x"]), embeddings=pa.array([[1.0]]))
c.add(pd.DataFrame({"id": ["a"], "document": ["x"]}))
c.upsert(pl.DataFrame({"id": ["a"]}), columns={"document": "text"})
c.update(c.get(include=["embeddings"]))
c.add(anything, anything, anything, anything)
report = c.update(where={"n": {"$gte": 3}}, metadatas={"seen": True})
count: int = report.updated + report.added
c.add(ids=1, documents=3.5)  # wrong
c.add(ids=1.5, documents="x")  # wrong
c.add(ids=["a"], embeddings="x")  # wrong
c.add(ids=["a"], embeddings=[["x"]])  # wrong
c.add(ids=["a"], documents=[1])  # wrong
c.upsert(ids=["a"], metadatas=["x"])  # wrong
c.update(ids=["a"], metadata={"n": 1})  # wrong
c.add(documents=["x"])  # wrong
c.update(ids=["a"], uris=5)  # wrong

got = c.get(ids=["a"], where={"n": 1}, include=["documents", "embeddings"], limit=5, order_by="-n")
c.get(where="n > 3", where_document={"$contains": "x"})
c.get("a", include=["documents"])
documents: list[str | None] | None = got["documents"]
ids: list[str] = got["ids"]
c.get(ids=3.5)  # wrong
c.get(where=5)  # wrong
c.get(limit="5")  # wrong
c.get(include=["document"])  # wrong
c.get(include="documents")  # wrong

found = c.query(
    query_texts=["x"], n_results=3, include=["distances"], mode="hybrid", query_embeddings=vectors
)
c.query(query_ids=["a"], offset=5, max_distance=0.5, where={"day": {"$gte": date(2024, 1, 1)}})
distances: list[list[float]] | None = found["distances"]
c.query(query_texts=5)  # wrong
c.query(query_embeddings="x")  # wrong
c.query(query_texts=["x"], n_results="3")  # wrong
c.query(query_texts=["x"], mode="words")  # wrong
c.delete(ids=["a"], where={"n": 1})
c.delete(ids=2.5)  # wrong

table: pa.Table = c.to_arrow(["id", "n"], where={"n": 1})
frame: pd.DataFrame = c.to_pandas()
c.to_arrow(columns=[1])  # wrong
rows: pa.Table = c.sql("select count(*) from records", [1])
c.sql(5)  # wrong
c.search(Search().rank(Knn("x")).where(K("n") == 1).limit(3))
c.search("x")  # wrong
number: int = len(c)
there: bool = "a" in c
for record in c:
    document: str | None = record["document"]
matrix = c.vectors(where={"n": 1}).matrix.sum()
pairs: pa.Table = c.duplicates(0.1)
c.duplicates("near")  # wrong
c.neighbours(k="x")  # wrong
kept: str = c.snapshot("before").created
c.restore(5)  # wrong
c.update_columns({"year2": "year * 2"})
c.update_columns("year * 2")  # wrong
