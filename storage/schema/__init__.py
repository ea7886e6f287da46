"""The columns of a record, and of its metadata."""
