"""What notebooks show beyond results: clients, collections, `describe`, `plot`."""
