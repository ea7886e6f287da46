"""The catalog of tenants, databases and collections."""
