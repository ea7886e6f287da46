"""zvec, with the graph of the others (M 16, ef_construction 100) and inverted indexes on what is filtered.

Records go in as its own `Doc` objects; making them is part of adding, as it is for who uses it with arrays.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import zvec

from .base import Driver as Base

STEP = 1024  # records per call at the most
TYPES = {bool: "BOOL", int: "INT64", float: "DOUBLE", str: "STRING"}
INDEXED = ("u", "lexname", "pos")


class Driver(Base):
    default_knob = None  # it has 300

    def open(self) -> None:
        cores = len(os.sched_getaffinity(0))
        zvec.init(query_threads=cores, optimize_threads=cores, log_level=zvec.LogLevel.ERROR)
        self.parameters = None
        self.collection = zvec.open(self.path) if Path(self.path).exists() else None

    def close(self) -> None:
        self.collection.close()

    def settle(self) -> None:
        self.collection.optimize()

    def set_knob(self, ef: int | None) -> None:
        self.parameters = None if ef is None else zvec.HnswQueryParam(ef=ef)

    def _create(self, metadata: dict[str, Any]) -> None:
        inverted = zvec.InvertIndexParam(enable_range_optimization=True)
        fields = [zvec.FieldSchema("text", zvec.DataType.STRING, nullable=True)]
        fields += [
            zvec.FieldSchema(
                key,
                getattr(zvec.DataType, TYPES[type(value)]),
                nullable=True,
                index_param=inverted if key in INDEXED else None,
            )
            for key, value in metadata.items()
        ]
        graph = zvec.HnswIndexParam(metric_type=zvec.MetricType.COSINE, m=16, ef_construction=100)
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, self.dimension, graph)
        self.collection = zvec.create_and_open(self.path, zvec.CollectionSchema("bench", fields, [vector]))

    def add(self, rows: Any) -> None:
        if self.collection is None:
            self._create(rows.metadatas[0])
        for start in range(0, len(rows), STEP):
            part = rows.part(start, start + STEP)
            _check(
                self.collection.insert(
                    [
                        zvec.Doc(id=id, vectors={"vector": vector}, fields={**metadata, "text": document})
                        for id, vector, metadata, document in zip(
                            part.ids, part.vectors, part.metadatas, part.documents
                        )
                    ]
                )
            )
        self.collection.flush()

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        changes = [zvec.Doc(id=id, fields=metadata) for id, metadata in zip(ids, metadatas)]
        for start in range(0, len(ids), STEP):
            _check(self.collection.update(changes[start : start + STEP]))
        self.collection.flush()

    def delete(self, ids: list[str]) -> None:
        for start in range(0, len(ids), STEP):
            _check(self.collection.delete(ids[start : start + STEP]))
        self.collection.flush()

    def native(self, condition: Any) -> Any:
        return condition.sql()

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        asked = zvec.Query("vector", vector=vector, param=self.parameters)
        # no output_fields: all of them; the score is the distance
        return [found.id for found in self.collection.query(asked, topk=k, filter=condition)]

    def query_ids(self, vector: Any, k: int = 10) -> list[Any]:
        asked = zvec.Query("vector", vector=vector, param=self.parameters)
        return [found.id for found in self.collection.query(asked, topk=k, output_fields=[])]

    def get(self, ids: list[str]) -> list[str]:
        return list(self.collection.fetch(ids, include_vector=False))

    def get_where(self, condition: Any, limit: int) -> list[str]:
        return [found.id for found in self.collection.query(filter=condition, topk=limit)]

    def count(self) -> int:
        return self.collection.stats.doc_count

    def pandas(self) -> Any:
        import pandas

        with self.collection.iter_docs() as records:
            return pandas.DataFrame(
                [{"id": one.id, **one.fields, "embedding": one.vectors["vector"]} for one in records]
            )


def _check(answers: list[Any]) -> None:
    for answer in answers:
        if not answer.ok():
            raise RuntimeError(str(answer))
