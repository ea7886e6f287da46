"""`python -m chroma` runs the `chroma` command."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
