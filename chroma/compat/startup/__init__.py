"""The folder that `chroma exec` puts first on PYTHONPATH. Python runs its `sitecustomize` when it starts."""
