"""Mailbox: the thread of one framework, on which all its callbacks run, and what its driver sees of a live master.

A callback may take its time, or hang: only its own framework waits. Whatever arrived meanwhile is handled together.
"""

from __future__ import annotations

import heapq
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from mesonb.core import calls, events
from mesonb.core.resources import Resources
from mesonb.errors import BadValue, Unreachable
from mesonb.frameworks.base import Outcome, TaskHandle
from mesonb.frameworks.callbacks import Complaint
from mesonb.frameworks.driver import Driver
from mesonb.live.inheritance import Mail
from mesonb.live.tasks.cargo import Packer, unpack

if TYPE_CHECKING:
    from mesonb.live.master import Master
    from mesonb.live.remote import Remote

#: A callback that takes longer is complained about, once, while it still runs.
SLOW_S = 1.0
#: A callback that takes longer loses the offers that its framework holds, and gets no more until it returns.
HUNG_S = 5.0


class Mailbox:
    """One registration of one framework: its driver, its thread, and the driver's ``Shell``."""

    driver: Driver
    kernel = ""  #: it is this one

    def __init__(self, master: Master | Remote, name: str) -> None:
        self.now_us = master.now_us
        self.post = master.post
        self.output = master.output
        self._master = master
        self._packer = Packer()
        self._mail: SimpleQueue[list[Mail] | None] = SimpleQueue()
        self._due: list[int] = []
        self._checked: tuple[Resources | None, Resources | None] = (None, None)
        self._busy_s: float | None = None  #: since when callbacks have been running
        self._told = False
        self._hung = False
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"mesonb-{name}", daemon=True)

    def start(self, driver: Driver) -> None:
        """Begin to handle mail."""
        self.driver = driver
        self._thread.start()

    def deliver(self, mail: list[Mail]) -> None:
        """Hand over what one turn of the master's loop had for this framework."""
        self._mail.put(mail)

    def stop(self) -> None:
        """Let the thread end, after the callback that it is in."""
        self._mail.put(None)

    # -- the driver's Shell -----------------------------------------------------------------------------------------

    def encode(self, task: TaskHandle) -> None:
        """Pack the function and arguments for the journey."""
        self._master.cargo[task.id] = self._packer.pack(task)

    def check_needs(self, needs: Resources) -> None:
        """Raise BadValue if there are agents and none is large enough; the same needs twice are looked at once."""
        if self._master.given_up:
            raise Unreachable(self._master.given_up)
        total = self._master.core.total  # another one whenever an agent joins or is lost
        if needs is not self._checked[0] or total is not self._checked[1]:
            self._master.check_needs(needs)
            self._checked = needs, total

    def wake_at(self, due_us: int) -> None:
        """Wake the driver at that time."""
        heapq.heappush(self._due, due_us)
        if threading.current_thread() is not self._thread:
            self._mail.put([])

    def wait(self, future: Future[Any], timeout_us: int | None) -> None:
        """Time passes by itself, except where it would pass for ever."""
        if self._master.given_up and not future.done():
            raise Unreachable(self._master.given_up)
        if self._master.closed and not future.done():
            raise BadValue("this master is closed, so this result never comes; ask for results before master.close()")
        if threading.current_thread() is self._thread and not future.done():
            raise BadValue("a callback cannot wait for a result of its own framework; take it in on_update instead")

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            mail = self._gather()
            self._packer.fresh()
            self._busy_s, self._told = time.monotonic(), False
            self.driver.handle([(event, self._outcome(event, content)) for event, content in mail])
            self._say_handled(mail)
            self._wake()
            self._returned()

    def _gather(self) -> list[Mail]:
        """Wait for mail or the next timer; everything that is there is taken at once, and the last before it stops."""
        mail: list[Mail] = []
        try:
            wait_s = max(0, self._due[0] - self.now_us()) / 1_000_000 if self._due else None
            found = self._mail.get(timeout=wait_s)
            while found is not None:
                mail += found
                found = self._mail.get_nowait()
            self._stopped = True
        except Empty:
            pass
        return mail

    def _wake(self) -> None:
        if self._due and self._due[0] <= self.now_us():
            while self._due and self._due[0] <= self.now_us():
                heapq.heappop(self._due)
            self.driver.wake()

    def _say_handled(self, mail: list[Mail]) -> None:
        """Let the agents forget what ended, now that the framework knows."""
        ended = [event.task for event, _ in mail if isinstance(event, events.Updated) and event.state.terminal]
        if ended:
            self._master.handled(self.driver.name, ended)

    def _outcome(self, event: events.Event, content: bytes) -> Outcome | None:
        if not content or not isinstance(event, events.Updated) or not event.state.terminal:
            return None
        remains = self._master.desk.remains(content)
        return Outcome(remains=remains) if remains else unpack(event.state, content)

    # -- slow callbacks ---------------------------------------------------------------------------------------------

    def look_for_slow(self) -> None:
        """Complain about a callback that has been running for too long, and say where it stands."""
        busy_s = self._busy_s  # read once: the other thread writes it
        if busy_s is None:
            return
        if not self._told and time.monotonic() - busy_s > SLOW_S:
            self._told = True
            self._complain()
        if not self._hung and time.monotonic() - busy_s > HUNG_S:
            self._give_back()

    def _complain(self) -> None:
        frame = sys._current_frames().get(self._thread.ident or 0)
        trace = "".join(traceback.format_stack(frame)) if frame else ""
        error = f"slow: still running after {SLOW_S:g} s; after {HUNG_S:g} s its offers go to others"
        self.driver.complaints.append(Complaint(self.now_us(), self.driver.name, "callback", error, trace))

    def _give_back(self) -> None:
        """Decline for a framework that does not answer; what it replies later is refused, and its tasks are lost."""
        with self._master.lock:
            records = self._master.core.family(self.driver.name)
            held = [offer for record in records if not record.suppressed for offer in record.offers]
        with self._lock:
            if held and self._busy_s is not None:
                name = self.driver.name
                self._hung = True
                self.post([calls.Suppress(name), *[calls.Decline(name, (offer,), 0) for offer in held]])

    def _returned(self) -> None:
        """Note that no callback runs any more; one that hung may have offers again."""
        with self._lock:
            self._busy_s = None
            if self._hung:
                self._hung = False
                self.post([calls.Revive(self.driver.name)])
