"""Helpers of Chroma programs: batches, dataframes, data loaders, embedding functions."""
