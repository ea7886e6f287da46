"""The backend over the engine in this process. No other package imports the engine."""
