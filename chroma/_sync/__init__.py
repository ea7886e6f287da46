# Made from chroma/_async/__init__.py by scripts/twins.py: change that file, and run `make fix`.
"""One of two forms of the same code; scripts/twins.py makes the one for threads from the other."""
