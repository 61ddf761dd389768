"""How functions, arguments and results are pickled on both ends. Executors import this: nothing here may import Dask."""

import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle


def pickled(thing: Any) -> bytes:
    """Pickle by reference where that is enough; only cloudpickle sends, by value, what a cell defined."""
    return _pickled(thing, lambda: None)


def pickled_apart(thing: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickle as ``pickled`` does, with arrays left where they are."""
    buffers: list[pickle.PickleBuffer] = []

    def afresh() -> Callable[[pickle.PickleBuffer], None]:
        buffers.clear()
        return buffers.append

    return _pickled(thing, afresh), buffers


def _pickled(thing: Any, callback: Callable[[], Callable[[pickle.PickleBuffer], None] | None]) -> bytes:
    try:
        content = pickle.dumps(thing, protocol=5, buffer_callback=callback())
        if b"__main__" not in content:
            return content
    except Exception:  # noqa: BLE001, S110 - cloudpickle may still know how
        pass
    return bytes(cloudpickle.dumps(thing, protocol=5, buffer_callback=callback()))
