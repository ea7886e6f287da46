"""What every embedding function needs: the protocol, inputs, HTTP, API keys, stored settings."""
