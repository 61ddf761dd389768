"""The cell: what is free on every machine, in plain integers, and randomised first fit over it.

All architectures place alike (Omega, EuroSys'13, Section 4: "a simple placement algorithm"): draw machines at random,
and put a task on the first that has room. A machine that fitted stays in the draw; so each task lands on any machine
that has room with equal chance, and it does not matter how such a machine is found. ``first_fit`` draws blindly while
that is cheap and lists the machines with room when it is not; it never copies the cell.

Three things can be drawn from, and have the same verbs: the ``Cell``; a ``Copy`` of it as it was at some moment, made
only where the cell has changed since (Omega's private state); a ``Pool`` of resources that were set apart (an offer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Protocol

#: Machines to be listed that are worth one more blind draw.
_MACHINES_PER_DRAW = 16


class Room(Protocol):
    """Anywhere that tasks can be placed."""

    def fits(self, machine: int, cpus: int, mem: int) -> bool: ...
    def take(self, machine: int, cpus: int, mem: int) -> None: ...
    def size(self) -> int: ...
    def drawn_from(self) -> int: ...
    def fitting(self, cpus: int, mem: int) -> list[int]: ...


def first_fit(room: Room, count: int, cpus: int, mem: int, dice: Random) -> list[int]:
    """Take room for up to ``count`` equal tasks; return the machine of each, fewer when the room runs out."""
    machines, chosen, misses = room.drawn_from(), list[int](), 0
    patience, fits, take, random = room.size() // _MACHINES_PER_DRAW + 8, room.fits, room.take, dice.random
    while len(chosen) < count:
        machine = int(random() * machines)
        if fits(machine, cpus, mem):
            take(machine, cpus, mem)
            chosen.append(machine)
        elif (misses := misses + 1) > patience:
            return chosen + _from_list(room, count - len(chosen), cpus, mem, dice)
    return chosen


def _from_list(room: Room, count: int, cpus: int, mem: int, dice: Random) -> list[int]:
    left, chosen = room.fitting(cpus, mem), list[int]()
    while left and len(chosen) < count:
        at = int(dice.random() * len(left))
        machine = left[at]
        room.take(machine, cpus, mem)
        chosen.append(machine)
        if not room.fits(machine, cpus, mem):
            left[at] = left[-1]
            left.pop()
    return chosen


class Cell:
    """Every machine's free cpus (thousandths) and memory (bytes)."""

    __slots__ = ("cpus", "free_cpus", "free_mem", "journal", "machines", "mem", "total_cpus", "total_mem")

    def __init__(self, machines: Iterable[tuple[int, int]]) -> None:
        self.machines = list(machines)
        self.free_cpus = [cpus for cpus, _ in self.machines]
        self.free_mem = [mem for _, mem in self.machines]
        self.total_cpus, self.total_mem = sum(self.free_cpus), sum(self.free_mem)
        self.journal: Journal | None = None  #: kept only when somebody works on private copies

    def fits(self, machine: int, cpus: int, mem: int) -> bool:
        """Whether one task has room on a machine."""
        return self.free_cpus[machine] >= cpus and self.free_mem[machine] >= mem

    def take(self, machine: int, cpus: int, mem: int) -> None:
        """Claim resources of a machine; the machine's state changes under everybody's feet."""
        if self.journal is not None:
            self.journal.note(machine, self.free_cpus[machine], self.free_mem[machine], True)
        self.free_cpus[machine] -= cpus
        self.free_mem[machine] -= mem
        assert self.free_cpus[machine] >= 0 and self.free_mem[machine] >= 0, f"machine {machine} is overcommitted"

    def give(self, machine: int, cpus: int, mem: int) -> None:
        """Release what was claimed."""
        if self.journal is not None:
            self.journal.note(machine, self.free_cpus[machine], self.free_mem[machine], False)
        self.free_cpus[machine] += cpus
        self.free_mem[machine] += mem
        assert self.free_cpus[machine] <= self.machines[machine][0], f"machine {machine} has more free than it has"

    def size(self) -> int:
        """How many machines would have to be looked at to see them all."""
        return len(self.machines)

    def drawn_from(self) -> int:
        """Machines are drawn from 0 up to this number."""
        return len(self.machines)

    def fitting(self, cpus: int, mem: int) -> list[int]:
        """All machines with room for one task, in order."""
        if max(self.free_cpus) < cpus:  # a full cell is asked most often, and says so fastest
            return []
        room = zip(self.free_cpus, self.free_mem, strict=True)
        return [machine for machine, (c, m) in enumerate(room) if c >= cpus and m >= mem]


class Journal:
    """What each change to the cell overwrote, so that the cell's past can be looked at without a copy of it."""

    __slots__ = ("_first", "_notes", "_readers")

    def __init__(self) -> None:
        self._first = 0  #: the position of the oldest note kept
        self._notes: list[tuple[int, int, int, bool]] = []
        self._readers: dict[str, int] = {}

    def note(self, machine: int, cpus: int, mem: int, claimed: bool) -> None:
        """Keep what a machine had free before a change, and whether the change was a claim."""
        self._notes.append((machine, cpus, mem, claimed))

    def open(self, reader: str) -> None:
        """From here on this reader will want to look back."""
        self._readers[reader] = self._first + len(self._notes)

    def since(self, reader: str) -> Iterator[tuple[int, int, int, bool]]:
        """All notes since the reader opened, oldest first; forgets what no reader needs any more."""
        kept = self._notes[self._readers.pop(reader) - self._first :]
        self._forget()
        return iter(kept)

    def _forget(self) -> None:
        end = self._first + len(self._notes)
        oldest = min(self._readers.values(), default=end)
        if oldest - self._first > len(self._notes) // 2:
            del self._notes[: oldest - self._first]
            self._first = oldest


class Copy:
    """The cell as it was when a reader opened the journal, to be changed in private."""

    __slots__ = ("_cell", "_cpus", "_mem", "claimed")

    def __init__(self, cell: Cell, reader: str) -> None:
        assert cell.journal is not None, "private copies are read from the cell's journal"
        self._cell = cell
        self._cpus: dict[int, int] = {}
        self._mem: dict[int, int] = {}
        self.claimed: set[int] = set()  #: machines on which somebody else has claimed since (membership only)
        for machine, cpus, mem, claimed in cell.journal.since(reader):
            self._cpus.setdefault(machine, cpus)
            self._mem.setdefault(machine, mem)
            if claimed:
                self.claimed.add(machine)

    def fits(self, machine: int, cpus: int, mem: int) -> bool:
        """Whether one task had room on a machine, then and after what was taken here."""
        have = self._cpus.get(machine)
        if have is None:
            return self._cell.free_cpus[machine] >= cpus and self._cell.free_mem[machine] >= mem
        return have >= cpus and self._mem[machine] >= mem

    def take(self, machine: int, cpus: int, mem: int) -> None:
        """Claim in private."""
        self._cpus[machine] = self._cpus.get(machine, self._cell.free_cpus[machine]) - cpus
        self._mem[machine] = self._mem.get(machine, self._cell.free_mem[machine]) - mem

    def size(self) -> int:
        """How many machines would have to be looked at to see them all."""
        return len(self._cell.machines)

    def drawn_from(self) -> int:
        """Machines are drawn from 0 up to this number."""
        return len(self._cell.machines)

    def fitting(self, cpus: int, mem: int) -> list[int]:
        """All machines that had room for one task, in order."""
        return [machine for machine in range(len(self._cell.machines)) if self.fits(machine, cpus, mem)]


class Pool:
    """Resources set apart from the cell, machine by machine: what is free, or what is in one offer."""

    __slots__ = ("_free", "_machines", "cpus", "mem")

    def __init__(self, machines: int) -> None:
        self._machines = machines
        self._free: dict[int, list[int]] = {}  # machine: [cpus, mem]
        self.cpus = 0  #: in all, thousandths
        self.mem = 0  #: in all, bytes

    @classmethod
    def of(cls, cell: Cell) -> Pool:
        """Everything that is free in a cell."""
        pool = cls(len(cell.machines))
        for machine, (cpus, mem) in enumerate(zip(cell.free_cpus, cell.free_mem, strict=True)):
            if cpus or mem:
                pool.give(machine, cpus, mem)
        return pool

    def fits(self, machine: int, cpus: int, mem: int) -> bool:
        """Whether one task has room on a machine's part of this."""
        have = self._free.get(machine)
        return have is not None and have[0] >= cpus and have[1] >= mem

    def take(self, machine: int, cpus: int, mem: int) -> None:
        """Use some of it."""
        have = self._free[machine]
        have[0] -= cpus
        have[1] -= mem
        assert have[0] >= 0 and have[1] >= 0, f"machine {machine} is overcommitted"
        self.cpus -= cpus
        self.mem -= mem

    def give(self, machine: int, cpus: int, mem: int) -> None:
        """Put something in."""
        have = self._free.setdefault(machine, [0, 0])
        have[0] += cpus
        have[1] += mem
        self.cpus += cpus
        self.mem += mem

    def all(self) -> Pool:
        """Everything in here as a pool of its own; this one is empty afterwards. Nothing is copied."""
        taken = Pool(self._machines)
        taken._free, taken.cpus, taken.mem = self._free, self.cpus, self.mem
        self._free, self.cpus, self.mem = {}, 0, 0
        return taken

    def merge(self, other: Pool) -> None:
        """Put another pool back; the smaller is poured into the larger."""
        if len(other._free) > len(self._free):
            self._free, other._free = other._free, self._free
            self.cpus, self.mem, other.cpus, other.mem = other.cpus, other.mem, self.cpus, self.mem
        for machine, (cpus, mem) in other._free.items():
            self.give(machine, cpus, mem)
        other._free = {}

    def size(self) -> int:
        """How many machines would have to be looked at to see them all."""
        return len(self._free)

    def drawn_from(self) -> int:
        """Machines are drawn from 0 up to this number."""
        return self._machines

    def fitting(self, cpus: int, mem: int) -> list[int]:
        """All machines with room for one task, as they came in."""
        return [machine for machine, have in self._free.items() if have[0] >= cpus and have[1] >= mem]
