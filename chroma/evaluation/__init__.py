"""How good searches are: `evaluate` and its measures."""
