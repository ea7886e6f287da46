"""Records in immutable files and in the memtable, and consistent views of both."""
