"""LanceDB as its guides have it: append Arrow tables, then IVF_HNSW_SQ, refined with whole vectors."""

from __future__ import annotations

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa

from .base import Driver as Base

REFINE = 4  # candidates per hit that are compared by their whole vectors, at a knob that is set
PARTS = 20  # nprobes: its own default


class Driver(Base):
    default_knob = None  # neither effort nor refinement
    lowest_knob = 10 * REFINE  # fewer it refuses for k = 10

    def open(self) -> None:
        warnings.simplefilter("ignore", DeprecationWarning)
        there = Path(self.path).exists()
        self.database = lancedb.connect(self.path)
        self.table = self.database.open_table("bench") if there else None
        self.ef: int | None = None
        self._columns: list[str] = []

    def settle(self) -> None:
        self.table.optimize(cleanup_older_than=timedelta(0))
        self.table.create_index(metric="cosine", vector_column_name="vector", index_type="IVF_HNSW_SQ")
        self.table.create_scalar_index("id", index_type="BTREE")
        self.table.create_scalar_index("u", index_type="BTREE")
        if "lexname" in self.table.schema.names:
            self.table.create_scalar_index("lexname", index_type="BITMAP")

    def set_knob(self, ef: int | None) -> None:
        self.ef = ef

    def input(self, rows: Any) -> Any:
        columns = {key: [given.get(key) for given in rows.metadatas] for key in rows.metadatas[0]}
        flat = pa.array(rows.vectors.reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, self.dimension)
        return pa.table({"id": rows.ids, "text": rows.documents, **columns, "vector": vectors})

    def add(self, table: Any) -> None:
        if self.table is None:
            self.table = self.database.create_table("bench", table)
        else:
            self.table.add(table)

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        columns = {key: [given[key] for given in metadatas] for key in metadatas[0]}
        self.table.merge_insert("id").when_matched_update_all().execute(pa.table({"id": ids, **columns}))

    def delete(self, ids: list[str]) -> None:
        self.table.delete(_among(ids))

    def native(self, condition: Any) -> Any:
        return condition.sql()

    @property
    def columns(self) -> list[str]:
        """Everything but the vector."""
        if not self._columns:
            self._columns = [name for name in self.table.schema.names if name != "vector"]
        return self._columns

    def _search(self, vector: Any, k: int, condition: Any, columns: list[str]) -> list[Any]:
        search = self.table.search(vector, vector_column_name="vector").distance_type("cosine")
        search = search.select([*columns, "_distance"]).limit(k)
        if self.ef is not None:
            search = search.nprobes(PARTS).ef(self.ef).refine_factor(REFINE)
        if condition is not None:
            search = search.where(condition, prefilter=True)
        return [found["id"] for found in search.to_list()]

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        return self._search(vector, k, condition, self.columns)

    def query_ids(self, vector: Any, k: int = 10) -> list[Any]:
        return self._search(vector, k, None, ["id"])

    def _rows(self, condition: str, limit: int) -> list[str]:
        search = self.table.search().where(condition).select(self.columns).limit(limit)
        return [found["id"] for found in search.to_list()]

    def get(self, ids: list[str]) -> list[str]:
        return self._rows(_among(ids), len(ids))

    def get_where(self, condition: Any, limit: int) -> list[str]:
        return self._rows(condition, limit)

    def count(self) -> int:
        return self.table.count_rows()

    def arrow(self) -> Any:
        return self.table.to_arrow()

    def pandas(self) -> Any:
        return self.table.to_pandas()

    def vectors_in(self, table: Any) -> Any:
        return table["vector"]


def _among(ids: list[str]) -> str:
    return "id in (" + ",".join("'" + id.replace("'", "''") + "'" for id in ids) + ")"
