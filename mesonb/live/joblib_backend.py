"""A joblib backend: ``with joblib.parallel_config("mesonb"):`` runs what uses joblib, scikit-learn for one, in a share.

It uses the master (or the connection to one) that this process holds, or the one it is given as ``master=``. Each
parallel call is a framework of its own, which leaves when the call ends.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, SequentialBackend

from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.frameworks.futures import Share
from mesonb.session import Session

_numbers = count(1)


class MesonbBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """``needs`` is what one of its tasks takes, one cpu by default."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(
        self, *args: Any, master: Session | None = None, needs: Resources | None = None, role: str = "*", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._master, self._needs, self._role = master, needs, role
        self._share: Share | None = None

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return how many tasks at once are worth asking for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        width = self._open().width
        return max(1, width + 1 + n_jobs) if n_jobs < 0 else min(n_jobs, width)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Run one batch."""
        future = self._open().submit(func)
        if callback:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the results of a batch."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Kill what runs."""
        if self._share:
            self._share.shutdown(wait=False, cancel_futures=True)
            self._share = None

    def terminate(self) -> None:
        """Give the share back."""
        if self._share:
            self._share.shutdown(wait=False)
            self._share = None

    def get_nested_backend(self) -> tuple[Any, None]:
        """Within a task nothing is parallel: it holds what it asked for, and no more."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def _open(self) -> Share:
        if self._share is None:
            master = self._master or _only_master()
            self._share = master.futures(f"joblib-{next(_numbers)}", needs=self._needs, role=self._role)
        return self._share


def _only_master() -> Session:
    """Return the newest master, or connection to one, that this process holds."""
    held = [session for session in Session.known.values() if session.kind in {"master", "remote"}]
    held = [session for session in held if not getattr(session, "closed", False)]
    if not held:
        raise BadValue(
            "joblib is to use mesonb, but there is no master here; write master = mb.Master() or mb.connect()"
        )
    return max(held, key=lambda session: int(session.id.rpartition("-")[2]))
