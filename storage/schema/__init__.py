"""The columns of records and of their metadata."""
