"""What anyone may tell the master. A call is plain data: it can be logged, sent and replayed.

Who says what: agents (or the shell for them) join, are lost and report tasks; frameworks subscribe, accept, decline;
an operator sets weights and pauses; the shell's clock ticks. All times are integer microseconds (``_us``), weights
integer thousandths (``_milli``). A call that makes no sense is answered with ``events.Rejected`` and changes nothing.
Nobody writes on a call; the four that come a hundred thousand times a second are not frozen, as with events.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mesonb.core.records import TaskState
from mesonb.core.resources import Resources

#: What may be asked of an agent's attribute: (attribute, one of these, value).
CONSTRAINTS = ("is", "is not", "exists", "matches")
#: Apache Mesos's default refusal: 5 s. Zero means no filter.
REFUSE_US = 5_000_000


# -- agents -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunningTask:
    """What an agent knows of a task that was launched before: ``epoch`` says by which leader.

    One that has ended, and whose last update nobody has acknowledged yet, is named with its last state.
    """

    task: str
    framework: str
    needs: Resources
    role: str = "*"
    state: TaskState = TaskState.RUNNING
    epoch: int = 0
    after: str = ""  #: it has not begun: it waits for the end of this one


@dataclass(frozen=True, slots=True)
class AgentJoined:
    """An agent offers its machine. Its name outlives its address: the same name again replaces a lost one.

    ``reserved`` parts of it are offered to no role but theirs, and the roles within it. Nothing of it is offered until
    one of ``min_offer`` is free. ``tasks`` were launched by a master before this one, and are adopted.
    Tasks there are killed after ``max_task_us``, if that is not 0: it is kept for short ones, or ``short`` of it is.
    """

    agent: str
    total: Resources
    attributes: tuple[tuple[str, str], ...] = ()
    reserved: tuple[tuple[str, Resources], ...] = ()
    min_offer: tuple[Resources, ...] = ()
    tasks: tuple[RunningTask, ...] = ()
    max_task_us: int = 0
    short: Resources | None = None


@dataclass(frozen=True, slots=True)
class AgentUnreachable:
    """An agent does not answer: nothing of it is offered, its tasks are unreachable. In time it is lost, or back."""

    agent: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class AgentBack:
    """An agent answers again, and says what it runs: the rest of its tasks is lost, what has ended here is killed."""

    agent: str
    tasks: tuple[RunningTask, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentLost:
    """An agent is gone for good; its tasks are lost."""

    agent: str
    because: str = ""


@dataclass(slots=True, unsafe_hash=True)
class TaskUpdate:
    """An agent reports the state of a task. Sent at least once; repeats and steps backwards change nothing."""

    agent: str
    task: str
    state: TaskState
    because: str = ""


# -- frameworks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A framework registers under a role. The same name again is failover: its tasks stay, its offers are rescinded.

    It may say what it never wants to be offered: less than any of ``min_offer``, agents other than ``agents``, agents
    of which a constraint does not hold (attribute, one of ``CONSTRAINTS``, value), or with what it cannot handle.
    """

    framework: str
    role: str = "*"
    min_offer: tuple[Resources, ...] = ()
    agents: tuple[str, ...] = ()
    constraints: tuple[tuple[str, str, str], ...] = ()
    capabilities: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()  #: in which it is besides ``role``; each offer is for one of them
    scheduler: str = ""  #: which of several schedulers of the framework this is
    standby: bool = False  #: it takes over only when the active one is lost


@dataclass(frozen=True, slots=True)
class Unregister:
    """A framework leaves; its tasks are killed."""

    framework: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A framework is not to be reached: its tasks run on until it registers again, or its failover timeout is over.

    Of a framework with several schedulers, the one named is lost; the first that stands by goes on at once.
    """

    framework: str
    scheduler: str = ""


@dataclass(slots=True, unsafe_hash=True)
class TaskInfo:
    """One task that a framework wants launched: its id, unused until now, and what it needs.

    A ``short`` one takes what is kept for such first, and is killed if it lasts longer than is allowed there; any other
    is launched on the rest.
    """

    task: str
    needs: Resources
    short: bool = False


@dataclass(slots=True, unsafe_hash=True)
class Accept:
    """Launch tasks on offers of one agent. What is left goes back with a filter of ``refuse_us``."""

    framework: str
    offers: tuple[str, ...]
    launches: tuple[TaskInfo, ...] = ()
    refuse_us: int = REFUSE_US


@dataclass(slots=True, unsafe_hash=True)
class LaunchNext:
    """Launch a task ahead: it begins when ``after`` ends, with just what that holds, unless others come first by then."""

    framework: str
    after: str
    task: str


@dataclass(slots=True, unsafe_hash=True)
class Decline:
    """Give offers back; as much or less on the same agents is not offered again for ``refuse_us``."""

    framework: str
    offers: tuple[str, ...]
    refuse_us: int = REFUSE_US


@dataclass(frozen=True, slots=True)
class Suppress:
    """Send this framework no offers until it revives. Of several roles, those named; none: all."""

    framework: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revive:
    """Send offers again, and forget this framework's filters. Of several roles, those named; none: all."""

    framework: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KillTask:
    """Ask for one of the framework's tasks to be killed."""

    framework: str
    task: str


@dataclass(frozen=True, slots=True)
class AcceptAll:
    """Launch on several agents together or nowhere: a gang. Each part is an accept of the same framework."""

    framework: str
    parts: tuple[Accept, ...]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Say that the framework knows how these tasks ended: it need not be told again, and their agents may forget."""

    framework: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptInverse:
    """Promise to have left agents by the time that their maintenance begins. A hint: nothing is enforced before."""

    framework: str
    inverses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeclineInverse:
    """Say that a maintenance suits badly; the framework is asked again after ``again_us``, or, if that is 0, not again."""

    framework: str
    inverses: tuple[str, ...]
    again_us: int = 0


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Ask what state tasks are in; where none is named, all that the framework has."""

    framework: str
    tasks: tuple[str, ...] = ()


# -- operators and the clock --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give a role a weight: 2000 is entitled to twice the share of 1000. Outstanding offers are rescinded."""

    role: str
    weight_milli: int


@dataclass(frozen=True, slots=True)
class SetGuarantee:
    """Hold back so much for an outermost role that it can always have this in total; nothing takes it away again."""

    role: str
    guarantee: Resources


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Let an outermost role have no more than this of the resources named; ``force``: even if it has more now."""

    role: str
    limit: Resources
    force: bool = False


@dataclass(frozen=True, slots=True)
class SetPriority:
    """Give a role a priority, for allocators that go by it: the higher comes first."""

    role: str
    priority: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep some of what is free on an agent for a role; ``out_of`` a role that contains it refines its reservation."""

    agent: str
    role: str
    resources: Resources
    out_of: str = ""


@dataclass(frozen=True, slots=True)
class Unreserve:
    """Give some of what is free of a reservation back to all, or to the role that it was taken ``out_of``."""

    agent: str
    role: str
    resources: Resources
    out_of: str = ""


@dataclass(frozen=True, slots=True)
class SetAllocator:
    """Let another allocation module choose: one of mesonb's by name, or one that was handed to this master.

    ``source`` is for whoever reads the recording.
    """

    name: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Drain:
    """Offer nothing of an agent any more; its tasks are killed after ``grace_us``, and their frameworks told at once."""

    agent: str
    grace_us: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class Undrain:
    """Offer a draining agent again."""

    agent: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Take one task's resources back: its framework is told at once, and the task is killed after ``grace_us``."""

    task: str
    grace_us: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class PlanMaintenance:
    """Announce that an agent will be down: its tasks' frameworks are asked to leave, and are killed at the start.

    It begins ``after_us`` from now and ends ``lasts_us`` later, or, if that is 0, when somebody says so; tasks that are
    still there when it begins have ``grace_us``. Offers of the agent say meanwhile when it closes.
    """

    agent: str
    after_us: int = 0
    lasts_us: int = 0
    grace_us: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class EndMaintenance:
    """Offer an agent again that was under maintenance; or call off what was planned."""

    agent: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Make no offers until ``Resume``; tasks run on."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Make offers again."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A turn of the shell's loop: run the offer cycle, and whatever time has made due."""


FrameworkCall = (Unregister | Accept | AcceptAll | LaunchNext | Decline | Suppress | Revive | KillTask | Reconcile | Acknowledge
    | AcceptInverse | DeclineInverse)  # fmt: skip


@dataclass(frozen=True, slots=True)
class By:
    """A call that one of several schedulers makes for its framework: it counts only if that one is active."""

    scheduler: str
    call: FrameworkCall

    @property
    def framework(self) -> str:
        """Whose call it is."""
        return self.call.framework


OperatorCall = (SetWeight | SetGuarantee | SetLimit | SetPriority | Reserve | Unreserve | SetAllocator | Drain | Undrain | Revoke
    | PlanMaintenance | EndMaintenance | Pause | Resume)  # fmt: skip
Call = (AgentJoined | AgentLost | AgentUnreachable | AgentBack | TaskUpdate
    | Subscribe | Disconnect | FrameworkCall | By | OperatorCall | Tick)  # fmt: skip


def answers(call: Call) -> Iterator[Accept | Decline]:
    """Yield the answers to offers that a call holds: itself, the parts of a gang, what one of several schedulers says."""
    if isinstance(call, By):
        yield from answers(call.call)
    elif isinstance(call, AcceptAll):
        yield from call.parts
    elif isinstance(call, Accept | Decline):
        yield call
