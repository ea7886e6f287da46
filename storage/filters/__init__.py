"""Filters: parsing the filter language and finding the rows that match."""
