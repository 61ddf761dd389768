"""Scenarios: one command a line, turned into calls of a real core; what follows, as lines that read like a lecture.

A verb stands for a call: ``agent agent-1 cpus=4 mem=4GB`` is ``AgentJoined``. Any field of the call may be given as
``name=value`` without its unit (``refuse=5s`` sets ``refuse_us``), and any call by its own name (``SetWeight role=lab
weight=2``), so a new call or field can be spoken of before it has a verb. The grammar stands in docs/transcripts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.explain import explain
from mesonb.core.invariants import check
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.core.telling import in_words, told
from mesonb.core.units import parse_duration, show_duration
from mesonb.errors import BadValue
from mesonb.sim.replay import known_allocator
from mesonb.transcripts.views import show
from mesonb.transcripts.words import CALLS, Reply, filled, hints, launch, made, pairs, running, split_reserved, value

#: How many turns of the clock one ``advance`` may take before it is called endless.
TURNS_MOST = 100_000
#: A verb and its call, with the fields that the words after it fill, in order.
VERBS: dict[str, tuple[str, tuple[str, ...]]] = {
    "lose": ("AgentLost", ("agent", "because")),
    "framework": ("Subscribe", ("framework",)),
    "unregister": ("Unregister", ("framework",)),
    "next": ("LaunchNext", ("framework", "after", "task")),
    "suppress": ("Suppress", ("framework",)),
    "revive": ("Revive", ("framework",)),
    "weight": ("SetWeight", ("role", "weight_milli")),
    "guarantee": ("SetGuarantee", ("role",)),
    "limit": ("SetLimit", ("role",)),
    "priority": ("SetPriority", ("role", "priority")),
    "reserve": ("Reserve", ("agent", "role")),
    "unreserve": ("Unreserve", ("agent", "role")),
    "allocator": ("SetAllocator", ("name",)),
    "unreachable": ("AgentUnreachable", ("agent", "because")),
    "disconnect": ("Disconnect", ("framework", "scheduler")),
    "drain": ("Drain", ("agent", "because")),
    "undrain": ("Undrain", ("agent",)),
    "revoke": ("Revoke", ("task", "grace_us")),
    "maintain": ("PlanMaintenance", ("agent", "after_us", "because")),
    "up": ("EndMaintenance", ("agent",)),
    "pause": ("Pause", ()),
    "resume": ("Resume", ()),
}


class Scenario:
    """One core, one clock, and the commands that drive them."""

    def __init__(self) -> None:
        self.core = MasterCore()
        self.now_us = 0
        self._holders: dict[str, str] = {}  #: who was made each offer, gone ones too
        self._agents: dict[str, str] = {}  #: where each task was launched

    def do(self, line: str) -> list[str]:
        """Carry out one command and say what followed, line by line; BadValue for what is no command."""
        verb, *words = line.split()
        special: Callable[[list[str]], list[str]] | None = getattr(self, f"_do_{verb}", None)
        if special:
            return special(words)
        name, order = VERBS.get(verb, (verb, ()))
        kind = CALLS.get(name)
        if kind is None:
            raise BadValue(
                f"{verb!r} is no command; there are: {', '.join(sorted({*VERBS, *self._specials(), *CALLS}))}"
            )
        return self._send(made(kind, words, order))

    def _specials(self) -> Iterable[str]:
        return (name.removeprefix("_do_") for name in dir(self) if name.startswith("_do_"))

    # -- commands that are more than one call -------------------------------------------------------------------------

    def _do_settings(self, words: list[str]) -> list[str]:
        if self.core.steps:
            raise BadValue("settings come first, before any other command")
        given = dict(word.split("=", 1) for word in words if "=" in word)
        allocator = known_allocator(name) if (name := given.pop("allocator", "")) else None
        if name and allocator is None:
            raise BadValue(f"no allocator of mesonb is called {name!r}")
        self.core = MasterCore(filled(Settings, given), allocator)
        return []

    def _do_agent(self, words: list[str]) -> list[str]:
        """Let an agent join; what is reserved on it is part of its total. After ``runs``: what it runs already."""
        cut = words.index("runs") if "runs" in words else len(words)
        words, runs = words[:cut], running(words[cut + 1 :])
        words, reserved = split_reserved(words)
        call = made(
            calls.AgentJoined,
            words if any("=" in word for word in words) or not reserved else [*words, "cpus=0"],
            ("agent",),
        )
        total = sum((held for _, held in reserved), start=call.total)
        return self._send(replace(call, total=total, reserved=reserved, tasks=runs))

    def _do_agents(self, words: list[str]) -> list[str]:
        if not (words and words[0].isdigit()):
            raise BadValue("how many? Write: agents 3 cpus=4 mem=4GB")
        numbers = range(len(self.core.agents) + 1, len(self.core.agents) + 1 + int(words[0]))
        return [line for number in numbers for line in self.do(" ".join(["agent", f"agent-{number}", *words[1:]]))]

    def _do_role(self, words: list[str]) -> list[str]:
        """Set whatever is said of a role: each option is a call of its own."""
        name, *options = words
        given = pairs(options)
        unknown = [option for option in given if f"Set{option.title()}" not in CALLS]
        if unknown or not given:
            known = [
                name.removeprefix("Set").lower()
                for name in CALLS
                if name.startswith("Set") and "role" in hints(CALLS[name])
            ]
            raise BadValue(f"what of the role {name}? It has: {', '.join(f'{option}=' for option in known)}")
        return [
            line
            for option, value in given.items()
            for line in self.do(f"Set{option.title()} role={name} {option}={value}")
        ]

    def _do_failover(self, words: list[str]) -> list[str]:
        framework = self.core.frameworks.get(words[0]) if words else None
        if framework is None:
            raise BadValue(f"failover of whom? Frameworks: {', '.join(self.core.frameworks) or 'none'}")
        role = [] if any(word.startswith("role=") for word in words) else [f"role={framework.role}"]
        return self.do(" ".join(["framework", *words, *role]))

    def _do_accept(self, words: list[str]) -> list[str]:
        offers, by, options, launches = self._reply(words)
        held = [self.core.offers[offer].resources for offer in offers if offer in self.core.offers]
        tasks = tuple(launch(by, label, given) for label, given in launches)
        call = filled(calls.Accept, options, framework=by, offers=offers, launches=tasks)
        lines = self._send(call)
        if any(line.startswith("rejected") for line in lines):
            return lines
        left = sum(held, start=Resources()) - sum((task.needs for task in tasks), start=Resources())
        return [*lines, f"back    {in_words(left)}"] if left else lines

    _do_launch = _do_accept

    def _do_gang(self, words: list[str]) -> list[str]:
        """Accept on several agents together or nowhere: each part reads as an accept, with ``and`` between them."""
        parts, part = [], list[str]()
        for word in [*words, "and"]:
            if word != "and":
                part.append(word)
            else:
                offers, by, options, launches = self._reply(part)
                tasks = tuple(launch(by, label, given) for label, given in launches)
                parts.append(filled(calls.Accept, options, framework=by, offers=offers, launches=tasks))
                part = []
        return self._send(calls.AcceptAll(parts[0].framework, tuple(parts)))

    def _do_back(self, words: list[str]) -> list[str]:
        """Let an agent answer again; it says which tasks it still runs."""
        if not words:
            raise BadValue("which agent, and what does it run? Write: back agent-1 F1/t1 F1/t2")
        known = tuple(self._known(word) for word in words[1:] if word in self.core.tasks or word in self.core.ahead)
        return self._send(calls.AgentBack(words[0], known))

    def _known(self, name: str) -> calls.RunningTask:
        """What an agent says of a task: one that was launched ahead waits for the one before it."""
        following = self.core.ahead.get(name)
        task = self.core.tasks[following.after if following else name]
        waits = TaskState.STAGING if following else TaskState.RUNNING
        return calls.RunningTask(name, task.framework, task.needs, state=waits, after=task.id if following else "")

    def _do_promise(self, words: list[str]) -> list[str]:
        """Accept an inverse offer."""
        return self._send(calls.AcceptInverse(self._asked(words), (words[0],)))

    def _do_refuse(self, words: list[str]) -> list[str]:
        """Decline an inverse offer."""
        return self._send(
            filled(calls.DeclineInverse, pairs(words[1:]), framework=self._asked(words), inverses=(words[0],))
        )

    def _asked(self, words: list[str]) -> str:
        """Say whom an inverse offer was made to."""
        if not words:
            raise BadValue("which inverse offer? Write: promise inverse-1, or: refuse inverse-1 again=5min")
        return self._holders.get(words[0], "nobody")

    def _do_reconcile(self, words: list[str]) -> list[str]:
        if not words:
            raise BadValue("whose tasks? Write: reconcile F1, or: reconcile F1 F1/t1")
        return self._send(calls.Reconcile(words[0], tuple(words[1:])))

    def _do_decline(self, words: list[str]) -> list[str]:
        if any(word.endswith(":") for word in words):
            raise BadValue("a decline launches nothing; write accept")
        offers, by, options, _ = self._reply(words)
        return self._send(filled(calls.Decline, options, framework=by, offers=offers))

    def _do_update(self, words: list[str]) -> list[str]:
        if len(words) < 2:
            raise BadValue("an update names a task and its state: update F1/t1 running")
        task, state, *because = words
        agent = self._agents.get(task, "")
        if because[:1] == ["from"]:
            agent, because = because[1], because[2:]
        return self._send(calls.TaskUpdate(agent, task, value(TaskState, state), " ".join(because)))

    def _do_kill(self, words: list[str]) -> list[str]:
        if not words:
            raise BadValue("kill which task? Write: kill F1/t1")
        task = self.core.tasks.get(words[0]) or self.core.ahead.get(words[0])
        return self._send(calls.KillTask(task.framework if task else words[0].partition("/")[0], words[0]))

    # -- the clock ----------------------------------------------------------------------------------------------------

    def _do_tick(self, words: list[str]) -> list[str]:
        """Take a turn of the loop, and those that the core asks for at once: one pair is offered once a microsecond."""
        if words:
            raise BadValue("tick takes nothing; to let time pass, write: advance 5s")
        lines = self._send(calls.Tick())
        for _ in range(TURNS_MOST):
            due_us = self.core.next_deadline()
            if due_us is None or due_us > self.now_us + 1:
                return lines
            self.now_us = max(due_us, self.now_us)
            lines += self._send(calls.Tick())
        raise BadValue(f"after {TURNS_MOST} turns the core still asks for another at once")

    def _do_advance(self, words: list[str]) -> list[str]:
        """Let time pass: the clock ticks whenever the core asked for it."""
        start_us, lines = self.now_us, list[str]()
        end_us = start_us + parse_duration(" ".join(words) or "?")
        for _ in range(TURNS_MOST):
            due_us = self.core.next_deadline()
            if due_us is None or due_us > end_us:
                self.now_us = end_us
                return lines
            self.now_us = max(due_us, self.now_us)
            if followed := self._send(calls.Tick()):
                lines += [f"at {show_duration(self.now_us)}", *followed] if self.now_us > start_us + 1 else followed
        raise BadValue(
            f"after {TURNS_MOST} turns of the clock it is only {show_duration(self.now_us)}; advance by less"
        )

    def _do_show(self, words: list[str]) -> list[str]:
        return show(self.core, words)

    def _do_explain(self, words: list[str]) -> list[str]:
        """Say why: of a framework, a role, a task, an offer or an agent; of a framework on one agent where two are named."""
        if not 1 <= len(words) <= 2:
            raise BadValue("explain whom? Write: explain F1, or: explain F1 agent-2")
        said = explain(self.core, *words)
        if said is None:
            raise BadValue(f"nothing here is called {words[0]!r}")
        return repr(said).splitlines()

    # -- calls and what follows ---------------------------------------------------------------------------------------

    def _send(self, call: calls.Call) -> list[str]:
        lines: list[str] = []
        followed = self.core.step(call, self.now_us)
        check(self.core)
        for event in followed:
            line = self._told(event)
            if line.startswith("launch") and lines and lines[-1].startswith("launch"):
                lines[-1] += "    " + line
            elif line:
                lines.append(line)
        return lines

    def _told(self, event: events.Event) -> str:
        if isinstance(event, events.OfferMade):
            self._holders[event.offer] = event.framework
        elif isinstance(event, events.InverseOfferMade):
            self._holders[event.inverse] = event.framework
        elif isinstance(event, events.Launch):
            self._agents[event.task] = event.agent
        return told(event)

    def _reply(self, words: list[str]) -> tuple[tuple[str, ...], str, dict[str, str], list[tuple[str, dict[str, str]]]]:
        """Read the answer to offers: which, by whom, its options, and the tasks with what each is given."""
        reply = Reply()
        for word in words:
            reply.take(word)
        if not reply.offers:
            raise BadValue("which offer? Write: accept offer-1 t1: cpus=1 mem=1GB, or: decline offer-1")
        by = reply.by or self._holders.get(reply.offers[0])
        if by is None:
            raise BadValue(f"{reply.offers[0]} was never made; say who answers: accept {reply.offers[0]} by F1 ...")
        return tuple(reply.offers), by, reply.options, reply.tasks
