"""all-MiniLM-L6-v2, the default model: its weights, its session, its functions."""
