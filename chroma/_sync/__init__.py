# Made from chroma/_async/__init__.py by scripts/twins.py: change that file, and run `make fix`.
"""Clients, collections and HTTP backends. scripts/twins.py makes the form for threads from that for event
loops."""
