"""Results: what is large stays on the worker that made it, as a Dask future, until somebody wants it here.

An agent's word of it is a ``Mark``; in the kernel that is a ``Remains`` beside the task's handle. It is fetched from the
worker itself, or where that cannot be reached through the Dask scheduler, never through the hub. When nobody in the kernel
holds it any more, the agent is told to let go; a plain Dask future that was made of it holds it by itself.
"""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed import Client, Future, default_client
from distributed.utils_comm import gather_from_workers

from mesonb.errors import BadValue, ResultLost
from mesonb.live.wire.loop import LoopThread

if TYPE_CHECKING:
    from distributed.security import Security

#: A mark begins so; a pickle never does.
MARK = b"mesonb result"
#: How long the Dask scheduler may take to say who has a result.
REACH_S = 10
#: A large result may take so long on its way.
FETCH_S = 3600


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a result is."""

    key: str
    agent: str
    address: str  #: of the Dask worker
    size_bytes: int

    def packed(self) -> bytes:
        """Return it as an agent says it in place of the result itself."""
        return MARK + pickle.dumps((self.key, self.agent, self.address, self.size_bytes), protocol=5)


def key_of(task: str, agent_id: str) -> str:
    """Name the result of a task as Dask knows it.

    >>> task_of(key_of("lab/task-1", "0123456789abcdef"))
    'lab/task-1'
    """
    return f"{task}@{agent_id[:8]}"


def task_of(key: Any) -> str:
    """Return whose result a key is; nothing if it is no result of a task."""
    task, at, _ = str(key).rpartition("@")
    return task if at and "/task-" in task else ""


class Sealed:
    """A result that its Dask worker could not read: as bytes, for whoever can."""

    def __init__(self, content: bytes, buffers: list[bytes], because: str) -> None:
        self.content, self.buffers, self.because = content, buffers, because

    def opened(self) -> Any:
        """Return the result, or raise what reading it raises here."""
        return pickle.loads(self.content, buffers=self.buffers)

    def __sizeof__(self) -> int:
        return len(self.content) + sum(map(len, self.buffers))

    def __repr__(self) -> str:
        return f"<a result that this process cannot read ({self.because}); .opened() tries here>"


class Remains:
    """A result that stayed on the worker that made it."""

    def __init__(self, mark: Mark, desk: Desk) -> None:
        self.mark, self._desk = mark, desk
        self.size_bytes = mark.size_bytes
        weakref.finalize(self, desk.let_go, mark).atexit = False

    def fetch(self) -> Any:
        """Bring it here; ResultLost if no worker has it any more."""
        value = self._desk.fetch(self.mark)
        return value.opened() if isinstance(value, Sealed) else value

    def future(self, client: Client | None = None) -> Future[Any]:
        """Return it as a future of a Dask client (default: the notebook's own), which holds it from now on."""
        return self._desk.future(self, client)


class Desk:
    """Fetches results for one kernel; its Dask client is made when the first is wanted, and is nobody's default."""

    def __init__(self, thread: LoopThread, address: str, security: Security, release: Callable[[Mark], None]) -> None:
        self._thread, self._address, self._security = thread, address, security
        self._release = release
        self._client: Any = None
        self._live: dict[str, weakref.ref[Remains]] = {}  #: what is held in this kernel, by key

    def remains(self, content: bytes) -> Remains | None:
        """Read an agent's word of a result that it keeps; nothing if this is the result itself."""
        if not content.startswith(MARK):
            return None
        mark = Mark(*pickle.loads(content[len(MARK) :]))
        known = self._live.get(mark.key)
        remains = known() if known else None
        if remains is None:  # an end may be told twice, and the agent must not hear that one of two is gone
            remains = Remains(mark, self)
            self._live[mark.key] = weakref.ref(remains)
        return remains

    def wanted(self) -> dict[str, list[str]]:
        """What is held in this kernel: keys, by the agent that keeps them."""
        by_agent: dict[str, list[str]] = {}
        for known in list(self._live.values()):
            if remains := known():
                by_agent.setdefault(remains.mark.agent, []).append(remains.mark.key)
        return by_agent

    def let_go(self, mark: Mark) -> None:
        """Have the agent let go of a result that nobody here holds."""
        self._live.pop(mark.key, None)
        self._release(mark)

    def fetch(self, mark: Mark) -> Any:
        """Fetch a value, on the loop of this kernel's link."""
        return self._thread.wait_for(self._fetch(mark), FETCH_S)

    def future(self, remains: Remains, client: Any) -> Future[Any]:
        """Make a future of a client, and have the Dask scheduler know that it wants the value."""
        key = remains.mark.key
        client = client or _default_client(self._address)
        if not client.asynchronous and not client.sync(client.scheduler.who_has, keys=[key]).get(key):
            raise lost(remains.mark)
        future: Future[Any] = Future(key, client)
        future.remains = remains  # type: ignore[attr-defined]  # or the agent would be told to let go before Dask wants it
        wanted = {"op": "client-desires-keys", "keys": [key], "client": client.id}
        client.loop.add_callback(client._send_to_scheduler, wanted)
        return future

    async def close(self) -> None:
        """Close the Dask client, if there is one."""
        if self._client:
            await self._client.close()

    async def _fetch(self, mark: Mark) -> Any:
        client = await self._reach()
        who_has = await client.scheduler.who_has(keys=[mark.key])
        if not who_has.get(mark.key):
            raise lost(mark)
        found, *_ = await gather_from_workers(who_has, rpc=client.rpc)
        if mark.key not in found:
            answer = await client.scheduler.gather(keys=[mark.key])
            found = answer.get("data") or {}
        if mark.key not in found:
            raise lost(mark)
        return found[mark.key]

    async def _reach(self) -> Any:
        if self._client is None:
            self._client = await Client(  # type: ignore[no-untyped-call]
                self._address, security=self._security, asynchronous=True, set_as_default=False, timeout=REACH_S,
                name="mesonb-results",
            )  # fmt: skip
        return self._client


def lost(mark: Mark) -> ResultLost:
    """Say that a result is gone, and which task can make it again."""
    task = task_of(mark.key)
    return ResultLost(
        f"the result of {task} ({mark.size_bytes / 1e6:.0f} MB) was kept by {mark.agent}, which has lost it; run {task} again: "
        "offer.launch(task.function, *task.args), or queue.submit(run.function, *run.args)",
        task,
    )


def _default_client(address: str) -> Client:
    try:
        return default_client()  # type: ignore[no-untyped-call, no-any-return]
    except ValueError:
        security = ", security=security" if address.startswith("tls") else ""
        raise BadValue(
            f"there is no Dask client to make a future for; write future(Client({address!r}{security}, set_as_default=False))"
        ) from None
