"""The client code in one of its two forms. scripts/twins.py generates the form for threads from the other."""
