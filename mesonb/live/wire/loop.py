"""LoopThread: an event loop on a thread of its own, and the way onto it and off it from any other thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
#: What is cancelled at the end may take so long to notice.
_LAST_S = 0.05


class LoopThread:
    """Runs an event loop until ``stop``; the thread is a daemon, so it holds no process up."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the loop; nothing once it has stopped."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function)

    def wait_for(self, work: Coroutine[Any, Any, T], limit_s: float) -> T:
        """Do some work on the loop, and wait here until it is done; TimeoutError, and it is cancelled, if it takes too long."""
        done = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return done.result(limit_s)
        except TimeoutError:
            done.cancel()
            raise

    def stop(self) -> None:
        """Cancel what still runs, and end the thread."""
        self.call(self._cancel_all)
        if threading.current_thread() is not self.thread:
            self.thread.join(1)

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_later(_LAST_S, self.loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()
