"""Log lines never wait for the one who reads them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest

from chroma.server.observability import log_writer, logs
from tests.support.server import ROOT, answers, free_port


def _handler(write: int, style: str = "text") -> log_writer.LogWriter:
    handler = log_writer.LogWriter(os.fdopen(write, "w"))
    handler.setFormatter(logs.JsonLines() if style == "json" else logs.TextLines())
    return handler


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("chroma.test", logging.INFO, "", 0, text, None, None)


def _read(fd: int) -> str:
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts).decode()


@pytest.mark.parametrize("style", ["text", "json"])
def test_lines_that_nobody_reads_are_dropped_and_counted(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "MOST_LINES", 100)
    monkeypatch.setattr(log_writer, "_BATCH", 10)
    read, write = os.pipe()
    handler = _handler(write, style)
    begin = time.monotonic()
    for number in range(3000):
        handler.handle(_record(f"{number} {'x' * 100}"))
    assert time.monotonic() - begin < 5
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(_read(read).splitlines()))
    reader.start()
    handler.flush()
    handler.handle(_record("last"))
    handler.flush()
    handler._stream.close()  # type: ignore[union-attr]
    reader.join()
    os.close(read)
    if style == "json":
        texts = [str(json.loads(line)["message"]) for line in found]
    else:
        texts = [line.split(": ", 1)[1] for line in found]
    counts = [int(text.split()[0]) for text in texts if "log lines were dropped" in text]
    kept = [text for text in texts if "log lines were dropped" not in text]
    assert counts and sum(counts) + len(kept) == 3001
    assert kept[-1] == "last"
    assert [text.split()[0] for text in kept[:100]] == [str(number) for number in range(100)]


def test_a_reader_that_is_gone_stops_nobody() -> None:
    read, write = os.pipe()
    handler = _handler(write)
    os.close(read)
    for _ in range(10):
        handler.handle(_record("x"))
        handler.flush()
    assert handler._dropped == 10
    handler._stream.close()  # type: ignore[union-attr]


def test_a_pipe_that_does_not_block_gets_every_line() -> None:
    """Node makes the pipes of its children so."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    handler = _handler(write)
    found: list[str] = []
    reader = threading.Thread(target=lambda: (time.sleep(0.1), found.extend(_read(read).splitlines())))
    reader.start()
    for number in range(2000):
        handler.handle(_record(f"{number} {'x' * 100}"))
    handler.flush()
    handler._stream.close()  # type: ignore[union-attr]
    reader.join()
    os.close(read)
    assert len(found) == 2000


def test_a_process_without_standard_error_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = log_writer.LogWriter()
    monkeypatch.setattr(sys, "stderr", None)
    handler.handle(_record("x"))
    handler.flush()
    assert handler._dropped == 0


def test_a_line_that_cannot_be_formatted_is_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    handler = log_writer.LogWriter()
    handler.setFormatter(logs.TextLines())
    handler.handle(logging.LogRecord("chroma.test", logging.INFO, "", 0, "%d", ("x",), None))
    handler.flush()
    assert "a line of the logger chroma.test could not be formatted: TypeError" in capfd.readouterr().err


def test_the_end_of_the_process_waits_for_the_lines() -> None:
    program = "from chroma.server.observability import logs; import logging, threading, warnings\n"
    program += "logs.start('info', 'json'); logging.getLogger('chroma').info('one')\n"
    program += "logging.getLogger('another').warning('two'); warnings.warn('three')\n"
    program += "threading.Thread(target=lambda: 1 / 0, name='four').start()\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stderr.splitlines()]
    texts = [line["message"] for line in lines]
    assert done.returncode == 0 and len(texts) == 4, done.stderr
    assert texts[:2] == ["one", "two"]
    assert "UserWarning: three" in texts[2]
    assert texts[3] == "the thread four ended with an error" and "ZeroDivisionError" in lines[3]["traceback"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_whose_output_nobody_reads_serves(tmp_path: Path, workers: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "chroma", "run", "--path", str(tmp_path / "db"), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--workers", str(workers)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while not answers(url) and time.monotonic() < deadline:
            time.sleep(0.05)
        with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
            for _ in range(800 * workers):  # 64 KiB are full after some 500 lines
                assert http.get("/api/v2/tenants/nobody").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_warnings_are_not_left_captured() -> None:
    """`logs.start` belongs to the server's process; importing the module changes nothing."""
    assert "captureWarnings" not in repr(warnings.showwarning)
    assert warnings.showwarning.__module__ != "logging"


def test_a_flush_waits_for_no_more_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "_COLLECT_SECONDS", 600.0)
    monkeypatch.setattr(log_writer, "FLUSH_SECONDS", 30.0)
    read, write = os.pipe()
    handler = _handler(write)
    begin = time.monotonic()
    for text in ("one", "two"):
        handler.handle(_record(text))
        handler.flush()
    handler._stream.close()  # type: ignore[union-attr]
    assert [line.split(": ", 1)[1] for line in _read(read).splitlines()] == ["one", "two"]
    assert time.monotonic() - begin < 10
    os.close(read)
