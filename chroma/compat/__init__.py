"""The names of the package chromadb, for programs that import it: `install_as_chromadb`."""
