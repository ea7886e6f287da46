"""The settings of a server, and the sources that they are read from."""
