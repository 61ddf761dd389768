"""Driver: stands between one framework and any master. Events in, callbacks called, calls out.

It is the same live and simulated; what differs (a clock, a way to send, how a function travels) is its ``Shell``. A
callback that raises is kept as a ``Complaint`` under the framework's name: its launches so far stand, the rest of its
offers is declined, and neither the master nor other frameworks notice. ``handle`` and ``wake`` are called from one
thread at a time; ``suppress``, ``revive`` and ``kill`` from any.
"""

from __future__ import annotations

import heapq
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from random import Random
from typing import Any

from mesonb.core import calls, events
from mesonb.core.records import TERMINAL
from mesonb.core.resources import Resources
from mesonb.errors import OfferError
from mesonb.frameworks.base import Framework, OfferHandle, Outcome, TaskHandle
from mesonb.frameworks.callbacks import Complaint, Complaints
from mesonb.frameworks.following import Following
from mesonb.frameworks.inverse import InverseHandle
from mesonb.frameworks.output import Output
from mesonb.frameworks.registration import id_prefix
from mesonb.frameworks.shells import Shell

#: How many ended tasks are remembered.
ENDED_KEPT = 10_000
#: How many reports of progress are kept, for curves.
PROGRESS_KEPT = 10_000


class Driver:
    """One registration of one framework."""

    def __init__(self, framework: Framework, name: str, role: str, shell: Shell, seed: int = 0) -> None:
        self.framework = framework
        self.name = name
        self.role = role
        self.shell = shell
        #: Makes a task ready to travel, at the line that launches it, so that an error shows there.
        self.prepare = shell.encode
        self._hears_updates = _hears_updates(framework)
        self.dice = Random(f"{seed}/{name}")
        self.tasks: dict[str, TaskHandle] = {}
        self.offers: dict[str, OfferHandle] = {}
        self.following = Following(self)
        self.complaints = Complaints()
        self.progress: dict[str, float] = {}  #: what the framework last reported of itself
        #: (now_us, what was reported)
        self.progress_rows: deque[tuple[int, dict[str, float]]] = deque(maxlen=PROGRESS_KEPT)
        #: (now_us, near its data, waited_us)
        self.placements: deque[tuple[int, bool, int]] = deque(maxlen=PROGRESS_KEPT)
        self.more_roles: tuple[str, ...] = ()  #: besides ``role``
        self.scheduler = ""  #: which of several schedulers of its framework this is
        self.standby = False  #: it waits until the active one is lost
        self.superseded = False  #: another framework has registered under this name
        self.successor: Driver | None = None  #: its driver, who is told how the tasks of this one ended
        self.inherited: dict[str, TaskHandle] = {}  #: what the predecessor under this name left running
        self._bequeathed: deque[TaskHandle] = deque()  #: what ended while this one was taking over
        self._subscribed_once = False
        #: Finds a task that a master before this one launched, where there was one.
        self.recall: Callable[[str], TaskHandle | None] = lambda _: None
        #: The last to end: a new master, whom the word never reached, may tell of them again.
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._prefix = name  #: of the ids of its tasks: its name, and which registration this is
        self._launched = 0
        self._acknowledges = False  #: how a task ended is said to it until it acknowledges that
        self._later: list[tuple[int, int, Callable[[], Any]]] = []
        self._later_count = 0

    # -- from the master ------------------------------------------------------------------------------------------

    def handle(self, arrived: Iterable[tuple[events.Event, Outcome | None]]) -> None:
        """Take what the master sent, in order; offers that arrive together are answered together."""
        fresh: list[OfferHandle] = []
        for event, outcome in arrived:
            if type(event) is events.OfferMade:
                fresh.append(self._offered(event))
                continue
            if fresh:
                self._ask(fresh)
                fresh = []
            if type(event) is events.Updated:
                self.updated(event, outcome)
            else:
                self._take(event)
        if fresh:
            self._ask(fresh)

    def _offered(self, event: events.OfferMade) -> OfferHandle:
        offer = self.offers[event.offer] = OfferHandle(event.offer, event.agent, event.resources, self)
        if event.role:
            offer.one_of = event.role
        if event.closes_us or event.max_task_us:
            offer.closes_s = event.closes_us / 1_000_000
            offer.max_task_us, offer.short = event.max_task_us, event.short
        return offer

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Rescinded():
                if offer := self.offers.pop(event.offer, None):
                    self._call("on_rescinded", offer)
            case events.Revoked():
                if task := self.tasks.get(event.task):
                    task.revoked = event.because
                    self._call("on_revoked", task, (event.kill_us - self.now_us()) / 1_000_000)
            case events.InverseOfferMade():
                self._asked_to_leave(event)
            case events.Superseded():
                self.lost_to_another(event.because)
            case events.StandsBy():
                self._stands_by(event)
            case events.InverseRescinded():
                pass  # whoever leaves an agent because it was asked to has nothing to undo
            case events.AgentGone():
                self._call("on_agent_lost", event.agent)
            case events.Subscribed():
                self._subscribed(event)
            case events.Rejected():
                self._rejected(event)
            case _:
                raise AssertionError(f"{event} is not for a framework")

    def _stands_by(self, event: events.StandsBy) -> None:
        """Wait, as was asked for; or because another took over while nothing was heard of this one."""
        if not self.standby:
            self.standby = True
            self._complain("register", f"{event.because}; this one goes on when that is lost")

    def _subscribed(self, event: events.Subscribed) -> None:
        self._prefix, self.standby = id_prefix(self.name, event.epoch, event.incarnation), False
        self._acknowledges = event.acknowledge
        for task in event.tasks:
            handle = self.tasks.get(task) or self.inherited.get(task) or self.recall(task)
            if handle and task not in self._ended:
                handle.registration = self
                self.tasks[task] = handle
        self.inherited = {}
        for offer in [self.offers.pop(name) for name in list(self.offers)]:
            self._call("on_rescinded", offer)  # of which the word was lost
        self._call("on_registered", list(self.tasks.values()))
        self._subscribed_once = True
        self._read_will()

    def updated(self, event: events.Updated, outcome: Outcome | None) -> None:
        """Take note of a task's new state: what ``handle`` does with it."""
        name, state = event.task, event.state
        task = self.tasks.get(name) or self._recalled(name)
        if task is not None:
            task.state, task.because, task.outcome = state, event.because, outcome
            if state in TERMINAL:
                self._over(task)
            if self._hears_updates:
                self._call("on_update", task)
        if self._acknowledges and state in TERMINAL and not self.superseded:
            self.send([calls.Acknowledge(self.name, (name,))])

    def _recalled(self, name: str) -> TaskHandle | None:
        """Find a task that a master before this one launched, unless it has ended here already."""
        task = self.recall(name) if name not in self._ended else None
        if task is not None:
            task.registration = self
            self.tasks[name] = task
        return task

    def _over(self, task: TaskHandle) -> None:
        """Remember that a task has ended: whatever is said of it later is no news."""
        del self.tasks[task.id]
        self._ended[task.id] = None
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self.following.over(task)
        if self.successor:
            self.successor.bequeath(task)

    def _asked_to_leave(self, event: events.InverseOfferMade) -> None:
        """Ask the framework, and send what it wrote on the inverse offer, if anything."""
        asked = InverseHandle(
            event.inverse, event.agent, event.start_us / 1_000_000, event.lasts_us / 1_000_000, event.because
        )
        self._call("on_inverse_offers", [asked])
        if asked.answer and not self.superseded:
            yes = calls.AcceptInverse(self.name, (asked.id,))
            no = calls.DeclineInverse(self.name, (asked.id,), asked.again_us)
            self.send([yes if asked.answer == "accepted" else no])

    def _rejected(self, event: events.Rejected) -> None:
        """Note a refusal. A refused accept changed nothing, so what it named is still held: give it back."""
        refused = event.call.call if isinstance(event.call, calls.By) else event.call
        if isinstance(refused, calls.Decline | calls.AcceptInverse | calls.DeclineInverse):
            return  # the offer was gone already, which is all that was asked for
        if isinstance(refused, calls.KillTask) and refused.task in self._ended:
            return  # and so was the task
        self._complain(type(refused).__name__.lower(), event.because)
        held = [offer for answer in calls.answers(refused) for offer in answer.offers]
        if held and not self.superseded:
            self.send([calls.Decline(self.name, (offer,)) for offer in held])

    # -- offers ---------------------------------------------------------------------------------------------------

    def _ask(self, offers: list[OfferHandle]) -> None:
        """Ask the framework, then send what it wrote on the offers, all in one post."""
        self._call("on_offers", offers)
        self._send(offers)

    def answer(self, offer: OfferHandle) -> None:
        """Send what was written on a held offer now, and not when the holding ends; callable from any thread."""
        self.call_later(0, lambda: self._send_held(offer))

    def together(self, offers: Iterable[OfferHandle]) -> None:
        """Send what was written on several offers, as one call: all of it is launched, or nothing."""
        offers = list(offers)
        if gone := [offer.id for offer in offers if offer.id not in self.offers]:
            raise OfferError(f"{', '.join(gone)} cannot be used together with others: answered or rescinded already")
        replies = [reply for offer in offers if (reply := self._reply(offer))]
        parts = tuple(reply for reply in replies if isinstance(reply, calls.Accept))
        rest = [reply for reply in replies if not isinstance(reply, calls.Accept)]
        if replies and not self.superseded:
            self.send([calls.AcceptAll(self.name, parts), *rest] if parts else rest)

    def _send_held(self, offer: OfferHandle) -> None:
        offer.hold_us = 0
        self._send([offer])

    def _send(self, offers: list[OfferHandle]) -> None:
        replies: list[calls.FrameworkCall] = []
        for offer in offers:
            if offer.id in self.offers and (reply := self._reply(offer)):
                replies.append(reply)
        replies += self.following.to_send()
        if replies and not self.superseded:
            self.send(replies)

    def _reply(self, offer: OfferHandle) -> calls.FrameworkCall | None:
        if offer.hold_us and not offer.launches:
            self._hold(offer)
            return None
        del self.offers[offer.id]
        if not offer.launches:
            return calls.Decline(
                self.name, (offer.id,), calls.REFUSE_US if offer.refuse_us is None else offer.refuse_us
            )
        launches: list[calls.TaskInfo] = []
        for task in offer.launches:
            self.tasks[task.id] = task
            launches.append(calls.TaskInfo(task.id, task.needs, task.short))
        # A kindness of the Framework class: what is left of an offer that was used comes back with no filter.
        return calls.Accept(self.name, (offer.id,), tuple(launches), offer.refuse_us or 0)

    def _hold(self, offer: OfferHandle) -> None:
        wait_us, offer.hold_us = offer.hold_us, 0
        self.call_later(wait_us, lambda: self._ask_again(offer))

    def _ask_again(self, offer: OfferHandle) -> None:
        if offer.id in self.offers:  # it was not rescinded meanwhile
            self._ask([offer])

    def next_task_id(self) -> str:
        """Count one more task of this framework; ids carry epoch and incarnation, so they are never used again."""
        self._launched += 1
        return f"{self._prefix}/task-{self._launched}"

    def send(self, sent: Sequence[calls.FrameworkCall]) -> None:
        """Send calls, in order; one of several schedulers says which it is."""
        self.shell.post([calls.By(self.scheduler, call) for call in sent] if self.scheduler else sent)

    # -- what a framework asks for ----------------------------------------------------------------------------------

    def suppress(self, *roles: str) -> None:
        """Ask for no more offers."""
        self.send([calls.Suppress(self.name, roles)])

    def revive(self, *roles: str) -> None:
        """Ask for offers again."""
        self.send([calls.Revive(self.name, roles)])

    def subscription(self) -> calls.Subscribe:
        """Return what registers the framework, with all that it says of offers."""
        says = self.framework.terms()
        return calls.Subscribe(self.name, self.role, *says, self.more_roles, self.scheduler, self.standby)

    def kill(self, task: str) -> None:
        """Ask for a task to be killed."""
        self.send([calls.KillTask(self.name, task)])

    def report(self, figures: dict[str, float]) -> None:
        """Keep what the framework says of its progress."""
        self.progress = self.progress | figures
        self.progress_rows.append((self.now_us(), self.progress))

    def placed(self, *, near: bool, waited_us: int) -> None:
        """Keep whether a task was launched where the framework prefers it."""
        self.placements.append((self.now_us(), near, waited_us))

    def now_us(self) -> int:
        """The master's time in microseconds."""
        return self.shell.now_us()

    def wait(self, future: Future[Any], timeout_us: int | None) -> None:
        """Let time pass until the future is done, where it does not pass by itself."""
        self.shell.wait(future, timeout_us)

    def check_needs(self, needs: Resources) -> None:
        """Raise BadValue if there are agents and none is large enough for ``needs``."""
        self.shell.check_needs(needs)

    def output(self, task: str) -> Output:
        """Return what is left of what a task printed."""
        return self.shell.output(task)

    # -- later ----------------------------------------------------------------------------------------------------

    def call_later(self, delay_us: int, function: Callable[[], Any]) -> None:
        """Call a function after a while, on the thread of the callbacks."""
        self._later_count += 1
        due_us = self.now_us() + delay_us
        heapq.heappush(self._later, (due_us, self._later_count, function))
        self.shell.wake_at(due_us)

    def do(self, what: str, function: Callable[[], Any]) -> None:
        """Call a function as if it were a callback: what it raises is a complaint, and stops nobody."""
        self._guarded(what, function)

    def wake(self) -> None:
        """Call what is due."""
        while self._later and self._later[0][0] <= self.now_us():
            _, _, function = heapq.heappop(self._later)
            self._guarded("call_later", function)

    # -- callbacks that raise ---------------------------------------------------------------------------------------

    def _call(self, callback: str, *args: Any) -> None:
        if self.superseded:
            return
        try:
            getattr(self.framework, callback)(*args)
        except BaseException as error:  # noqa: BLE001 - see _raised
            self._raised(callback, error)

    def replaced_by(self, successor: Driver, because: str) -> None:
        """Hear no more: another framework takes the name over, with all that runs."""
        self.superseded, self.successor = True, successor
        if successor.framework is not self.framework:
            self.left(because)

    def lost_to_another(self, because: str) -> None:
        """Hear no more: the name is another's now, and whose is not known here."""
        if not self.superseded:
            self.superseded = True
            self.left(because)

    def left(self, because: str) -> None:
        """Tell the framework that it is registered no more."""
        self._guarded("on_unregistered", self.framework.on_unregistered, because)

    def bequeath(self, task: TaskHandle) -> None:
        """Take over a task that ended before this framework was registered; callable from any thread."""
        if self.successor:
            self.successor.bequeath(task)
            return
        self._bequeathed.append(task)
        self.call_later(0, self._read_will)

    def _read_will(self) -> None:
        while self._subscribed_once and self._bequeathed:
            self._call("on_update", self._bequeathed.popleft())

    def _guarded(self, callback: str, function: Callable[..., Any], *args: Any) -> None:
        try:
            function(*args)
        except BaseException as error:  # noqa: BLE001 - see _raised
            self._raised(callback, error)

    def _raised(self, callback: str, error: BaseException) -> None:
        """Keep what a callback raised: whatever a cell may raise, sys.exit() too, is shown and stops nobody."""
        if isinstance(error, KeyboardInterrupt):
            raise error  # the stop button, while a simulation runs callbacks in the cell's own thread
        self._complain(callback, f"{type(error).__name__}: {error}", traceback.format_exc())

    def _complain(self, callback: str, error: str, trace: str = "") -> None:
        self.complaints.append(Complaint(self.now_us(), self.name, callback, error, trace))


def _hears_updates(framework: Framework) -> bool:
    """Whether anybody wrote an ``on_update``; the one that does nothing need not be called twice a task."""
    return getattr(framework.on_update, "__func__", None) is not Framework.on_update
