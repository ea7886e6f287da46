"""One module per system, each with a class `Driver`; loaded by name, in the system's own environment."""
