# Made from chroma/_async/__init__.py by scripts/twins.py: change that file, and run `make fix`.
"""The client code in one of its two forms. scripts/twins.py generates the form for threads from the other."""
