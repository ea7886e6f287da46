"""All calls to the operating system."""
