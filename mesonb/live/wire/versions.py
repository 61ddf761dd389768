"""Versions: what kernel, Dask scheduler and workers must have in common, and how a difference is said."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from mesonb.errors import VersionMismatch


def ours() -> dict[str, str]:
    """Return the versions that this process runs; a source tree that is not installed has no version of its own."""
    try:
        mesonb = version("mesonb")
    except PackageNotFoundError:
        mesonb = "source"
    return {"python": minor(platform.python_version()), "distributed": version("distributed"), "mesonb": mesonb}


def minor(python: str) -> str:
    """Return the part of a Python's version that pickles depend on.

    >>> minor("3.11.7.final.0")
    '3.11'
    """
    return ".".join(python.split(".")[:2])


def check_versions(where: str, theirs: Mapping[str, str]) -> None:
    """Raise VersionMismatch if something differs that both sides name: what one pickles the other might not read."""
    for what, wanted in ours().items():
        if theirs.get(what, wanted) != wanted:
            raise VersionMismatch(
                f"{where} runs {what} {theirs[what]}, this kernel {what} {wanted}; functions and results could not travel "
                f"between them: install {what} {wanted} there, or start the kernel in the cluster's environment"
            )
