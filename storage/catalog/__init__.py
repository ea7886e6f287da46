"""Tenants, databases and collections."""
