"""Arrow arrays and files, read and made by way of their buffers."""
