"""`GetResult` and `QueryResult`, and the functions that build them from a backend's response."""
