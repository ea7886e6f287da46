"""Rerankers: functions that score documents for a text, and their use on the results of query and search."""
