"""How notebooks show clients, collections, `describe` and `plot`. `chroma.rendering` shows results."""
