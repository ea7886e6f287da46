"""Bulk pipelines: files and streams into a collection, a collection into files.

files      what a source names, here or at a URL
formats    the rows of a file, from any row on
parts      rows on their way to records; bad ones are found and told apart
feed       reading, converting and embedding, ahead of the writer
journal    how far a load has come, so that it can go on after a crash
reports    what was done; rejects, what could not be; bars, how long it takes
locks      one process at a time
writing    files of an export
"""
