"""What pyproject.toml has no stable words for: the compiled part of the engine."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "chroma.storage.native._kernel",
            ["storage/native/_kernel.c"],
            # Fused multiply-add would give distances other last digits on other processors.
            extra_compile_args=["-O3", "-ffp-contract=off"],
            optional=True,  # where it cannot be compiled, a warning says so at run time; numpy does its work
        ),
        Extension(
            "chroma.storage.native._postings",
            ["storage/native/_postings.c"],
            extra_compile_args=["-O3", "-ffp-contract=off"],  # for the same reason
            optional=True,
        ),
    ]
)
