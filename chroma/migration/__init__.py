"""Migrates the data of a chromadb folder or server to a folder or server of this package."""
