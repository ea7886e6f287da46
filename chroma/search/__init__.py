"""The language of `Collection.search`: keys and conditions, ranks, groups, and searches."""
