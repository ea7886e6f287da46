"""SQL statements in processes of their own."""
