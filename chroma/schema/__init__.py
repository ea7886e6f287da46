"""The classes that describe the indexes of a collection, and their JSON form."""
