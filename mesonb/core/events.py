"""What the master answers: plain data, each addressed to one framework, to one agent, or to whoever called.

``to`` says which: "framework" and "agent" events carry that name in the field so called; "caller" is answered to the
sender of the call. A shell delivers them in order and needs to know nothing else. Nobody writes on an event; the three
that are made a hundred thousand times a second are not frozen, because freezing triples what making one costs.
"""

from dataclasses import dataclass
from typing import ClassVar

from mesonb.core.calls import Call
from mesonb.core.records import Reserved, TaskState
from mesonb.core.resources import Resources

# -- to a framework -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The framework is registered. ``incarnation`` counts its registrations; ``tasks`` run from before."""

    to: ClassVar = "framework"
    framework: str
    incarnation: int
    tasks: tuple[str, ...] = ()
    epoch: int = 1  #: which leader of this cluster this is; with the incarnation, part of every task's id
    acknowledge: bool = False  #: how a task ended is said again until the framework acknowledges it
    scheduler: str = ""  #: which of its schedulers is active from now on


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another scheduler speaks for the framework now, or it has left: this one is heard no more."""

    to: ClassVar = "framework"
    framework: str
    scheduler: str
    because: str


@dataclass(frozen=True, slots=True)
class StandsBy:
    """The scheduler will be told to go on (``Subscribed``) when the active one is lost."""

    to: ClassVar = "framework"
    framework: str
    scheduler: str
    because: str


class Held:
    """What the books note on an offer beside what is told of it: no part of the event, and set by ``Books.open_offer`` alone."""

    __slots__ = ("changes", "made_us", "reserved")
    made_us: int
    reserved: Reserved | None  #: which part of it comes from reservations
    changes: int  #: optimistic: its agent's, when it was made, and then it holds nothing; else -1


@dataclass(slots=True, unsafe_hash=True)
class OfferMade(Held):
    """Some resources of one agent, held for one framework until ``expires_us``; the books keep this very object."""

    to: ClassVar = "framework"
    framework: str
    offer: str
    agent: str
    resources: Resources
    expires_us: int
    max_task_us: int = 0  #: a task there, or on the ``short`` part, is killed after this; 0: it may take any time
    closes_us: int = 0  #: the agent will be under maintenance from then on; 0: nothing is planned
    short: Resources | None = None  #: the part that is kept for short tasks; None: no part, or all of it
    role: str = ""  #: which of several roles of the framework it is for; "": it has one

    @property
    def id(self) -> str:
        """Its name, as records have it."""
        return self.offer


@dataclass(frozen=True, slots=True)
class Rescinded:
    """An offer is gone before it was answered."""

    to: ClassVar = "framework"
    framework: str
    offer: str
    because: str


@dataclass(slots=True, unsafe_hash=True)
class Updated:
    """A task changed its state."""

    to: ClassVar = "framework"
    framework: str
    task: str
    state: TaskState
    because: str = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A task's resources are needed for a guarantee: it is killed at ``kill_us``, unless it ends before, or they come otherwise."""

    to: ClassVar = "framework"
    framework: str
    task: str
    kill_us: int
    because: str


@dataclass(frozen=True, slots=True)
class InverseOfferMade:
    """The framework is asked to have left an agent by ``start_us``; it is down for ``lasts_us``, 0 if nobody knows."""

    to: ClassVar = "framework"
    framework: str
    inverse: str
    agent: str
    start_us: int
    lasts_us: int
    because: str


@dataclass(frozen=True, slots=True)
class InverseRescinded:
    """The framework need not answer any more: the maintenance was called off, has begun, or is over."""

    to: ClassVar = "framework"
    framework: str
    inverse: str
    because: str


@dataclass(frozen=True, slots=True)
class AgentGone:
    """An agent left; its tasks were reported one by one before this."""

    to: ClassVar = "framework"
    framework: str
    agent: str
    because: str


# -- to an agent --------------------------------------------------------------------------------------------------


@dataclass(slots=True, unsafe_hash=True)
class Launch:
    """Run this task. What it runs is the shell's to know, by the task's id."""

    to: ClassVar = "agent"
    agent: str
    framework: str
    task: str
    needs: Resources
    role: str = ""  #: on the account of which of several roles; "": its framework has one
    after: str = ""  #: begin only when this one has ended there, and then at once; "": begin now


@dataclass(frozen=True, slots=True)
class Kill:
    """End this task; answer with its last update."""

    to: ClassVar = "agent"
    agent: str
    task: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget this task if it still waits for another to end, and say that it is lost; if it has begun, let it run."""

    to: ClassVar = "agent"
    agent: str
    task: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Its framework knows how this task ended: the agent may forget it."""

    to: ClassVar = "agent"
    agent: str
    task: str


# -- to the caller ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rejected:
    """The call made no sense and changed nothing; ``because`` names the thing and what to do."""

    to: ClassVar = "caller"
    call: Call
    because: str


Event = (
    Subscribed
    | Superseded
    | StandsBy
    | OfferMade
    | Rescinded
    | Revoked
    | Updated
    | InverseOfferMade
    | InverseRescinded
    | AgentGone
    | Launch
    | Kill
    | Withdraw
    | Acknowledged
    | Rejected
)
