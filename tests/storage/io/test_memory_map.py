"""Maps of files: read-only, without a descriptor, and gone with their last view."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from chroma.storage.interface.errors import Corruption
from chroma.storage.io.memory_map import evict, map_file

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def mapped(path: Path) -> bool:
    gc.collect()
    return str(path) in Path("/proc/self/maps").read_text()


def test_a_map_is_the_file_and_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 100)
    view = map_file(str(path))
    assert bytes(view) == path.read_bytes() and view.format == "B" and view.readonly
    with pytest.raises(TypeError):
        view[0] = 1
    path.unlink()
    evict(view)
    assert view[255] == 255, "a map survives the removal of its name"


def test_nothing_of_an_empty_file_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    view = map_file(str(tmp_path / "file"))
    evict(view)
    assert bytes(view) == b""


def test_what_cannot_be_mapped_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        map_file(str(tmp_path / "missing"))
    assert missing.value.filename == str(tmp_path / "missing")
    (tmp_path / "link").symlink_to(__file__)
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(Corruption) as caught:
            map_file(str(path))
        assert caught.value.path == str(path)


@on_linux
def test_maps_keep_no_descriptor_and_go_with_their_last_view(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))
    before = len(os.listdir("/proc/self/fd"))
    view = map_file(str(path))
    assert len(os.listdir("/proc/self/fd")) == before
    numbers = np.frombuffer(view[4:], np.float32)
    del view
    assert mapped(path) and not numbers.any()
    part = memoryview(numbers)[10:20]
    del numbers
    assert mapped(path)
    del part
    assert not mapped(path)


@on_linux
def test_evicted_pages_are_not_resident_until_they_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (4 << 20))
    view = map_file(str(path))

    def resident() -> int:
        lines = Path("/proc/self/smaps").read_text().splitlines()
        at = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
        return int(next(line for line in lines[at:] if line.startswith("Rss:")).split()[1])

    assert view.tobytes().count(b"x") == 4 << 20 and resident() == 4096
    evict(view)
    assert resident() == 0
    assert view[-1] == ord("x") and resident() > 0
