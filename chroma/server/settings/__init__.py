"""What a server can be told, and where the settings come from."""
