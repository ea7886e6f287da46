"""The default model: shape, stability, bad input, threads, fork."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from chroma.embedding import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from chroma.embedding.minilm import model as minilm
from chroma.errors import InvalidArgumentError, InvalidTypeError
from chroma.internal import progress

pytestmark = pytest.mark.filterwarnings("ignore:.* longer than the 256 tokens")

TEXTS = ["The cat sat on the mat.", "", " ", "Données: naïve café, 中文, 🎉", "x" * 300, "word " * 2_000, "a"]


@pytest.fixture(scope="module")
def model() -> minilm.Model:
    return minilm.load()


def test_shape_type_and_length(model: minilm.Model) -> None:
    vectors = model.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_vector_does_not_depend_on_its_neighbours(model: minilm.Model) -> None:
    many = (TEXTS * 20)[:-3]
    together = model.embed(many)
    alone = np.concatenate([model.embed([text]) for text in TEXTS])
    expected = np.tile(alone, (20, 1))[: len(many)]
    assert np.abs(together - expected).max() < 1e-5


def test_meaning_is_ranked(model: minilm.Model) -> None:
    documents = ["How to bake sourdough bread", "Sorting algorithms in Python", "The history of Rome"]
    query = model.embed(["ordering a list of numbers with code"])[0]
    assert np.argmax(model.embed(documents) @ query) == 1


def test_only_the_first_256_tokens_count(model: minilm.Model) -> None:
    base = "one two three four five " * 100
    first, second = model.embed([base + "apple", base + "the fall of Rome and other stories"])
    assert np.array_equal(first, second)


def test_shortening_long_texts_changes_nothing(model: minilm.Model) -> None:
    words = "lorem ipsum dolor ", "x", "é", "e\u0301", "中", "a.", "y" * 50 + " ", "z" * 150 + " "
    for text in [*(word * (60_000 // len(word)) for word in words), " " * 20_000 + "end"]:
        full = model._tokenizer.encode(text).ids
        assert model._tokenizer.encode(model._shortened(text)).ids == full


@pytest.mark.parametrize("word", ["中", "a.", "x", "lorem ipsum ", "y" * 5000 + " "])
def test_of_very_long_texts_little_is_tokenised(model: minilm.Model, word: str) -> None:
    """The tokenizer holds the interpreter's lock: a text of 100 MB would stop a server for a minute."""
    assert len(model._shortened(word * (1_000_000 // len(word)))) <= 65_536


def test_packaged_vocabulary_is_the_pinned_one() -> None:
    import hashlib

    from chroma.embedding.minilm.weights import VOCABULARY, VOCABULARY_SHA256

    assert hashlib.sha256(VOCABULARY.read_bytes()).hexdigest() == VOCABULARY_SHA256


def test_programs_load_the_model_early() -> None:
    minilm._loaded.clear()
    ONNXMiniLM_L6_V2()._download_model_if_not_exists()
    assert len(minilm._loaded) == 1


def test_both_functions_share_model_and_answer() -> None:
    default, named = DefaultEmbeddingFunction(), ONNXMiniLM_L6_V2()
    assert np.array_equal(default(["hello"]), named(["hello"]))
    assert np.array_equal(default.embed_query(["hello"]), default(["hello"]))
    assert (default.name(), default.default_space(), default.get_config()) == ("default", "l2", {})
    assert (named.name(), named.default_space()) == ("onnx_mini_lm_l6_v2", "cosine")
    assert default.max_tokens() == named.max_tokens() == 256
    assert minilm.load() is minilm.load()


@pytest.mark.parametrize("bad", ["one text", None, 3, b"bytes", {"a": 1}])
def test_input_must_be_a_list(bad: Any) -> None:
    with pytest.raises(InvalidTypeError, match="list of texts"):
        DefaultEmbeddingFunction()(bad)


@pytest.mark.parametrize("bad", [3, None, b"x", ["nested"], float("nan")])
def test_texts_must_be_strings(bad: Any) -> None:
    with pytest.raises(InvalidTypeError, match="position 1"):
        DefaultEmbeddingFunction()(["fine", bad])


def test_empty_list_and_lone_surrogate() -> None:
    with pytest.raises(InvalidArgumentError, match="empty list"):
        DefaultEmbeddingFunction()([])
    with pytest.raises(InvalidArgumentError, match="position 0 holds a lone surrogate"):
        DefaultEmbeddingFunction()(["a\ud800b"])


def test_tuples_and_arrays_of_texts_are_accepted(model: minilm.Model) -> None:
    assert model.embed(("a", "b")).shape == model.embed(np.array(["a", "b"])).shape == (2, 384)


@pytest.mark.parametrize("providers", ["CPUExecutionProvider", [1]])
def test_providers_must_be_a_list_of_strings(providers: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="list of strings"):
        ONNXMiniLM_L6_V2(preferred_providers=providers)


def test_providers_unique_and_available() -> None:
    with pytest.raises(InvalidArgumentError, match="unique"):
        ONNXMiniLM_L6_V2(["CPUExecutionProvider"] * 2)
    with pytest.raises(InvalidArgumentError, match="not available"):
        ONNXMiniLM_L6_V2(["NoSuchProvider"])(["a"])
    assert len(ONNXMiniLM_L6_V2(["CPUExecutionProvider"])(["a"])) == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "99999"])
def test_threads_setting_is_checked(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_EMBEDDING_THREADS", value)
    with pytest.raises(InvalidArgumentError, match="CHROMA_EMBEDDING_THREADS"):
        DefaultEmbeddingFunction()(["a"])


def test_one_thread_gives_the_same_vectors(model: minilm.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_EMBEDDING_THREADS", "1")
    single = minilm.load()
    assert single is not model
    assert np.abs(single.embed(TEXTS) - model.embed(TEXTS)).max() < 1e-5


def test_many_threads_at_once(model: minilm.Model) -> None:
    expected = model.embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: DefaultEmbeddingFunction()(TEXTS), range(8)):
            assert np.abs(np.array(result) - expected).max() < 1e-5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_can_embed() -> None:
    code = """if True:
        import os
        from chroma.embedding import DefaultEmbeddingFunction as Default
        Default()(["warm"])
        child = os.fork()
        if child == 0:
            os._exit(0 if len(Default()(["in the child"])) == 1 else 2)
        assert os.waitpid(child, 0)[1] == 0
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(60) == 0
        finally:
            if process.returncode is None:  # the child would outlive its parent
                os.killpg(process.pid, signal.SIGKILL)


def test_progress_only_for_what_takes_long_and_someone_watches(
    model: minilm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(stream: io.StringIO, count: int, delay: float = 0.0) -> str:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(progress, "_DELAY", delay)
        model.embed(["a"] * count)
        return stream.getvalue()

    assert "12/12" in shown(Terminal(), 12)
    assert shown(Terminal(), 12, delay=60.0) == ""
    assert shown(io.StringIO(), 12) == ""


def test_batches_of_long_texts_are_small(model: minilm.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt waits for a batch. 32 texts of 256 tokens take two seconds."""
    sizes, run = [], model._run

    def counted(encodings: Any) -> Any:
        sizes.append(len(encodings))
        return run(encodings)

    monkeypatch.setattr(model, "_run", counted)
    model.embed(["a"] * 40 + ["word " * 300] * 9)
    assert sizes == [8, 8, 32, 1]


def test_windows_and_order(model: minilm.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"number {i} " + "long " * (i % 7) for i in range(50)]
    whole = model.embed(texts)
    monkeypatch.setattr(minilm, "_WINDOW", 16)
    assert np.abs(model.embed(texts) - whole).max() < 1e-5
