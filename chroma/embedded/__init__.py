"""The backend over the engine in this process, and the only importer of the engine."""
