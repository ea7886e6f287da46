"""What pyproject.toml has no stable words for: the compiled part of the engine."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            f"chroma.storage.native.{name}",
            [f"storage/native/{name}.c"],
            depends=["storage/native/automaton.h", "storage/native/vectors.h"],
            # Fused multiply-add would give distances other last digits on other processors.
            extra_compile_args=["-O3", "-ffp-contract=off"],
            optional=True,  # where it cannot be compiled, a warning says so at run time; numpy does its work
        )
        for name in ("_graph", "_kernel", "_postings", "_text")
    ]
)
