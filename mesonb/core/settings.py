"""What a master is made with, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass

from mesonb.core.resources import Resources


class Wrong(Exception):
    """A call that makes no sense. Raised before anything was changed; ``step`` answers ``Rejected``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a master is made with; part of every recording."""

    seed: int = 0
    offer_timeout_us: int = 30_000_000  #: an unanswered offer is rescinded after this; 0: never, as in Apache Mesos
    offer_size: Resources | None = None  #: the most that one offer holds; None is all that is free
    epoch: int = 1  #: which leader of this cluster this is; part of every offer's id
    #: Apache Mesos's own pacing: all agents are allocated at once, every so often. 0: whenever something changed.
    allocation_interval_us: int = 0
    allocate_on_recovery: bool = True  #: with an interval: also when something came back. Apache Mesos: False
    grace_us: int | None = None  #: guarantees are met by revocation, after this time; None: never
    agent_order: str = "changed"  #: "changed": as they changed; "joined": as they joined; "shuffled": by the dice
    min_allocatable: tuple[Resources, ...] = ()  #: an offer holds at least one of these
    not_shared: tuple[str, ...] = ()  #: resources that count for nobody's share
    gpus_on_request: bool = False  #: agents with gpus are offered only to frameworks that say they can use "gpus"
    #: an agent that is unreachable for so long is lost; Apache Mesos: 75 s to notice
    agent_timeout_us: int = 75_000_000
    update_retry_us: int = 0  #: how a task ended is said so often until its framework acknowledges it; 0: once
    #: A master after the first waits so long for agents before it says of a task that nobody has named that it is lost.
    recovery_us: int = 10_000_000
    failover_timeout_us: int = 600_000_000  #: a framework that is disconnected for so long is unregistered
    #: "pessimistic": what is offered to one is offered to nobody else. "optimistic": to all, and settled at accept (Omega).
    concurrency: str = "pessimistic"
    #: optimistic: tasks that no longer "fit" are lost; or all, if the agent's "sequence" moved on
    conflict: str = "fit"
    settle: str = "incremental"  #: optimistic: launch what can be; or "all" of an accept, or nothing
