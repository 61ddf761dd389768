"""Remote: a master as another kernel sees it: ``connect()`` finds it, frameworks are registered and run here.

Calls go to the leader through the hub, and mail comes back; callbacks run on threads of this kernel, each framework with
its own mailbox, as they do beside the master. When another master takes the lead, the frameworks are registered there
again. When this kernel ends without ``close()``, its tasks run on until the failover timeout; register the same name
again, from any kernel, and they are handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from mesonb import errors
from mesonb.core import calls
from mesonb.core.snapshot import Snapshot
from mesonb.errors import BadValue, ClusterError, NotAllowed, NotThere, Unreachable
from mesonb.frameworks.base import Framework
from mesonb.frameworks.callbacks import Complaint
from mesonb.frameworks.driver import Driver
from mesonb.live.asking import ANSWER_S
from mesonb.live.inheritance import Inheritance, Mail
from mesonb.live.link import address_of
from mesonb.live.mailbox import Mailbox
from mesonb.live.masters import where
from mesonb.live.pasts import LookingBack
from mesonb.live.pictures import SILENT, Pictures
from mesonb.live.security.principals import NONCE_BYTES, Prover
from mesonb.live.tasks.cargo import Cargo, launches_of
from mesonb.live.tasks.results import Desk, Mark
from mesonb.live.wire.comms import HUB, LEADER, Message, Peer, dial
from mesonb.live.wire.loop import LoopThread
from mesonb.live.wire.tls import reaching
from mesonb.live.wire.versions import check_versions

#: How long the hub may take to answer, which is less than whoever waits for it has.
REACH_S = 4.0
#: How long after another master took the lead its books are taken to be complete.
RECONCILE_S = 5.0
#: Who stood by registers so much later with another master than whom it stood by for.
STAND_BY_AGAIN_S = 1.0
_REDIAL_S = 0.2
CLOSED = "this connection is closed; write mb.connect() for a new one"


class Remote(LookingBack):
    """The verbs of a master that another kernel holds. What only the master has (its log) is not here, and says so."""

    kind = "remote"

    def __init__(
        self, address: str, security: Any = None, principal: str = "", secret: str | Path | None = None
    ) -> None:
        self._prover = Prover(principal, secret)
        self.principal = principal
        self.closed = False
        self.address = address
        self._security: Any = reaching(address, security)
        self._name = f"kernel-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._ahead_us = 0  #: the master's clock less this kernel's
        self._leader: tuple[int, str] = 0, ""  #: the epoch, and who leads in it
        self._registered_with, self._cut = "", False  #: by whom it is known, unless the link was cut since
        self._welcomed = False  #: what is to be said waits until then
        self._led = threading.Event()  #: set once there was an answer, be it a refusal
        self._refusals: deque[Complaint] = deque(maxlen=100)
        self.cargo: dict[str, Cargo] = {}
        self.inheritance = Inheritance()
        self._outbox: deque[Message] = deque()
        self._boxes: dict[str, Mailbox] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}  #: still to come, by the number of the question
        self._asked = itertools.count()
        self._thread = LoopThread("mesonb-remote")
        self._pictures = Pictures(self._thread, self._ask, self._pictured)
        self.desk = Desk(self._thread, address, self._security, self.let_go)
        try:
            self._peer: Peer = self._thread.wait_for(self._dial(), ANSWER_S)
            super().__init__()
            self._reading = asyncio.run_coroutine_threadsafe(self._stay(), self._thread.loop)
            if not self._led.wait(ANSWER_S):
                raise Unreachable(f"nobody leads the cluster at {address}; write mb.Master() to lead it from here")
            if self.given_up:
                raise NotAllowed(self.given_up)
        except BaseException:
            if hasattr(self, "_peer"):
                with contextlib.suppress(Exception):
                    self._thread.wait_for(self._peer.close(), ANSWER_S)
            self._thread.stop()
            raise

    # -- Session --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """The master's time, in microseconds."""
        return time.monotonic_ns() // 1000 + self._ahead_us

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls to the master, in order; callable from any thread. An operator's are taken when this comes back."""
        steered = [call for call in sent if self._is_for_operators(call)]
        if steered and len(sent) > 1:
            for call in sent:
                self.post([call])
        elif steered:
            self._answer("steer", sent[0])
        else:
            cargo = {task.task: self.cargo.pop(task.task) for call in sent for task in launches_of(call)}
            self._say(("post", list(sent), cargo))

    def _is_for_operators(self, call: calls.Call) -> bool:
        """Whether a call is about the cluster, or about a framework of another kernel."""
        others = isinstance(call, calls.KillTask | calls.Suppress | calls.Revive) and call.framework not in self._boxes
        return others or isinstance(call, calls.OperatorCall)

    def handled(self, name: str, tasks: list[str]) -> None:
        """Tell the master that a framework has handled how these tasks ended."""
        self._say(("handled", name, tasks))

    def let_go(self, mark: Mark) -> None:
        """Tell the agent that nobody in this kernel holds a result any more."""
        if not self.closed:
            self._say(("let go", mark.agent, [mark.key]))

    def snapshot(self, before: Snapshot | None = None, *, spots: bool = False, at_once: int = 0) -> Snapshot:
        """Ask the master for a picture of the cluster; one that is fresh is not asked for again."""
        return self._pictures.take(spots=spots, within_s=ANSWER_S)

    def freshen(self) -> Snapshot | None:
        """Have panels' picture fetched anew, without waiting for it."""
        return None if self.closed else self._pictures.freshen()

    def _pictured(self, picture: Snapshot) -> None:
        """Note what charts show of a picture; by its steps panels tell whether anything has changed."""
        self.core.steps = picture.steps
        shares = {row.framework: row.task_share for row in picture.frameworks}
        self.history.note_seen(picture.now_us, shares, picture.parts_in_tasks)

    @property
    def unsteerable(self) -> str:
        """Why nothing can be asked of the master from here."""
        return CLOSED if self.closed else self.given_up or (SILENT if self._pictures.silent else "")

    def unregister(self, framework: Framework | str) -> None:
        """Let a framework leave; one of another kernel too, if the master lets this one end it."""
        name = framework if isinstance(framework, str) else framework.name
        if name in self._boxes:
            super().unregister(framework)
        else:
            self._answer("steer", calls.Unregister(name))

    @property
    def complaints(self) -> list[Complaint]:
        """Callbacks that raised or were slow, and what the master did not allow, oldest first."""
        return sorted([*super().complaints, *self._refusals], key=lambda c: c.at_us)

    def close(self) -> None:
        """Give back: the frameworks of this kernel leave, and their tasks are ended."""
        if self.closed:
            return
        self.post([calls.Unregister(name) for name in self._boxes])
        for box in self._boxes.values():
            box.stop()
        with contextlib.suppress(Exception):
            self._thread.wait_for(self._ask("now_us"), ANSWER_S)  # an answer means that all before it was taken
        self.closed = True
        with contextlib.suppress(Exception):
            self._thread.wait_for(self._peer.close(), ANSWER_S)
            self._thread.wait_for(self.desk.close(), ANSWER_S)
        self._thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.id} of {self.address}: {'closed' if self.closed else f'{len(self._boxes)} frameworks here'}>"

    def _scheduler(self, name: str, asked: str, *, standby: bool) -> str:
        """This kernel is one scheduler, under its own name."""
        if asked or not standby:
            return super()._scheduler(name, asked, standby=False)
        if (box := self._boxes.get(name)) and not box.driver.superseded:
            raise BadValue(f"{name!r} is registered in this kernel already; stand by in another one")
        return self._name

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        if self.closed:
            raise BadValue(CLOSED)
        if self._prover.principal:
            self._answer("may", calls.Subscribe(name, role))  # NotAllowed: which rule to change
        mailbox = Mailbox(self, name)
        driver = Driver(framework, name, role, mailbox)
        driver.recall = self.inheritance.recall
        if before := self._boxes.get(name):
            before.stop()
        self._boxes[name] = mailbox
        mailbox.start(driver)
        return driver

    # -- the loop -------------------------------------------------------------------------------------------------

    async def _dial(self) -> Peer:
        introduction = {"kind": "kernel", "name": self._name, "who": f"process {os.getpid()} on {socket.gethostname()}"}
        peer = await dial(
            self.address, self._security.get_connection_args("client"), introduction, self._heard, REACH_S
        )
        check_versions(f"the hub at {self.address}", peer.welcome["versions"])
        return peer

    async def _stay(self) -> None:
        """Read until this is closed; dial again when the link is cut."""
        while not self.closed:
            await self._peer.read()
            self._leader, self._welcomed, self._cut = (0, ""), False, True
            while not self.closed:
                await asyncio.sleep(_REDIAL_S)
                with contextlib.suppress(ClusterError):
                    self._peer = await self._dial()
                    break

    def _say(self, message: Message) -> None:
        self._outbox.append(message)
        self._thread.call(self._flush)

    def _flush(self) -> None:
        while self._outbox and self._welcomed:
            self._peer.send(LEADER, self._outbox.popleft())

    async def _ask(self, verb: str, *arguments: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        number = next(self._asked)
        self._answers[number] = answer
        self._outbox.append(("ask", number, verb, arguments))
        self._flush()
        try:
            return await answer
        finally:
            self._answers.pop(number, None)

    def _heard(self, whom: str, message: Message) -> None:
        match message:
            case ("mail", name, mail, left):
                self._mail(name, mail, left)
            case ("answer", int(number), bool(well), content):
                self._answered(number, well, content)
            case ("challenge", bytes(nonce)) if self._prover.principal and len(nonce) == NONCE_BYTES:
                self._peer.send(LEADER, self._prover.answer(self._name, self._peer.known_as(self._leader[1]), nonce))
            case ("welcome", int(now_us), bytes(proven)):
                self._welcome(now_us, proven)
            case ("refused", str(because)):
                self._turned_away(because)
            case ("not allowed", str(because)):
                self._refusals.append(Complaint(self.now_us(), "", "the master", because, ""))
            case ("leader", int(epoch), str(leader_id)) if whom == HUB:
                self._leads(epoch, leader_id)
            case ("ping",):
                self._peer.send(HUB, ("pong",))
            case _:
                raise ValueError("no such message")

    def _answered(self, number: int, well: bool, content: Any) -> None:
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return  # nobody waits for it any more
        if well:
            answer.set_result(content)
        else:
            answer.set_exception(errors.named(content[0])(str(content[1])))

    def _answered_by_nobody(self) -> None:
        """Wait no more for what the leader before was asked: it will not answer, and the next one was not asked."""
        because = "another master took the lead before it answered; ask again"
        for number in self._answers:
            self._answered(number, False, ("Unreachable", because))

    def _mail(self, name: str, mail: list[Mail], left: tuple[Any, ...]) -> None:
        self.inheritance.take_on(*left)
        if box := self._boxes.get(name):
            box.deliver(mail)

    def _leads(self, epoch: int, leader_id: str) -> None:
        """Greet whoever leads from now on; nothing else is said until both sides know each other."""
        if (epoch, leader_id) == self._leader:
            return
        self._leader, self._welcomed = (epoch, leader_id), False
        self._pictures.forget()
        self._answered_by_nobody()
        self._peer.send(LEADER, self._prover.greeting())

    def _welcome(self, now_us: int, proven: bytes) -> None:
        """Go on with a leader that knows us and has proven itself; a new one is told what is registered here."""
        try:
            self._prover.check(proven)
        except NotAllowed as error:
            self._turned_away(str(error))
            return
        self._ahead_us = now_us - time.monotonic_ns() // 1000
        self._welcomed, self.given_up = True, ""
        if self._cut or self._leader[1] != self._registered_with:
            self._register_again(self._leader[1])
        self._led.set()
        self._flush()

    def _register_again(self, leader_id: str) -> None:
        """Register what is here, after a cut so that whoever took over goes on, and what stands by after all others."""
        came_back, self._registered_with, self._cut = leader_id == self._registered_with, leader_id, False
        again = [box.driver.subscription() for box in self._boxes.values() if not box.driver.superseded]
        if first := [call for call in again if not call.standby]:
            self._peer.send(LEADER, ("post", [replace(call, standby=came_back) for call in first], {}))
            self._peer.send(LEADER, *[("keep", agent, keys) for agent, keys in self.desk.wanted().items()])
            asyncio.get_running_loop().call_later(RECONCILE_S, self._reconcile, leader_id)
        if then := [call for call in again if call.standby]:
            asyncio.get_running_loop().call_later(STAND_BY_AGAIN_S, self._say, ("post", then, {}))

    def _turned_away(self, because: str) -> None:
        """Note that this leader does not take us, or is not to be believed; nothing is said to it."""
        self.given_up = because
        self._refusals.append(Complaint(self.now_us(), "", "the master", because, ""))
        self._led.set()

    def _reconcile(self, leader_id: str) -> None:
        """Ask after our tasks, once the agents had time to join: what was on its way when the lead changed is lost."""
        if leader_id == self._leader[1] and not self.closed:
            asked = [calls.Reconcile(name, tuple(box.driver.tasks)) for name, box in list(self._boxes.items())]
            self._peer.send(LEADER, ("post", asked, {}))


def connect(
    cluster: Any = None, *, name: str = "", principal: str = "", secret: str | Path | None = None, security: Any = None
) -> Remote:
    """Join the master that another kernel of this user holds, or that leads the Dask cluster given.

    ``name`` is that of ``mb.Master(name=...)``, where there are several. Where the master has principals, ``principal`` is
    who this is, proven by ``secret``: the path of a private file that holds it, or the text itself; NotAllowed if it is
    not believed. ``security`` is distributed's, for an address that begins with tls://.
    """
    if cluster is not None:
        address, known = address_of(cluster)
        return Remote(address, security or known, principal, secret)
    found = where(name).items()
    led = [remote for address, known in found if (remote := _led(address, security or known, principal, secret))]
    if len(led) == 1:
        return led[0]
    for remote in led:
        remote.close()
    if not led:
        raise NotThere(
            "no master of yours leads a cluster; write mb.Master() in one kernel, type mesonb up, or mb.connect('tcp://...')"
        )
    addresses = ", ".join(remote.address for remote in led)
    raise BadValue(f"several masters of yours are there, at {addresses}; say which: mb.connect('tcp://...') or name=")


def _led(*about: Any) -> Remote | None:
    with contextlib.suppress(ClusterError, TimeoutError):
        return Remote(*about)
    return None
