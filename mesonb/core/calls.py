"""What anyone may tell the master. A call is plain data: it can be logged, sent and replayed.

Who says what: agents (or the shell for them) join, are lost and report tasks; frameworks subscribe, accept, decline;
an operator sets weights and pauses; the shell's clock ticks. All times are integer microseconds (``_us``), weights
integer thousandths (``_milli``). A call that makes no sense is answered with ``events.Rejected`` and changes nothing.
"""

from dataclasses import dataclass

from mesonb.core.records import TaskState
from mesonb.core.resources import Resources

#: Apache Mesos's default refusal: 5 s. Zero means no filter.
REFUSE_US = 5_000_000


# -- agents -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentJoined:
    """An agent offers its machine. Its name outlives its address: the same name again replaces a lost one."""

    agent: str
    total: Resources
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AgentLost:
    """An agent is gone for good; its tasks are lost."""

    agent: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """An agent reports the state of a task. Sent at least once; repeats and steps backwards change nothing."""

    agent: str
    task: str
    state: TaskState
    because: str = ""


# -- frameworks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A framework registers under a role. The same name again is failover: its tasks stay, its offers are rescinded."""

    framework: str
    role: str = "*"


@dataclass(frozen=True, slots=True)
class Unregister:
    """A framework leaves; its tasks are killed."""

    framework: str


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task that a framework wants launched: its id, unused until now, and what it needs."""

    task: str
    needs: Resources


@dataclass(frozen=True, slots=True)
class Accept:
    """Launch tasks on offers of one agent. What is left goes back with a filter of ``refuse_us``."""

    framework: str
    offers: tuple[str, ...]
    launches: tuple[TaskInfo, ...] = ()
    refuse_us: int = REFUSE_US


@dataclass(frozen=True, slots=True)
class Decline:
    """Give offers back; as much or less on the same agents is not offered again for ``refuse_us``."""

    framework: str
    offers: tuple[str, ...]
    refuse_us: int = REFUSE_US


@dataclass(frozen=True, slots=True)
class Suppress:
    """Send this framework no offers until it revives."""

    framework: str


@dataclass(frozen=True, slots=True)
class Revive:
    """Send offers again, and forget this framework's filters."""

    framework: str


@dataclass(frozen=True, slots=True)
class KillTask:
    """Ask for one of the framework's tasks to be killed."""

    framework: str
    task: str


# -- operators and the clock --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give a role a weight: 2000 is entitled to twice the share of 1000. Outstanding offers are rescinded."""

    role: str
    weight_milli: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Make no offers until ``Resume``; tasks run on."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Make offers again."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A turn of the shell's loop: run the offer cycle, and whatever time has made due."""


Call = (
    AgentJoined | AgentLost | TaskUpdate
    | Subscribe | Unregister | Accept | Decline | Suppress | Revive | KillTask
    | SetWeight | Pause | Resume | Tick
)  # fmt: skip
