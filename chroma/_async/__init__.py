"""The client code in two forms. scripts/twins.py generates the synchronous form from the asynchronous one."""
