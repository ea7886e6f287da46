"""Turns the remedies of messages, which are calls in Python, into options of the command."""

from __future__ import annotations

import re

# Arguments that an option of the same name stands for.
_SAME = (
    "batch_size ca encoding exact format include limit max_distance max_rejects missing_ok mode on_conflict "
    "order_by overwrite partition_by quoting rejects restart separator space token user where where_document"
)
_OTHER = {"n_results": "--n-results", "columns": "--column", "types": "--type"}
_OPTIONS = {name: f"--{name.replace('_', '-')}" for name in _SAME.split()} | _OTHER
_GIVEN = re.compile(rf"(?:\b(p|P)ass )?\b({'|'.join(_OPTIONS)})=(True\b|'[^']*'|…|\d+|(?![{{\[\w\"]))")
_ONLY_PYTHON = re.compile(
    r"; a dataframe is named by tables=\{[^}]*\}|, or open it with get_[a-z_]+(?: or get_[a-z_]+)?"
)


def in_options(text: str) -> str:
    """Return a message with `--overwrite` for `pass overwrite=True`, `--format 'csv'` for `format='csv'`."""
    return _GIVEN.sub(_option, _ONLY_PYTHON.sub("", text))


def _option(found: re.Match[str]) -> str:
    give = {"p": "give ", "P": "Give ", None: ""}[found[1]]
    value = "" if found[3] in ("", "True") else f" {found[3]}"
    return f"{give}{_OPTIONS[found[2]]}{value}"
