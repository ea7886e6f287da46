"""`Search`: a filter, a rank, groups, a page and the parts of records to return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..validation.sql_condition import filter_of
from .conditions import Key, Where
from .groups import GroupBy
from .ranks import Rank

__all__ = ["Limit", "Search", "Select"]
T = TypeVar("T")


@dataclass
class Limit:
    """A page of the result: `limit` records (None: all) after `offset`."""

    offset: int = 0
    limit: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return `{"offset"[, "limit"]}`."""
        return {"offset": self.offset} | ({} if self.limit is None else {"limit": self.limit})

    @staticmethod
    def from_dict(data: Any) -> Limit:
        """Read {"limit"?, "offset"?}. Raises InvalidTypeError or InvalidArgumentError."""
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"Expected dict for a limit, got {shown(data)}")
        unknown = sorted(set(map(str, data)) - {"limit", "offset"})
        if unknown:
            raise InvalidArgumentError(f"Unexpected keys {unknown} in a limit; it has limit and offset")
        limit, offset = data.get("limit"), data.get("offset", 0)
        if limit is not None:
            _check_whole(limit, "limit", least=1)
        _check_whole(offset, "offset", least=0)
        return Limit(offset, limit)


def _check_whole(value: Any, name: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(f"{name} must be an integer, got {shown(value)}")
    if value < least:
        allowed = "positive" if least == 1 else "non-negative"
        raise InvalidArgumentError(f"{name} must be {allowed}, got {value}")


@dataclass
class Select:
    """The parts of records to return: "#document", "#embedding", "#metadata", "#score", or metadata keys."""

    keys: Any = field(default_factory=set)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"keys": […]}`, without repetitions."""
        return {"keys": [*dict.fromkeys(key.name if isinstance(key, Key) else key for key in self.keys)]}

    @staticmethod
    def from_dict(data: Any) -> Select:
        """Read {"keys": […]}. Raises InvalidTypeError or InvalidArgumentError."""
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"Expected dict for a selection, got {shown(data)}")
        if unknown := sorted(set(map(str, data)) - {"keys"}):
            raise InvalidArgumentError(f"Unexpected keys {unknown} in a selection; it has keys")
        keys = data.get("keys", [])
        if not _are_keys(keys):
            raise InvalidTypeError(f"keys of a selection must be a list/tuple/set of str, got {shown(keys)}")
        return _selected(keys)


def _are_keys(keys: Any) -> bool:
    return isinstance(keys, (list, set, tuple, frozenset))


def _selected(keys: Any) -> Select:
    for key in keys:
        if not isinstance(key, (str, Key)):
            raise InvalidTypeError(f"a selected key must be a string or a Key, got {shown(key)}")
    return Select([*keys])


_EVERYTHING = (Key.DOCUMENT, Key.EMBEDDING, Key.METADATA, Key.SCORE)


class Search:
    """A search of one collection. Each builder method returns a new search.

        Search().where(K("year") >= 2020).rank(Knn("solar power")).limit(10).select(K.DOCUMENT, K.SCORE)

    where     a condition, or a dictionary or SQL text as in `Collection.get`; None: all records
    rank      what to sort by, the least first; None: insertion order
    group_by  which records of each group stay
    limit     how many records to return, and how many to skip; a number is the limit
    select    what to return of each record besides its id
    Raises InvalidTypeError (a TypeError) or InvalidArgumentError (a ValueError).
    """

    def __init__(
        self, where: Any = None, rank: Any = None, group_by: Any = None, limit: Any = None, select: Any = None
    ) -> None:
        self._where = _as_where(where)
        self._rank = _as_rank(rank)
        self._group_by = _as_group(group_by)
        self._limit = _as_limit(limit)
        self._select = _as_select(select)

    def _with(self, **part: Any) -> Search:
        made = Search.__new__(type(self))
        made.__dict__.update(self.__dict__, **part)
        return made

    def where(self, where: Any) -> Search:
        """Replace the filter. None removes it."""
        return self._with(_where=_as_where(where))

    def rank(self, rank: Any) -> Search:
        """Replace the rank. None removes it."""
        return self._with(_rank=_as_rank(rank))

    def group_by(self, group_by: Any) -> Search:
        """Replace the groups. None removes them."""
        return self._with(_group_by=_as_group(group_by))

    def limit(self, limit: int, offset: int = 0) -> Search:
        """Replace the page."""
        return self._with(_limit=Limit(offset, limit))

    def select(self, *keys: Key | str) -> Search:
        """Replace the selected parts."""
        return self._with(_select=Select([*keys]))

    def select_all(self) -> Search:
        """Select document, embedding, metadata and score."""
        return self._with(_select=Select([*_EVERYTHING]))

    def __repr__(self) -> str:
        return f"Search({self.to_dict()!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form, with the keys filter, rank, group_by, limit and select."""
        return {
            "filter": None if self._where is None else self._where.to_dict(),
            "rank": None if self._rank is None else self._rank.to_dict(),
            "group_by": self._group_by.to_dict(),
            "limit": self._limit.to_dict(),
            "select": self._select.to_dict(),
        }


def _as_where(where: Any) -> Where | None:
    if where is None or isinstance(where, Where):
        return where
    if isinstance(where, str):
        where = filter_of(where)
    if isinstance(where, Mapping):
        return _read(Where.from_dict, where, "where")
    raise InvalidTypeError(f"where must be a Where, a dict, an SQL condition or None, got {shown(where)}")


def _as_rank(rank: Any) -> Rank | None:
    if rank is None or isinstance(rank, Rank):
        return rank
    if isinstance(rank, Mapping):
        return _read(Rank.from_dict, rank, "rank")
    raise InvalidTypeError(f"rank must be a Rank, a dict or None, got {shown(rank)}")


def _read(from_dict: Callable[[Any], T], form: Mapping[Any, Any], argument: str) -> T:
    try:
        return from_dict(form)
    except RecursionError:
        raise InvalidArgumentError(f"{argument} is nested too deeply; use fewer, longer lists") from None


def _as_group(group_by: Any) -> GroupBy:
    if group_by is None:
        return GroupBy()
    if isinstance(group_by, GroupBy):
        return group_by
    if isinstance(group_by, Mapping):
        return GroupBy.from_dict(group_by)
    raise InvalidTypeError(f"group_by must be a GroupBy, a dict or None, got {shown(group_by)}")


def _as_limit(limit: Any) -> Limit:
    if limit is None:
        return Limit()
    if isinstance(limit, Limit):
        return limit
    if isinstance(limit, Mapping):
        return Limit.from_dict(limit)
    if isinstance(limit, int) and not isinstance(limit, bool):
        return Limit.from_dict({"limit": limit})
    raise InvalidTypeError(f"limit must be a Limit, an int, a dict or None, got {shown(limit)}")


def _as_select(select: Any) -> Select:
    if select is None:
        return Select()
    if isinstance(select, Select):
        return select
    if isinstance(select, Mapping):
        return Select.from_dict(select)
    if not _are_keys(select):
        raise InvalidTypeError(
            f"select must be a Select, a list, tuple or set of str, a dict or None, got {shown(select)}"
        )
    return _selected(select)


for _name in __all__:  # where programs import them; pickles name this path, too
    globals()[_name].__module__ = "chroma.execution.expression"
