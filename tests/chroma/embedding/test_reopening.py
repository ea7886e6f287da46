"""A collection made with a provider's function is opened by another process, by name alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.embedding import OllamaEmbeddingFunction, OpenAIEmbeddingFunction
from tests.chroma.embedding.providers import KEY, PROVIDERS, Provider
from tests.chroma.http.scripted import Scripted

ROOT = Path(__file__).resolve().parents[3]
READ = """
import sys, chroma
client = chroma.PersistentClient(sys.argv[1])
collection = client.get_collection("things")
print(collection.configuration["embedding_function"].name())
print(collection.query(query_texts=["two"], n_results=1)["ids"])
collection.add(ids=["c"], documents=["three"])
print(collection.count())
"""


def read(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH")}
    return subprocess.run(
        [sys.executable, "-c", READ, str(folder)], env=kept | environment, cwd=ROOT,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    "provider",
    [provider for provider in PROVIDERS if provider.argument is not None],
    ids=lambda provider: f"{provider.name}{provider.header[0][:3]}",
)
def test_by_name_in_a_new_process(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.script = provider.reply
    environment = {} if provider.variable is None else {provider.variable: KEY}
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=provider.make(monkeypatch, server.port))
        assert made.configuration_json["hnsw"]["space"] == "cosine"
        made.add(ids=["a", "b"], documents=["one", "two"])
    done = read(tmp_path, **environment)
    assert done.stdout.splitlines() == [provider.name, "[['b']]", "3"], done.stderr
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not any(KEY.encode() in data for data in files)


def test_without_its_key_a_collection_still_opens(server: Scripted, tmp_path: Path) -> None:
    server.script = PROVIDERS[0].reply
    with chroma.PersistentClient(tmp_path) as client:
        function = OpenAIEmbeddingFunction(KEY, "m", api_base=f"http://127.0.0.1:{server.port}/v1")
        client.create_collection("things", embedding_function=function).add(ids=["a"], documents=["one"])
    done = read(tmp_path)
    assert done.stdout.splitlines() == ["openai"]
    assert "set the environment variable CHROMA_OPENAI_API_KEY or OPENAI_API_KEY" in done.stderr
    with chroma.PersistentClient(tmp_path) as client:  # in this process as well
        opened = client.get_collection("things")
        assert opened.get()["ids"] == ["a"]
        assert opened.configuration["embedding_function"] is not None


def test_a_function_with_another_address_may_replace_it(tmp_path: Path) -> None:
    """The same model elsewhere: the vectors stay comparable."""
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection(
            "things", embedding_function=OllamaEmbeddingFunction("http://old:1", "m")
        )
        moved: Any = {"embedding_function": OllamaEmbeddingFunction("http://new:1", "m")}
        made.modify(configuration=moved)
        assert made.configuration_json["embedding_function"]["config"]["url"] == "http://new:1"
        other: Any = {"embedding_function": OllamaEmbeddingFunction("http://new:1", "n")}
        with pytest.raises(ValueError, match="comparable"):
            made.modify(configuration=other)


def test_a_batch_that_fails_stores_nothing(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = next(provider for provider in PROVIDERS if provider.name == "ollama")

    def script(request: Any) -> Any:
        reply = provider.reply(request)
        if len(server.requests) > 1:
            reply.status, reply.body = 400, {"error": "no more"}
        return reply

    server.script = script
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=provider.make(monkeypatch, server.port))
        with pytest.raises(ValueError, match="no more.*texts 64 to 99 of 100"):
            made.add(ids=[str(number) for number in range(100)], documents=["text"] * 100)
        assert made.count() == 0
