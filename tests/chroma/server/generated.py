"""Values that fit a JSON Schema, for the part of the language that our schemas use."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import jsonschema

Schema = dict[str, Any]


def junk() -> st.SearchStrategy[Any]:
    """Any JSON value of moderate size."""
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    plain = st.none() | st.booleans() | numbers | st.text(max_size=10)
    return st.recursive(
        plain,
        lambda part: st.lists(part, max_size=2) | st.dictionaries(st.text(max_size=5), part, max_size=2),
        max_leaves=5,
    )


def fitting(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that are valid against a schema without references."""
    found = _made(schema)
    if any(key in schema for key in ("not", "uniqueItems", "pattern", "propertyNames")):
        return found.filter(jsonschema.Draft202012Validator(schema).is_valid)
    return found


def _made(schema: Schema) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([fitting(part) for part in schema["anyOf"]])
    kind = schema.get("type")
    if isinstance(kind, list):
        return st.one_of([fitting({**schema, "type": one}) for one in kind])
    if kind is None:
        return junk()
    return {
        "null": lambda _: st.none(), "boolean": lambda _: st.booleans(), "integer": _integer,
        "number": _number, "string": _string, "array": _array, "object": _object,
    }[kind](schema)  # fmt: skip


def _integer(schema: Schema) -> st.SearchStrategy[Any]:
    return st.integers(schema.get("minimum"), schema.get("maximum"))


def _number(schema: Schema) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    return st.floats(low, high, allow_nan=False, allow_infinity=False) | st.integers(
        -100 if low is None else int(low), 100 if high is None else int(high)
    )


def _string(schema: Schema) -> st.SearchStrategy[Any]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"]).map(lambda text: text.removesuffix("\n"))
    return st.text(
        st.characters(codec="utf-8"),
        min_size=schema.get("minLength", 0),
        max_size=schema.get("minLength", 0) + 10,
    )


def _array(schema: Schema) -> st.SearchStrategy[Any]:
    least = schema.get("minItems", 0)
    return st.lists(fitting(schema["items"]), min_size=least, max_size=schema.get("maxItems", least + 3))


def _object(schema: Schema) -> st.SearchStrategy[Any]:
    properties: dict[str, Schema] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    named = st.fixed_dictionaries(
        {name: fitting(part) for name, part in properties.items() if name in required},
        optional={name: fitting(part) for name, part in properties.items() if name not in required},
    )
    more = schema.get("additionalProperties", {})
    if more is False or schema.get("maxProperties") == 0:
        found = named
    else:
        names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(
            lambda name: name not in properties
        )
        others = st.dictionaries(names, fitting(more), max_size=2)
        found = st.builds(lambda one, two: {**two, **one}, named, others)
    least = schema.get("minProperties", 0)
    return found.filter(lambda value: len(value) >= least) if least else found
