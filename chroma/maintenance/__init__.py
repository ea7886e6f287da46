"""Whole databases: copies of collections, and the way back from a backup."""
