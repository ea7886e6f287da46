"""DuckDB, locked in: what every DuckDB of the engine may reach.

Owns: the settings of a connection. It reads no files, no network, no extensions and no variables of the
program, keeps no secrets, and writes nothing to the disk, not even what does not fit into its memory.
"""

from __future__ import annotations

from typing import Any

_LEAST_MEGABYTES = 64  # with less DuckDB cannot work


def connect(memory: int, threads: int) -> Any:
    """A new database in memory. `memory` in bytes."""
    import duckdb  # 60 ms to load: only who filters much or runs SQL pays for it

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
