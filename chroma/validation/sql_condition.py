"""Reads SQL conditions, such as `pos = 'verb' and n_words between 3 and 8`, as filters.

Owns: the grammar, and the meaning of a missing key. As in SQL, a comparison with a missing key is neither
true nor false. So neither the comparison nor its negation selects the record. A condition becomes the
dictionary that `where` takes, and no text of it is ever part of a statement. The module has a small parser of
its own. The client for servers has no DuckDB, and importing DuckDB takes longer than most reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from ..errors import InvalidArgumentError
from ..storage.interface.short_repr import shown

Filter: TypeAlias = dict[str, Any]
_MOST_NESTED = 100
_MOST_CACHED = 10_000  # characters; a program repeats its short conditions
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))"
    r"|(?P<text>'(?:[^']|'')*')"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign><=|>=|<>|!=|==|[=<>(),+-])"
    r"|(?P<end>\Z))"
)
_WORDS = frozenset(
    {"and", "or", "not", "between", "in", "like", "ilike", "is", "null", "true", "false", "escape"}
)
_COLUMNS = {"id": "#id", "document": "#document"}
_NO_FILTER = ("embedding", "uri")
_COMPARISONS = {
    "=": "$eq", "==": "$eq", "<>": "$ne", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte",
}  # fmt: skip
_FLIPPED = {"$lt": "$gt", "$lte": "$gte", "$gt": "$lt", "$gte": "$lte"}
_OPPOSITE = {
    "$lt": "$gte", "$lte": "$gt", "$gt": "$lte", "$gte": "$lt", "$eq": "$ne", "$ne": "$eq", "$in": "$nin",
}  # fmt: skip
_DATES = ("date", "timestamp", "timestamptz")
_EXAMPLE = "pos = 'verb' and n_words between 3 and 8"


class _Token(NamedTuple):
    """A piece of the text: its kind, the piece itself, and where it begins."""

    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """The keyword, or an empty text."""
        word = self.text.lower()
        return word if self.kind == "name" and word in _WORDS else ""


class _Leaf(NamedTuple):
    """A comparison of a key with a value."""

    key: str
    operator: str
    operand: Any


class _Not(NamedTuple):
    child: _Node


class _Joined(NamedTuple):
    operator: Literal["$and", "$or"]
    children: tuple[_Node, ...]


_Node: TypeAlias = "_Leaf | _Not | _Joined"


def filter_of(text: str) -> Filter:
    """Return the filter that has the meaning of an SQL condition. Raises InvalidArgumentError, naming the
    place."""
    return _cached(text) if len(text) < _MOST_CACHED else _parsed(text)


def _parsed(text: str) -> Filter:
    reader = _Reader(text)
    if reader.token.kind == "end":
        raise InvalidArgumentError("where is an empty text: leave it out, or write an SQL condition")
    node = reader.any_of()
    if reader.token.kind != "end":
        raise reader.unexpected("the end, AND or OR")
    return _true(node)


_cached: Callable[[str], Filter] = lru_cache(256)(_parsed)


# ---------------------------------------------------------------------------- meaning


def _true(node: _Node) -> Filter:
    """Return the filter for the records for which the condition is true."""
    if isinstance(node, _Not):
        return _false(node.child)
    if isinstance(node, _Joined):
        return _join(node.operator, [_true(child) for child in node.children])
    return {node.key: {node.operator: node.operand}}


def _false(node: _Node) -> Filter:
    """Return the filter for the records for which the condition is false. For others it may be unknown."""
    if isinstance(node, _Not):
        return _true(node.child)
    if isinstance(node, _Joined):
        return _join("$or" if node.operator == "$and" else "$and", [_false(child) for child in node.children])
    key, operator, operand = node
    if operator == "$exists":
        return {key: {"$exists": not operand}}
    if operator == "$between":
        return _join("$or", [{key: {"$lt": operand[0]}}, {key: {"$gt": operand[1]}}])
    opposite = _OPPOSITE.get(operator)
    if opposite in ("$ne", "$nin"):
        return _with_value(key, opposite, operand)
    if opposite is not None:
        return {key: {opposite: operand}}
    return _with_value(key, "$not", {operator: operand})


def _with_value(key: str, operator: str, operand: Any) -> Filter:
    """Return a negation that needs a value."""
    return {key: {operator: operand} if key == "#id" else {"$exists": True, operator: operand}}


def _join(operator: str, parts: list[Filter]) -> Filter:
    flat: list[Filter] = []
    for part in parts:
        flat.extend(part.get(operator, [part]))
    return {operator: flat}


# ---------------------------------------------------------------------------- grammar


class _Reader:
    """Reads one condition from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self.token = self._at(0)

    def _at(self, start: int) -> _Token:
        match = _TOKEN.match(self._text, start)
        if match is None:
            begin = start + len(self._text[start:]) - len(self._text[start:].lstrip())
            raise self._error(begin, "this is not a name, a number, a text in single quotes or an operator")
        kind = match.lastgroup or ""
        return _Token(kind, match[kind], match.start(kind))

    def _error(self, at: int, problem: str) -> InvalidArgumentError:
        rest = shown(self._text[at : at + 30]) if at < len(self._text) else "the end"
        return InvalidArgumentError(
            f"where is no SQL condition: {problem}, at character {at + 1}: {rest}; an example is {_EXAMPLE}"
        )

    def unexpected(self, expected: str) -> InvalidArgumentError:
        return self._error(self.token.at, f"expected {expected}")

    def _next(self) -> _Token:
        """Return the token, and go to the one behind it."""
        token = self.token
        self.token = self._at(token.at + len(token.text))
        return token

    def _took(self, *words: str) -> bool:
        """Go on if the token is one of the keywords or signs."""
        token = self.token
        if token.word in words or (token.kind == "sign" and token.text in words):
            self._next()
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._took(sign.lower()):
            raise self.unexpected(sign)

    def any_of(self) -> _Node:
        parts = [self._all_of()]
        while self._took("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else _Joined("$or", tuple(parts))

    def _all_of(self) -> _Node:
        parts = [self._negation()]
        while self._took("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else _Joined("$and", tuple(parts))

    def _negation(self) -> _Node:
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise self._error(self.token.at, f"it is nested more than {_MOST_NESTED} levels deep")
        try:
            if self._took("not"):
                return _Not(self._negation())
            if self._took("("):
                node = self.any_of()
                self._need(")")
                return node
            return self._predicate()
        finally:
            self._depth -= 1

    def _predicate(self) -> _Node:
        if not self._is_name():
            return self._flipped(self._value())
        name = self._next()
        if name.kind == "name" and self.token.text == "(":
            return self._function(name)
        key = self._key(name)
        token = self.token
        if token.text in _COMPARISONS and token.kind == "sign":
            self._next()
            return _leaf(key, _COMPARISONS[token.text], self._value())
        if self._took("is"):
            negated = self._took("not")
            return self._is(key, negated)
        if self._took("not"):
            if not (found := self._named_operator(key)):
                raise self.unexpected("BETWEEN, IN, LIKE or ILIKE")
            return _Not(found)
        return self._named_operator(key) or self._boolean(key)

    def _is_name(self) -> bool:
        token = self.token
        if token.kind == "quoted":
            return True
        if token.kind != "name" or token.word:
            return False
        return token.text.lower() not in _DATES or self._at(token.at + len(token.text)).kind != "text"

    def _key(self, name: _Token) -> str:
        key = name.text[1:-1].replace('""', '"') if name.kind == "quoted" else name.text
        if key in _NO_FILTER:
            raise self._error(
                name.at, f'{key} cannot be filtered by; "metadata.{key}" is a metadata key of this name'
            )
        own = key.removeprefix("metadata.")
        return own if own != key and own in (*_COLUMNS, *_NO_FILTER) else _COLUMNS.get(key, key)

    def _boolean(self, key: str) -> _Node:
        if self.token.kind != "end" and self.token.word not in ("and", "or") and self.token.text != ")":
            raise self.unexpected("a comparison of the key with a value")
        return _Leaf(key, "$eq", True)

    def _is(self, key: str, negated: bool) -> _Node:
        if self._took("null"):
            if key == "#id":
                raise InvalidArgumentError("where: each record has an id, so IS NULL selects none")
            return _Leaf(key, "$exists", negated)
        raise self.unexpected("NULL or NOT NULL")

    def _named_operator(self, key: str) -> _Node | None:
        if self._took("between"):
            low = self._value()
            self._need("AND")
            return _Leaf(key, "$between", [low, self._value()])
        if self._took("in"):
            self._need("(")
            values = [self._value()]
            while self._took(","):
                values.append(self._value())
            self._need(")")
            return _Leaf(key, "$in", values)
        for word in ("like", "ilike"):
            if self._took(word):
                return _Leaf(key, f"${word}", self._pattern())
        return None

    def _pattern(self) -> str:
        """Read a pattern of LIKE, and return it with a backslash as the quoting character."""
        pattern = self._quoted_text()
        escape = None
        if self._took("escape"):
            at, escape = self.token.at, self._quoted_text()
            if len(escape) != 1:
                raise self._error(at, "expected one character as ESCAPE")
        if escape == "\\":
            return pattern
        parts: list[str] = []
        characters = iter(pattern)
        for character in characters:
            if character == escape:
                parts.append("\\" + next(characters, "\\"))
            else:
                parts.append("\\\\" if character == "\\" else character)
        return "".join(parts)

    def _quoted_text(self) -> str:
        if self.token.kind != "text":
            raise self.unexpected("a text in single quotes")
        return self._next().text[1:-1].replace("''", "'")

    def _value(self) -> Any:
        """Read a value: a text, a number, true, false or a date."""
        token = self.token
        if token.kind == "text":
            return self._quoted_text()
        if self._took("true", "false"):
            return token.word == "true"
        if token.kind == "name" and token.text.lower() in _DATES and not self._is_name():
            self._next()
            return {"$date": self._quoted_text()}
        negative = self._took("-")
        if not negative:
            self._took("+")
        if self.token.kind == "number":
            at, text = self.token.at, self._next().text
            try:
                value: int | float = int(text) if text.isdigit() else float(text)
            except ValueError:  # of very many digits
                raise self._error(at, f"this number has {len(text):,} digits") from None
            return -value if negative else value
        if token.word == "null":
            raise self._error(token.at, "nothing equals NULL: write IS NULL or IS NOT NULL")
        if token.kind == "quoted":
            raise self._error(
                token.at, f"double quotes are for keys: write the text {token.text} in single quotes"
            )
        if token.kind == "name" and not token.word:
            raise self._error(
                token.at,
                "expected a value: a text stands in single quotes, and only collection.sql compares keys",
            )
        raise self.unexpected("a value")

    def _flipped(self, value: Any) -> _Node:
        """Read the rest of a comparison whose value comes first."""
        token = self.token
        if token.kind != "sign" or token.text not in _COMPARISONS:
            raise self.unexpected("a comparison with a key")
        self._next()
        if not self._is_name():
            raise self.unexpected("a key")
        operator = _COMPARISONS[token.text]
        return _leaf(self._key(self._next()), _FLIPPED.get(operator, operator), value)

    def _function(self, name: _Token) -> _Node:
        function = _FUNCTIONS.get(name.text.lower())
        if function is None:
            known = ", ".join(_FUNCTIONS)
            raise self._error(name.at, f"{name.text} is not among the functions of a condition, {known}")
        self._need("(")
        if not self._is_name():
            raise self.unexpected("a key")
        key = self._key(self._next())
        self._need(",")
        at = self.token.at
        node = function(key, self._value())
        if node is None:
            raise self._error(at, "expected a text in single quotes")
        self._need(")")
        return node


def _leaf(key: str, operator: str, operand: Any) -> _Node:
    if key == "#document" and isinstance(operand, str) and operator in ("$eq", "$ne"):
        found = _Leaf(key, "$like", _quoted(operand))
        return found if operator == "$eq" else _Not(found)
    if operator == "$ne":
        return _Not(_Leaf(key, "$eq", operand))
    return _Leaf(key, operator, operand)


def _quoted(text: str) -> str:
    """Return a text as a pattern that matches only it."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _contains(key: str, value: Any) -> _Node | None:
    if key == "#document":
        return _Leaf(key, "$contains", value) if isinstance(value, str) and value else None
    return _like("%", "%")(key, value)


def _like(before: str, after: str) -> Callable[[str, Any], _Node | None]:
    def node(key: str, value: Any) -> _Node | None:
        return _Leaf(key, "$like", f"{before}{_quoted(value)}{after}") if isinstance(value, str) else None

    return node


def _regex(key: str, value: Any) -> _Node | None:
    return _Leaf(key, "$regex", value) if isinstance(value, str) else None


_FUNCTIONS: Mapping[str, Callable[[str, Any], _Node | None]] = {
    "contains": _contains,
    "starts_with": _like("", "%"),
    "ends_with": _like("%", ""),
    "regexp_matches": _regex,
    "list_contains": lambda key, value: _Leaf(key, "$contains", value),
}
