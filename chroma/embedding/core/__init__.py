"""The code that all embedding functions share: protocol, inputs, HTTP, API keys, stored settings."""
