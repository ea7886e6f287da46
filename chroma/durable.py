"""Small files that are replaced as a whole."""

from __future__ import annotations

import os


def replace_file(path: str, data: bytes) -> None:
    """Durable on return: a process that is killed, or a power cut, leaves the old content or the new."""
    aside = f"{path}.part"
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    if os.name != "posix":
        return  # folders are not synced there
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
