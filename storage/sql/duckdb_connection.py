"""Sandboxed DuckDB connections, which the whole engine uses.

Owns: the settings of a connection. It cannot access files, the network, extensions or variables of the
program. It keeps no secrets and writes nothing to the disk, not even data that exceeds its memory.
"""

from __future__ import annotations

from typing import Any

_LEAST_MEGABYTES = 64  # DuckDB cannot work with less


def connect(memory: int, threads: int) -> Any:
    """Open a new database in memory. `memory` is its limit in bytes."""
    import duckdb  # takes 60 ms to import, and only large filters and SQL need it

    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{max(memory >> 20, _LEAST_MEGABYTES)}MB",
            "threads": threads,
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": "",
            "secret_directory": "none",
            "python_enable_replacements": False,
        },
    )
