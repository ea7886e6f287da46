"""Names to functions and back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from chroma.embedding import (
    DefaultEmbeddingFunction,
    EmbeddingFunction,
    ONNXMiniLM_L6_V2,
    config_to_embedding_function,
    embedding_function_to_config,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
)
from chroma.errors import InvalidArgumentError


def make(name: Any = "counting") -> type[EmbeddingFunction[list[str]]]:
    class Counting(EmbeddingFunction[list[str]]):
        def __init__(self, scale: int = 1) -> None:
            self.scale = scale

        def __call__(self, input: list[str]) -> Any:
            return [[len(text) * self.scale] for text in input]

        @staticmethod
        def name() -> str:
            return name

        def get_config(self) -> dict[str, Any]:
            return {"scale": self.scale}

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> Counting:
            return Counting(**config)

        @staticmethod
        def validate_config(config: dict[str, Any]) -> None:
            if config.get("scale", 1) < 0:
                raise ValueError("scale must not be negative")

    return Counting


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    before = dict(known_embedding_functions)
    yield
    known_embedding_functions.clear()
    known_embedding_functions.update(before)


def test_builtins_are_known() -> None:
    assert get_builtins() >= {"DefaultEmbeddingFunction", "ONNXMiniLM_L6_V2", "OpenAIEmbeddingFunction"}
    assert known_embedding_functions["default"] is DefaultEmbeddingFunction
    assert known_embedding_functions["onnx_mini_lm_l6_v2"] is ONNXMiniLM_L6_V2


@pytest.mark.parametrize("form", ["call", "bare", "parentheses"])
def test_three_ways_to_register(form: str) -> None:
    counting = make()
    decorated = (
        register_embedding_function()(counting)
        if form == "parentheses"
        else register_embedding_function(counting)
    )
    assert decorated is counting
    assert known_embedding_functions["counting"] is counting


def test_round_trip() -> None:
    stored = embedding_function_to_config(make()(3))  # type: ignore[call-arg]
    assert stored == {"type": "known", "name": "counting", "config": {"scale": 3}}
    assert config_to_embedding_function(stored)(["ab"])[0].tolist() == [6]
    for builtin in (DefaultEmbeddingFunction(), ONNXMiniLM_L6_V2(["CPUExecutionProvider"])):
        again = config_to_embedding_function(embedding_function_to_config(builtin))
        assert type(again) is type(builtin)
        assert again.get_config() == builtin.get_config()


def test_legacy() -> None:
    assert embedding_function_to_config(lambda input: input) == {"type": "legacy"}
    with pytest.raises(InvalidArgumentError, match="pass it again"):
        config_to_embedding_function({"type": "legacy"})


def test_only_registered_classes_are_built() -> None:
    for name in ("os.system", "builtins.eval", "chroma.embedding.providers.openai", "langchain", None, 3):
        with pytest.raises(InvalidArgumentError, match="not registered"):
            config_to_embedding_function({"type": "known", "name": name, "config": {}})


@pytest.mark.parametrize("config", [None, [], {1: 2}, "default"])
def test_malformed_configurations(config: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        config_to_embedding_function(config)
    with pytest.raises(InvalidArgumentError):
        config_to_embedding_function({"type": "known", "name": "default", "config": config or 3})


def test_configuration_is_validated() -> None:
    register_embedding_function(make())
    with pytest.raises(ValueError, match="negative"):
        config_to_embedding_function({"type": "known", "name": "counting", "config": {"scale": -1}})
    with pytest.raises(InvalidArgumentError, match="preferred_providers"):
        config_to_embedding_function(
            {"type": "known", "name": "onnx_mini_lm_l6_v2", "config": {"path": "/x"}}
        )


def test_a_later_class_replaces_but_builtin_names_are_taken() -> None:
    register_embedding_function(make())
    second = make()
    register_embedding_function(second)
    assert known_embedding_functions["counting"] is second
    with pytest.raises(InvalidArgumentError, match="built-in"):
        register_embedding_function(make("default"))


@pytest.mark.parametrize("name", ["", None, 3])
def test_names_must_be_strings(name: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        register_embedding_function(make(name))


def test_only_subclasses_with_a_name_register() -> None:
    class Nameless(EmbeddingFunction[list[str]]):
        def __call__(self, input: list[str]) -> Any: ...

    with pytest.raises(InvalidArgumentError, match="name"):
        register_embedding_function(Nameless)
    with pytest.raises(InvalidArgumentError, match="subclass"):
        register_embedding_function(dict)  # type: ignore[type-var]


def test_functions_of_providers_are_imported_when_used() -> None:
    code = (
        "import sys\n"
        "import chroma.utils.embedding_functions as functions\n"
        "import chroma.embedding as embedding\n"
        "def loaded(): return {m.rpartition('.')[2] for m in sys.modules if '.embedding.' in m}\n"
        "known = functions.known_embedding_functions\n"
        "assert 'openai' in known and len(list(known)) == len(known) >= 16, list(known)\n"
        "assert 'openai' in repr(known) and 'OpenAIEmbeddingFunction' in functions.get_builtins()\n"
        "assert 'OpenAIEmbeddingFunction' in dir(functions)\n"
        "assert not loaded() & {'openai', 'http', 'api_keys', 'ollama', 'bedrock', 'inputs'}\n"
        "assert known['openai'] is functions.OpenAIEmbeddingFunction is embedding.OpenAIEmbeddingFunction\n"
        "assert loaded() & {'openai', 'ollama', 'bedrock'} == {'openai'}\n"
        "heavy = {'numpy', 'httpx', 'orjson', 'boto3', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


OTHER_NAMES = {"google_genai": "google_gemini", "chroma_langchain": "langchain"}  # as in Chroma


def test_every_builtin_has_the_name_it_is_known_by() -> None:
    for name, ef_class in known_embedding_functions.items():
        if not ef_class.__module__.startswith("chroma."):
            continue  # registered by another test
        assert ef_class.name() == OTHER_NAMES.get(name, name)
        assert ef_class.__name__ in get_builtins()


@pytest.mark.parametrize("name", ["openai", "google_genai", "sentence_transformer"])
def test_names_of_providers_are_taken(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="built-in"):
        register_embedding_function(make(name))


def test_the_registry_is_a_mapping() -> None:
    counting = make()
    known_embedding_functions["counting"] = counting
    assert known_embedding_functions.pop("counting") is counting
    assert known_embedding_functions.get("counting") is None
    with pytest.raises(KeyError):
        known_embedding_functions["counting"]


def test_importing_loads_no_heavy_module() -> None:
    code = (
        "import sys, chroma.embedding\n"
        "heavy = {'numpy', 'onnxruntime', 'tokenizers', 'tqdm', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
