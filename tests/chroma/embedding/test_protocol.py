"""The base class: normalised results, checked signatures, storable or not."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from chroma.embedding import EmbeddingFunction, check_signature, is_persistable, normalise
from chroma.errors import InvalidArgumentError


class Lengths(EmbeddingFunction[list[str]]):
    def __call__(self, input: list[str]) -> Any:
        return [[len(text), 1] for text in input]


class Returning(EmbeddingFunction[list[str]]):
    def __init__(self, result: Any) -> None:
        self.result = result

    def __call__(self, input: list[str]) -> Any:
        return self.result


class Stored(Lengths):
    @staticmethod
    def name() -> str:
        return "stored"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Stored:
        return Stored()


def test_results_are_float32_vectors() -> None:
    result = Lengths()(["a", "abc"])
    assert isinstance(result, list)
    assert [vector.dtype for vector in result] == [np.float32, np.float32]
    assert np.array_equal(result, [[1, 1], [3, 1]])


def test_embed_query_defaults_to_call_and_is_normalised_when_overridden() -> None:
    class Asymmetric(Lengths):
        def embed_query(self, input: list[str]) -> Any:
            return np.zeros((len(input), 2), dtype=np.int64)

    assert Lengths().embed_query(["abc"])[0].tolist() == [3, 1]
    assert Asymmetric().embed_query(["abc"])[0].dtype == np.float32


def test_wrapping_keeps_the_signature() -> None:
    assert tuple(inspect.signature(Lengths.__call__).parameters) == ("self", "input")
    check_signature(Lengths())


@pytest.mark.parametrize(
    "result",
    [
        [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
        np.array([[1, 2], [3, 4]], dtype=np.uint8),
        np.array([[1, 2], [3, 4]], dtype=np.float16),
        ((1, 2), (3, 4)),
    ],
)
def test_any_numeric_block_is_accepted(result: Any) -> None:
    assert np.array(Returning(result)(["a", "b"])).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("result", "fragment"),
    [
        ([], "shape"),
        ([[]], "shape"),
        ([[1.0], [1.0, 2.0]], "rectangular"),
        ([[1.0, float("nan")]], "vector 0 holds NaN"),
        ([[1e300]], "infinity"),
        ([["a"]], "dtype"),
        ([[True]], "dtype"),
        (None, "dtype object"),
        ([[[1.0], [2.0]]], "shape"),
        ([[1.0], [2.0]], "2 vectors for 1 inputs"),
    ],
)
def test_bad_results_are_refused_with_the_function_named(result: Any, fragment: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Returning") as caught:
        Returning(result)(["a"])
    assert fragment in str(caught.value)


def test_count_is_not_checked_for_inputs_without_length() -> None:
    assert len(normalise([[1.0], [2.0]], None, "f")) == 2


def test_signature_must_be_self_input() -> None:
    class Wrong:
        def __call__(self, texts: list[str]) -> Any: ...

    class Extra:
        def __call__(self, input: list[str], more: int = 1) -> Any: ...

    class Duck:
        def __call__(self, input: list[str]) -> Any: ...

    def plain(input: list[str]) -> Any: ...

    for bad in (Wrong(), Extra(), lambda x: x, 3, None, "default"):
        with pytest.raises(ValueError):
            check_signature(bad)
    with pytest.raises(ValueError, match="call the class"):
        check_signature(Lengths)
    check_signature(Duck())
    check_signature(plain)


def test_storable_needs_all_three_hooks() -> None:
    assert is_persistable(Stored())
    assert not is_persistable(Lengths())
    assert Lengths().is_legacy()
    assert not is_persistable(object())


def test_defaults() -> None:
    function = Lengths()
    assert function.default_space() == "l2"
    assert function.supported_spaces() == ["cosine", "l2", "ip"]
    with pytest.raises(NotImplementedError):
        function.name()
    with pytest.raises(NotImplementedError):
        function.get_config()


def test_embedding_with_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flaky(EmbeddingFunction[list[str]]):
        calls = 0

        def __call__(self, input: list[str]) -> Any:
            self.calls += 1
            if self.calls % 2:
                raise OSError("busy")
            return [[1.0, 2.0]] * len(input)

    function = Flaky()
    with pytest.raises(OSError, match="busy"):
        function.embed_with_retries(["a"])
    assert function.embed_with_retries(["a"])[0].tolist() == [1.0, 2.0]
    given: list[Any] = []

    def retry(**arguments: Any) -> Any:
        given.append(arguments)
        return lambda call: lambda input: "repeated"

    tenacity = ModuleType("tenacity")
    tenacity.retry = retry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tenacity", tenacity)
    assert function.embed_with_retries(["a"], stop=3) == "repeated"
    assert given == [{"stop": 3}]
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(InvalidArgumentError, match="pip install tenacity"):
        function.embed_with_retries(["a"], stop=3)
