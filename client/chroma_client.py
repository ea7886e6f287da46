"""The files of chroma-arrow-client. Programs `import chroma`; there is nothing to import here."""

# An empty path, so that no module of the folder can be loaded a second time under another name.
__path__: list[str] = []


def __getattr__(name: str) -> object:
    raise AttributeError(f"chroma_client has no {name!r}: it only holds files. Use `import chroma`")
