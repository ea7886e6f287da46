"""The calls between the API classes and the backends, as Protocols."""
