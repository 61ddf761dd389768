"""Guests: frameworks that run in other kernels, as the master sees them.

A guest's calls come through the hub in the order in which it made them, and its mail goes back the same way; the books
know no difference. What a kernel may say at all is for the gate: it has proven who it is, its calls are well formed, and
they are about its own frameworks or allowed by the ACLs; whatever else it says is refused, and said in the complaints.
When its kernel is gone it is disconnected: its tasks run on, what ends is kept, and their cargo is asked back from the
agents, for whoever registers under that name next.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mesonb.core import calls, events
from mesonb.core.branches import framework_of
from mesonb.core.calls import RunningTask
from mesonb.core.resources import NOTHING
from mesonb.errors import BadValue, MesonbError, NotAllowed, NotThere
from mesonb.live import private
from mesonb.live.inheritance import Mail
from mesonb.live.pasts import Pasts, answered
from mesonb.live.pictures import packed
from mesonb.live.security.gate import OWN, Gate, own_tasks, veiled
from mesonb.live.security.principals import MASTER
from mesonb.live.tasks.cargo import Cargo, launches_of
from mesonb.live.tasks.results import task_of
from mesonb.live.wire.comms import HUB, Message, may_be_an_agent
from mesonb.live.wire.frames import Meter
from mesonb.live.wire.plain import well_formed

if TYPE_CHECKING:
    from mesonb.core.master import MasterCore
    from mesonb.core.snapshot import Snapshot
    from mesonb.live.master import Master


#: How much a kernel may say: a second, and at once. A question counts for many.
SAID_S, SAID_BURST = 30_000, 300_000
QUESTION = 200


class Guest:
    """One registration of a framework in another kernel; to the master it looks as a ``Mailbox`` does."""

    def __init__(self, master: Master, kernel: str, name: str, owner: str) -> None:
        self.kernel, self.name, self.owner = kernel, name, owner
        self.unhandled: dict[str, Mail] = {}  #: tasks that ended, until the kernel says that their framework knows
        self._master = master

    def deliver(self, mail: list[Mail]) -> None:
        """Send what one turn of the loop had, with the cargo of tasks that are news to that kernel."""
        named: list[str] = []
        for event, content in mail:
            if isinstance(event, events.Subscribed):
                named += event.tasks
            elif isinstance(event, events.Updated):
                named.append(event.task)
                if event.state.terminal:
                    self.unhandled[event.task] = event, content
        left = self._master.inheritance.hand_on(named)
        self._master._link.send(self.kernel, ("mail", self.name, mail, left))

    def stop(self) -> None:
        """Nothing is needed: a kernel of which nothing is heard stops by itself."""

    def look_for_slow(self) -> None:
        """Its own kernel looks."""


class Guests:
    """The other kernels of one master; everything here runs on its loop."""

    def __init__(self, master: Master, gate: Gate) -> None:
        self._master = master
        self.gate = gate
        self._pasts = Pasts(master, lambda: master._loop)
        self._before: Snapshot | None = None
        self._of: MasterCore | None = None  #: whose picture that is: who is elected begins with new books
        self._meters: dict[str, Meter | None] = {}  #: None: the hub is asked to cut it off

    # -- what a kernel says -----------------------------------------------------------------------------------------

    def take(self, kernel: str, message: Message) -> None:
        """Take one message of a kernel; one that has not proven who it is may do nothing else."""
        if not self._bears(kernel, message):
            return
        who = self.gate.who(kernel)
        match message:
            case ("greet", principal, nonce):
                self._let_in(kernel, self.gate.greet(kernel, self._master._link.identity, principal, nonce))
            case ("prove", proven):
                self._let_in(kernel, self.gate.prove(kernel, proven))
            case _ if who is None:
                self._refuse(kernel, "prove who you are first: mb.connect(principal=..., secret=...)")
            case ("post", list(sent), dict(cargo)):
                for call in sent:
                    self._post(kernel, who, call, cargo)
            case ("ask", int(number), str(verb), tuple(arguments)):
                self._answer(kernel, who, number, verb, arguments)
            case ("handled", str(name), list(tasks)):
                self._handled(kernel, who, name, tasks)
            case ("let go" | "keep" as what, str(agent), list(keys)) if may_be_an_agent(agent):
                own = [key for key in keys if isinstance(key, str) and self._may(kernel, framework_of(task_of(key)))]
                self._master._link.send(agent, (what, own))
            case _:
                self._refuse(kernel, f"{str(message[0])[:40]!r} is no message that a master takes from a kernel")

    def _bears(self, kernel: str, message: Message) -> bool:
        """Count what a kernel says; one that says more than can be borne is cut off by the hub, and heard no further."""
        meter = self._meters.setdefault(kernel, Meter(SAID_S, SAID_BURST))
        if meter is None or meter.takes(_cost(message)):
            return meter is not None
        self._meters[kernel] = None
        self._master._link.send(
            HUB, ("expel", kernel, f"it said more than the master can bear: {SAID_S:,} things a second")
        )
        return False

    def _let_in(self, kernel: str, answer: Message) -> None:
        """Tell a kernel how its proof went; who was refused is said here as well."""
        if answer[0] == "welcome":
            answer = "welcome", self._master.now_us(), *answer[1:]
        elif answer[0] == "refused":
            self._master._complain(kernel, answer[1])
        self._master._link.send(kernel, answer)

    def _refuse(self, kernel: str, because: str) -> None:
        self._master._complain(kernel, because)
        self._master._link.send(kernel, ("not allowed", because))

    # -- calls ------------------------------------------------------------------------------------------------------

    def _post(self, kernel: str, who: str, call: Any, cargo: dict[str, Any]) -> None:
        """Take one call of a kernel, with what the tasks launched by it need, or say why not."""
        if isinstance(call, calls.By) and call.scheduler == kernel:
            call = call.call  # it is that one: its registration is noted under its kernel's name
        if not isinstance(call, calls.Call) or not well_formed(call):
            self._refuse(kernel, f"a {type(call).__name__} such as this is no call that a master takes")
        elif isinstance(call, OWN) and self._may(kernel, call.framework):
            self._take_own(kernel, call, cargo)
        elif isinstance(call, OWN) and self._master.waiting.stands(call.framework, kernel):
            if isinstance(call, calls.Unregister):
                self._stand_no_more(kernel, call.framework)
        elif isinstance(call, OWN) and self.gate.owns(who, call.framework):
            return  # another kernel of its own has registered under that name since
        elif because := self.gate.against(who, call, taken=self._taken(call)):
            self._refuse(kernel, because)
        elif isinstance(call, calls.Subscribe):
            self._subscribe(kernel, who, call)
        else:
            self._master._take(call)

    def _take_own(self, kernel: str, call: Any, cargo: dict[str, Any]) -> None:
        launches = launches_of(call)
        if isinstance(call, calls.AcceptAll) and any(part.framework != call.framework for part in call.parts):
            self._refuse(kernel, f"a part of what {call.framework!r} accepts is for another framework")
            return
        if not own_tasks(call.framework, launches):
            self._refuse(kernel, f"a task of {call.framework!r} is named as another framework's")
            return
        self._master.cargo |= {
            task.task: packed for task in launches if isinstance(packed := cargo.get(task.task), Cargo)
        }
        if any(task.task not in self._master.cargo for task in launches):
            self._refuse(kernel, f"{call.framework!r} launches a task and does not say what it runs")
            return
        if isinstance(call, calls.Reconcile):
            call = self._master.missing.hold_back(kernel, self._unheard(call), self._master.core.tasks)
        self._master._take(call)

    def _subscribe(self, kernel: str, who: str, call: calls.Subscribe) -> None:
        self._master.waiting.expect(call.framework, Guest(self._master, kernel, call.framework, who))
        self._master._take(replace(call, scheduler=kernel))

    def _stand_no_more(self, kernel: str, name: str = "") -> None:
        """A kernel stands by no more for a framework, or for any."""
        for left in self._master.waiting.leave(kernel, name):
            self._master._take(calls.Disconnect(left, kernel))

    def _taken(self, call: Any) -> bool:
        """Whether a registration would take a name over."""
        name = getattr(call, "framework", "")
        return name in self._master.core.frameworks or name in self.gate.owners

    def registered(self, name: str, box: object) -> None:
        """Note whose a name is now, here and, for the master after this one, at the hub."""
        owner = box.owner if isinstance(box, Guest) else MASTER
        if self.gate.principals and self.gate.own(name, owner):
            self._master._link.send(HUB, ("owners", dict(self.gate.owners)))

    def _unheard(self, call: calls.Reconcile) -> calls.Reconcile:
        """Leave out what has ended: with its result, that is on its way."""
        ended = self._master.core.ended
        return replace(call, tasks=tuple(task for task in call.tasks if task not in ended))

    def _may(self, kernel: str, name: str) -> bool:
        """Whether a kernel speaks for a framework."""
        box = self._master._boxes.get(name)
        return isinstance(box, Guest) and box.kernel == kernel

    # -- questions --------------------------------------------------------------------------------------------------

    def _answer(self, kernel: str, who: str, number: int, verb: str, arguments: tuple[Any, ...]) -> None:
        """Answer what a kernel asks the master."""
        answer: tuple[bool, Any]
        try:
            if verb == "moment":
                self._look_back(kernel, who, number, *arguments)
                return
            answer = True, self._found(who, verb, arguments)
        except MesonbError as error:
            answer = False, (type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - a question that makes no sense is answered, and harms nobody
            answer = False, ("BadValue", f"{verb!r} cannot be asked so: {type(error).__name__}: {error}")
        self._master._link.send(kernel, ("answer", number, *answer))

    def _look_back(self, kernel: str, who: str, number: int, how: str, amount: Any, position: int) -> None:
        """Have a moment of the past found, and answer once it is."""

        def answer(found: Any) -> None:
            self._master._link.send(kernel, ("answer", number, *answered(found, partial(self.gate.seen, who))))

        self._pasts.look(how, amount, position, answer)

    def _found(self, who: str, verb: str, arguments: tuple[Any, ...]) -> Any:
        match verb, arguments:
            case "now_us", ():
                return self._master.now_us()
            case "snapshot", ():
                return self.gate.seen(who, self._master.snapshot())
            case "snapshot", (bool(spots), int(joined), int(count)):
                return packed(self.gate.seen(who, self._picture(spots=spots)), (joined, count))
            case "explain", (str(name), str(agent)):
                return self._explain(who, name, agent)
            case "may", (call,) if isinstance(call, calls.Call) and well_formed(call):
                self._check(self.gate.against(who, call, taken=self._taken(call)))
            case "output", (str(task),):
                self._check(self._against_seeing(who, framework_of(task)))
                return self._master.output(task)
            case "sandbox", (str(task),):
                self._check(self._against_seeing(who, framework_of(task)))
                return self._master.sandbox(task)
            case "isolation", ():
                found = self._master.isolation
                return {agent: [(line.name, line.applied, line.says) for line in found[agent]] for agent in found}
            case "allocator", ():
                return type(self._master.core.allocator).__name__
            case "dask soon", ():
                self._master._have_ready(private.__name__)
            case "printed", ():
                return [task for task in self._master.printed() if not self._against_seeing(who, framework_of(task))]
            case "steer", (calls.KillTask() | calls.Suppress() | calls.Revive() | calls.Unregister() as call,):
                self._steer(who, call)
            case "steer", (call,) if isinstance(call, calls.OperatorCall) and well_formed(call):
                self._operate(who, call)
            case _:
                raise BadValue(f"a kernel cannot ask a master for {verb!r} of {arguments!r:.100}")
        return None

    def _picture(self, *, spots: bool) -> Snapshot:
        """Picture the cluster for panels elsewhere; what has not moved since the last of them asked is not pictured anew."""
        core = self._master.core
        before = self._before if self._of is core else None
        self._before, self._of = self._master.snapshot(before, spots=spots), core
        return self._before

    def _explain(self, who: str, name: str, agent: str) -> Any:
        """Explain, without a word about what may not be seen."""
        core = self._master.core
        hidden = [one for one in core.frameworks.values() if not self.gate.sees(who, one.name, one.role)]
        names = {one.name for one in hidden}
        if name in core.roles and name not in core.frameworks:
            self._check(self.gate.against_role(who, "see", name))
        elif name not in core.agents:
            self._check(
                self._against_seeing(who, core.offers[name].framework if name in core.offers else framework_of(name))
            )
        seen = [one for one in core.frameworks if one not in names]
        own = {core.frameworks[one].role for one in seen}
        roles = {role for role in core.roles if role not in own and self.gate.against_role(who, "see", role)}
        try:
            return veiled(self._master.explain(name, agent), names | roles)
        except NotThere:
            there = dict.fromkeys([*seen, *(role for role in core.roles if role not in roles), *list(core.agents)[:10]])
            called = agent if name in there and agent else name
            raise NotThere(f"nothing that you may see is called {called!r}; there are: {', '.join(there)}") from None

    def _against_seeing(self, who: str, name: str) -> str:
        """Say why a principal may not see what is a framework's; one that has left was in no role that is known."""
        framework = self._master.core.frameworks.get(name)
        if self.gate.owns(who, name) or (framework is None and name not in self.gate.owners):
            return ""
        return self.gate.against_role(who, "see", framework.role if framework else "*")

    def _steer(self, who: str, call: Any) -> None:
        """Do to a framework, whoever's it is, what an operator asks for."""
        if not well_formed(call) or call.framework not in self._master.core.frameworks:
            raise NotThere(f"no framework is called {call.framework!r}")
        self._check(self.gate.against_end(who, call.framework))
        if isinstance(call, calls.Unregister):
            self._master.unregister(call.framework)
        else:
            self._master._take(call)

    def _operate(self, who: str, call: calls.OperatorCall) -> None:
        """Do what an operator in another kernel asks for; BadValue, with why, if it is refused."""
        self._check(self.gate.against(who, call, taken=False))
        self._master._waited_for[id(call)] = ""
        self._master._take(call)
        if because := self._master._waited_for.pop(id(call)):
            raise BadValue(because)

    @staticmethod
    def _check(because: str) -> None:
        if because:
            raise NotAllowed(because)

    # -- what becomes of it -----------------------------------------------------------------------------------------

    def _handled(self, kernel: str, who: str, name: str, tasks: list[str]) -> None:
        """Note that a framework has handled how these tasks ended."""
        box = self._master._boxes.get(name)
        if isinstance(box, Guest) and box.kernel == kernel:
            for task in tasks:
                box.unhandled.pop(task, None)
        if self.gate.owns(who, name):
            self._master._acknowledge([task for task in tasks if own_tasks(name, [calls.TaskInfo(task, NOTHING)])])

    def over(self, box: object) -> None:
        """Have agents forget what a registration that is over has not handled: it is nobody else's."""
        if isinstance(box, Guest):
            self._master._acknowledge(list(box.unhandled))

    def gone(self, kernel: str) -> None:
        """A kernel is not to be reached any more: its frameworks are disconnected until they register again."""
        self.gate.forget(kernel)
        self._meters.pop(kernel, None)
        self._stand_no_more(kernel)
        for name, box in list(self._master._boxes.items()):
            if isinstance(box, Guest) and box.kernel == kernel:
                del self._master._boxes[name]
                missing = self._ask_back(name, box)
                if self._master.waiting.has_another(name):
                    self._master.waiting.wait(name, missing, partial(self._disconnect, name))
                else:
                    self._disconnect(name)

    def _disconnect(self, name: str) -> None:
        if name in self._master.core.frameworks and name not in self._master._boxes:
            self._master._take(calls.Disconnect(name))
            self._master._turn()

    def _ask_back(self, name: str, box: Guest) -> set[str]:
        """Keep what a kernel has not handled, have agents hand over the cargo of all its tasks, and return of which."""
        master = self._master
        master._keep(name, list(box.unhandled.values()))
        live = [task for record in master.core.family(name) for task in record.tasks.values()]
        there = {task.id: (task.agent, RunningTask(task.id, name, task.needs)) for task in live}
        for task in box.unhandled:
            if agent := master._unacknowledged.get(task):
                there[task] = agent, RunningTask(task, name, NOTHING)
        master.inheritance.expect(there)
        for agent in {agent for agent, _ in there.values()}:
            master._link.send(agent, ("hand over", [task for task, (at, _) in there.items() if at == agent]))
        return master.inheritance.lacks(there)


def _parts(call: Any) -> int:
    """Count the parts of a call that are each looked at; what is only named costs a tenth."""
    match call:
        case calls.AcceptAll(parts=tuple(parts)):
            return len(parts) + sum(map(_parts, parts))
        case calls.Accept(offers=tuple(offers), launches=tuple(launches)):
            return len(launches) + len(offers) // 10
        case calls.By(call=calls.Accept() | calls.AcceptAll() as inner):
            return _parts(inner)
        case _ if is_dataclass(call):
            held = (getattr(call, field.name, ()) for field in fields(call))
            return sum(len(part) for part in held if isinstance(part, tuple)) // 10
        case _:
            return 0


def _cost(message: Message) -> int:
    """Say how much work a message is, roughly."""
    match message:
        case ("post", list(sent), dict(cargo)):
            return len(sent) + max(len(cargo), sum(map(_parts, sent)))
        case ("ask", *_):
            return QUESTION
        case ("handled", _, list(tasks)):
            return 1 + len(tasks) // 10
        case _:
            return 10
