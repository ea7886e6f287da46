"""`GetResult` and `QueryResult`, and how answers of a backend become them."""
