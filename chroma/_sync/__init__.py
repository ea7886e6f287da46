# Made from chroma/_async/__init__.py by scripts/twins.py: change that file, and run `make fix`.
"""The client code in two forms. scripts/twins.py generates the synchronous form from the asynchronous one."""
