"""Tells joblib of the backend "mesonb", without importing it: when somebody else imports joblib, or has already."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_MODULE = "joblib.parallel"


def install() -> None:
    """Let ``joblib.parallel_config("mesonb")`` be known as soon as there is a joblib."""
    if module := sys.modules.get(_MODULE):
        _tell(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds one module as Python would, and has it told of us once it has run."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec and spec.loader:
            spec.loader = _Telling(spec.loader)
        return spec


class _Telling(Loader):
    """Loads a module as its own loader does, and tells it of us."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _tell(module)


def _tell(module: ModuleType) -> None:
    getattr(module, "EXTERNAL_BACKENDS", {}).setdefault("mesonb", _register)


def _register() -> None:
    """Register the backend; joblib calls this when it is asked for by name."""
    from joblib import register_parallel_backend

    from mesonb.live.joblib_backend import MesonbBackend

    register_parallel_backend("mesonb", MesonbBackend)
