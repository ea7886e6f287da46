"""Metadata keys as columns of SQL: the statements that compute new values, and the changes they make."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.nearest_names import instead
from ..storage.interface.short_repr import shown
from ..validation.metadata import check_metadatas
from .column_names import key_of
from .type_conversion import values

# Columns of the records that are no metadata keys, and how they are changed.
_CHANGED_BY = {
    "id": "never changes",
    "document": "update(ids, documents=[...]) changes",
    "uri": "update(ids, uris=[...]) changes",
    "embedding": "update(ids, embeddings=[...]) changes",
}
RESERVED = frozenset(_CHANGED_BY)


def check(expressions: Any) -> dict[str, str]:
    """Check {key: SQL expression}."""
    if not isinstance(expressions, Mapping) or not expressions:
        raise InvalidTypeError(
            "Expected expressions to be a mapping of metadata keys to SQL expressions, such as "
            f"{{'decade': 'year // 10 * 10'}}, got {shown(expressions)}"
        )
    for key, text in expressions.items():
        check_names(key)
        if key in RESERVED:
            raise InvalidArgumentError(
                f"expressions sets metadata keys, and {key!r} names a column of the records, which "
                f"{_CHANGED_BY[key]}; give the key another name"
            )
        if not isinstance(text, str) or not text.strip():
            raise InvalidTypeError(
                f"Expected expressions[{key!r}] to be an SQL expression, got {shown(text)}"
            )
    return dict(expressions)


def check_names(*keys: Any) -> None:
    """Check the names of metadata keys."""
    for key in keys:
        check_metadatas([{key: True}])


def statement(expressions: Mapping[str, str], *, among: bool) -> str:
    """Return the statement that computes the expressions, of all records or of those in the table `chosen`.

    A line break ends a comment that an expression may end with. The statement can only read, because `sql`
    refuses any other.
    """
    columns = "".join(f", ({text}\n) as {_quoted(key)}" for key, text in expressions.items())
    among_these = " where id in (select key from chosen)" if among else ""
    return f"select id{columns} from records{among_these}"  # noqa: S608 - the caller's own expressions


def chosen(ids: Sequence[str]) -> pa.Table:
    """Return the table `chosen` of a statement."""
    return pa.table({"key": pa.array(ids, pa.string())})


def check_result(table: pa.Table, keys: Collection[str]) -> None:
    """Check that a statement's result has one value per key and record, before any of it is written.

    An id that came twice would be stored twice.
    """
    if table.num_columns != 1 + len(keys):
        raise InvalidArgumentError(
            f"{len(keys)} expressions give {table.num_columns - 1} columns: an expression gives one value, "
            "and each key needs an entry of its own"
        )
    ids = table.column(0)
    if len(ids.unique()) != len(ids):
        raise InvalidArgumentError(
            f"the expressions give {len(ids):,} rows for {len(ids.unique()):,} records, as unnest does: an "
            "expression gives one value for each record; a list may be a value"
        )


def changes(table: pa.Table, keys: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the ids of a statement's result, and the changes of their metadata. NULL removes a key.

    The columns are not known by their names: a key may be called id.
    """
    columns: dict[str, list[Any]] = {}
    for number, name in enumerate(keys, 1):
        array = table.column(number).combine_chunks()
        if pa.types.is_decimal(array.type) and array.type.scale:  # 0.5 * year is a decimal in SQL
            array = array.cast(pa.float64())
        columns[name] = values(name, array).to_pylist()
    rows = zip(*columns.values())
    return table.column(0).to_pylist(), [dict(zip(columns, row)) for row in rows]


def columns_of(key: str, names: Collection[str]) -> list[str]:
    """Return the columns of a key: one for each type of its values."""
    return [name for name in names if name not in RESERVED and key_of(name) == key]


def having(batch: pa.RecordBatch) -> list[str]:
    """Return the ids, in the first column, of the rows with a value in one of the other columns."""
    found = np.zeros(batch.num_rows, np.bool_)
    for number in range(1, batch.num_columns):
        found |= batch.column(number).is_valid().to_numpy(zero_copy_only=False)
    ids: list[str] = batch.column(0).filter(pa.array(found)).to_pylist()
    return ids


def unknown(key: str, columns: Collection[str]) -> InvalidArgumentError:
    """Return the error for a key that no record has. `columns` are those of the records."""
    keys = dict.fromkeys(key_of(name) for name in columns if name not in RESERVED)
    return InvalidArgumentError(f"no record has the metadata key {key!r}{instead(key, keys, 'keys')}")


def refused(expressions: Mapping[str, str], error: Exception) -> InvalidArgumentError:
    """Return the error for expressions that SQL refuses."""
    return InvalidArgumentError(
        f"expressions={shown(expressions)}: {error}; texts stand in single quotes, keys are columns, and "
        "collection.columns lists them"
    )


def check_new(key: str, new: str) -> None:
    """Check the names of a key that is to be renamed."""
    check_names(key, new)
    if key == new:
        raise InvalidArgumentError(f"key and new are the same name, {key!r}: pass another one as new")


def taken(key: str, new: str, ids: Collection[str]) -> InvalidArgumentError:
    """Return the error for a key that cannot be renamed."""
    return InvalidArgumentError(
        f"{len(ids):,} records with the key {key!r} have the key {new!r}, too, such as {min(ids)!r}: pass "
        "overwrite=True to replace its values"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
