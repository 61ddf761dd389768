"""Faults: what may go wrong in a storm, as one record of probabilities; and the dice that decide when it does.

Rule: every chance is drawn from one seeded dice and counted by name, so the same seed is the same storm and a run can
say what it went through. A probability of 0 is never. What each fault does is in ``rough.py`` (links), ``weather.py``
(agents, masters, clocks) and ``stormy.py`` (frameworks).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from random import Random

from mesonb.errors import BadValue

#: How likely a swarm is to leave out any one fault.
SWARM_LEAVES_OUT = 0.5


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each thing is to go wrong, and for what the dice is thrown."""

    # for each agent, every second
    agent_crash: float = 0.002  #: dies with all it runs; noticed at once or after a while; returns after a while
    agent_silent: float = 0.002  #: neither hears nor is heard for a while; given up by the master if it is long
    agent_slow: float = 0.002  #: its tasks last three times as long, for a while
    # for the cluster, every second
    many_agents: float = 0.003  #: up to all agents crash at once, or as many new ones join, or, seldom, ten thousand
    clock_jump: float = 0.003  #: the machine slept: the master's clock is suddenly much later
    master_failover: float = 0.005  #: a new master knows only what agents and frameworks tell it
    new_weight: float = 0.01  #: an operator gives a role another weight
    pause: float = 0.005  #: an operator stops the cycles for a while
    revocation: float = 0.01  #: a role is given a guarantee for a while, which may need resources back
    new_limit: float = 0.005  #: a role may have no more than so much for a while
    drain: float = 0.005  #: an agent is emptied, and used again later
    maintenance: float = 0.005  #: an agent will be down for a while; frameworks on it are asked to leave
    new_allocator: float = 0.003  #: another allocation module decides from now on
    # for each framework, every second
    scheduler_failover: float = 0.002  #: its scheduler is dead for a while, then a standby registers under its name
    cell_rerun: float = 0.002  #: its cell is run again: new code under the same name, at once
    leaves: float = 0.0005  #: it unregisters, with tasks and offers, and registers again later
    # for each message
    lost: float = 0.01  #: not delivered; what must arrive is sent again after a second
    late: float = 0.01  #: held up for a while, with what is behind it on that link
    twice: float = 0.01  #: delivered again a while later
    revoked_staging: float = 0.01  #: an operator takes a task back while its launch is on its way
    # for each callback
    raises: float = 0.01
    sleeps: float = 0.01  #: takes seconds, and answers only then
    hoards: float = 0.01  #: holds its offers for longer than the master waits
    over_asks: float = 0.01  #: launches more than the offer holds, behind the back of its driver
    answers_late: float = 0.01  #: answers an offer that it was told is gone
    fails: float = 0.02  #: launches a task whose function raises
    kills: float = 0.01  #: kills one of its own tasks, staging or running
    ahead: float = 0.3  #: launches a task ahead of the end of another
    declines: float = 0.05  #: gives back what it could use, for as long as it likes

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise BadValue(
                    f"{field.name}={getattr(self, field.name)!r} is not a probability; write a number from 0 to 1"
                )

    @classmethod
    def none(cls) -> Faults:
        """Nothing goes wrong."""
        return cls(**dict.fromkeys((field.name for field in fields(cls)), 0.0))

    @classmethod
    def only(cls, fault: str, likely: float) -> Faults:
        """One thing goes wrong, and nothing else."""
        return replace(cls.none(), **{fault: likely})

    def swarm(self, dice: Random) -> Faults:
        """Leave out some faults, so that each run storms in its own way and no fault hides behind another."""
        return replace(self, **{field.name: 0.0 for field in fields(self) if dice.random() < SWARM_LEAVES_OUT})


class Chance:
    """The dice of a storm: asks the record how likely something is, and counts what happened."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self.dice = Random(f"{seed}/faults")
        self.counts: Counter[str] = Counter()

    def strikes(self, fault: str) -> bool:
        """Whether this fault happens now."""
        likely: float = getattr(self.faults, fault)
        if not likely or self.dice.random() >= likely:
            return False
        self.counts[fault] += 1
        return True

    def struck(self, fault: str, among: list[str]) -> list[str]:
        """Which of several it happens to now; one throw for all of them."""
        expected = getattr(self.faults, fault) * len(among)
        number = min(int(expected + self.dice.random()), len(among))
        if number:
            self.counts[fault] += number
        return self.dice.sample(among, number)

    def while_us(self, longest_s: float) -> int:
        """A time of up to so many seconds; short ones are more likely."""
        return int(longest_s * self.dice.random() ** 2 * 1_000_000) + 1
