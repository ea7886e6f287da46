"""Bulk pipelines: load files and streams into a collection, export a collection to files.

file_discovery   finds the files of a source, local or at a URL
file_readers     reads the rows of a file, from any row
chunks           converts rows to records and separates the bad ones
stages           reads, converts and embeds ahead of the writer
load             one load; load_checkpoint records its progress, so that it can resume after a crash
reports          the reports of loads and exports; rejects writes the rows that were refused
file_lock        restricts a load to one process at a time
export           writes the files of an export
"""
