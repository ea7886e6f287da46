"""Opening, reading, writing, mapping, locking and syncing files."""
