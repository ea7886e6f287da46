# Made from chroma/_async/collection_keys.py by scripts/twins.py: change that file, and run `make fix`.
"""Changing the metadata keys of many records: computed, renamed, dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..errors import InvalidArgumentError
from ..internal.concurrency import bulk
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..requests.projection import ScanRequest
from ..results.write_report import WriteReport, report_of
from ..storage.interface.requests import GetRequest, Selection
from ..storage.interface.values import Written
from ..types import Where, WhereDocument
from ..validation.read_arguments import selected
from ..validation.write_batch import Batch
from .collection_files import Pipelines

_STEP = 10_000  # records that are changed by one write


class Keys(Pipelines):
    """The methods of a collection that change metadata keys as columns."""

    def update_columns(
        self,
        expressions: Mapping[str, str],
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        *,
        missing_ok: bool = False,
    ) -> WriteReport:
        """Set metadata keys to the values of SQL expressions, which may name the columns of the records.

            collection.update_columns({"decade": "year // 10 * 10", "n_chars": "length(document)"})

        expressions            {key: expression}; the columns have the names that `to_arrow` gives them. Where
                               an expression is NULL, the record loses the key
        where, where_document  change only the records that match
        missing_ok             True: `where` may name a key that no record has, as in `delete`

        All values are computed from one snapshot. They are written in steps of 10,000 records, each of them
        atomic; after an error, the call can be repeated.
        Returns how many records were updated. Raises InvalidArgumentError for an expression that SQL refuses.
        """
        require_arrow()
        from ..tables import key_expressions

        with during("update_columns"):
            checked = key_expressions.check(expressions)
            tables: dict[str, Any] = {}
            if where is not None or where_document is not None:
                selection = selected(None, where, where_document)
                tables["chosen"] = key_expressions.chosen(self._matching(selection, missing_ok))
            statement = key_expressions.statement(checked, among=bool(tables))
        try:
            table = self.sql(statement, tables=tables or None)
        except InvalidArgumentError as error:
            with during("update_columns"):
                raise key_expressions.refused(checked, error) from None
        with during("update_columns"):
            key_expressions.check_result(table, checked)
        keys, done = list(checked), Written()
        for start in range(0, table.num_rows, _STEP):
            part = table.slice(start, _STEP)
            with during("update_columns"):
                ids, metadatas = bulk(
                    part.num_rows, partial(key_expressions.changes, keys=keys), part
                )
            done += self._change(ids, metadatas)
        return report_of(done)

    def rename_key(self, key: str, new: str, *, overwrite: bool = False) -> WriteReport:
        """Rename a metadata key in all records that have it.

            collection.rename_key("yaer", "year")

        overwrite  replace values that some of these records already have under the new name. Without it, such
                   values raise InvalidArgumentError, and nothing changes

        The records are written in steps of 10,000, each of them atomic; after an error, the call can be
        repeated. Returns how many records were updated. Raises InvalidArgumentError if no record has the key.
        """
        require_arrow()
        from ..tables import key_expressions

        with during("rename_key"):
            key_expressions.check_new(key, new)
            ids = self._having(key)
        if not overwrite and (both := set(ids) & set(self._having(new, missing_ok=True))):
            with during("rename_key"):
                raise key_expressions.taken(key, new, both)
        done = Written()
        for part, entries in self._entries(ids):
            changes = {
                id: {new: entry[key], key: None}
                for id, entry in zip(part, entries)
                if entry and key in entry  # otherwise it lost the key meanwhile
            }
            if changes:
                done += self._change([*changes], [*changes.values()])
        return report_of(done)

    def drop_key(self, key: str) -> WriteReport:
        """Remove a metadata key from all records that have it.

            collection.drop_key("draft")

        Returns how many records were updated. Raises InvalidArgumentError if no record has the key.
        """
        require_arrow()
        from ..tables import key_expressions

        with during("drop_key"):
            key_expressions.check_names(key)
            ids = self._having(key)
        done = Written()
        for start in range(0, len(ids), _STEP):
            part = ids[start : start + _STEP]
            done += self._change(part, [{key: None}] * len(part))
        return report_of(done)

    def _having(self, key: str, missing_ok: bool = False) -> list[str]:
        """Return the ids of the records that have a key."""
        from ..tables import from_rows, key_expressions

        every = self.column_types()
        columns = key_expressions.columns_of(key, every)
        if not columns:
            if missing_ok:
                return []
            raise key_expressions.unknown(key, every)
        # SQL does not tell keys apart that differ only in case, and filters are refused for some keys.
        projection = from_rows.projection(["id", *columns], "columns")
        batches = self._backend.batches(self._ref, ScanRequest(projection=projection))
        ids: list[str] = []
        for batch in batches:
            ids += key_expressions.having(batch)
        return ids

    def _entries(self, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Any]]]:
        """The metadata of some records, part by part. Records that were deleted meanwhile are left out."""
        for start in range(0, len(ids), _STEP):
            request = GetRequest(
                selection=Selection(ids=ids[start : start + _STEP]), fields=frozenset({"metadatas"})
            )
            rows = self._backend.get(self._ref, request)
            yield rows.ids, list(rows.metadatas or [])

    def _change(self, ids: Sequence[str], metadatas: Sequence[Mapping[str, Any]]) -> Written:
        batch = Batch(
            ids=list(ids), embeddings=None, metadatas=list(metadatas), documents=None, images=None, uris=None
        )
        batch = self._with_sparse(batch)
        return self._backend.write(self._ref, "update", batch.records(batch.embeddings))
