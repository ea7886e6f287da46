"""One of two forms of the same code; scripts/twins.py makes the one for threads from the other."""
