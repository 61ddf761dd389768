"""How functions, arguments and results are pickled on both ends. Executors import this: nothing here may import Dask."""

import pickle
from typing import Any

import cloudpickle


def pickled(thing: Any) -> bytes:
    """Pickle by reference where that is enough; only cloudpickle sends, by value, what a cell defined."""
    try:
        content = pickle.dumps(thing, protocol=5)
        if b"__main__" not in content:
            return content
    except Exception:  # noqa: BLE001, S110 - cloudpickle may still know how
        pass
    return bytes(cloudpickle.dumps(thing, protocol=5))
