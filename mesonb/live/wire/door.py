"""Door: whom the hub lets in, under which name, and why not.

An introduction is whatever somebody sent: it is looked at part by part before anything is done with it. A name, a worker's
address and the lead belong to whoever has them, for as long as that one is there; ``key`` tells its process from any other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mesonb.live.wire.comms import KERNEL, LEADER, PROTOCOL

if TYPE_CHECKING:
    from mesonb.live.wire.hub import Hub
    from mesonb.live.wire.line import Line

#: What a peer may be, and what its introduction names.
KINDS = {
    "agent": ("name",),
    "leader": ("name", "id", "who"),
    "standby": ("name", "id", "who"),
    "kernel": ("name",),
}  # fmt: skip
#: The longest text in an introduction, and how many peers there may be.
TEXT_MOST = 200
PEERS_MOST = 10_000
#: An agent that has not answered so many pings is silent.
MISSED_MOST = 5
#: A leader silent for so long may be replaced; a kernel's busiest cell holds its loop back for a second or two.
SILENT_S = 6.0
#: Whoever flooded the hub or the master is not let in again for so long.
OUT_S = 10.0

Refusal = dict[str, str]


class Door:
    """The door of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._out: dict[str, float] = {}  #: until when, by key

    def refusal(self, said: Any) -> Refusal | None:
        """Say why somebody is not let in; nothing if it is."""
        if not isinstance(said, dict):
            return _refused("ClusterError", "an introduction is a mapping")
        if said.get("protocol") != PROTOCOL:
            return _refused(
                "VersionMismatch",
                f"{said.get('name')!r:.99} speaks protocol {said.get('protocol')!r:.99}, this cluster {PROTOCOL}: "
                "install the same mesonb everywhere, and start the cluster again",
            )
        if because := self._against_form(said) or self._against_crowd(said):
            return _refused("ClusterError", because)
        if said["kind"] == "leader" and (because := self._against_lead(said)):
            return _refused("MasterExists", because)
        if because := self._against_name(said):
            return _refused("ClusterError", because)
        return None

    def keep_out(self, line: Line) -> None:
        """Let the process of a peer not in again for a while."""
        now_s = time.monotonic()
        self._out = {key: until_s for key, until_s in self._out.items() if until_s > now_s}
        if key := line.about.get("key"):
            self._out[key] = now_s + OUT_S

    def silent(self, line: Line) -> bool:
        """Whether a leader is not there any more, as far as can be told."""
        return bool(line.comm.closed()) or line.missed * self._hub.ping_s >= SILENT_S

    def _against_form(self, said: dict[str, Any]) -> str:
        kind = said.get("kind")
        wanted = KINDS.get(kind, ("name",)) if isinstance(kind, str) else ("name",)
        if kind not in KINDS or not all(isinstance(said.get(part), str) for part in wanted):
            return f"an introduction names its kind ({' or '.join(KINDS)}) and {', '.join(wanted)}"
        for part in ("name", "id", "who", "key", "address"):
            text = said.get(part, "")
            if not isinstance(text, str) or len(text) > TEXT_MOST or not text.isprintable():
                return f"the {part} in an introduction is a text of at most {TEXT_MOST} printable characters, not {text!r:.300}"
        if not _counts(said.get("term", 0)):
            return f"a term is a number that an election gave, not {said['term']!r:.99}"
        if not _counts(said.get("outlives_us", 0)):
            return f"how long executors wait for a worker is a number of microseconds, not {said['outlives_us']!r:.99}"
        return ""

    def _against_crowd(self, said: dict[str, Any]) -> str:
        if len(self._hub.lines) >= PEERS_MOST:
            return f"this hub has {PEERS_MOST:,} peers, and takes no more"
        wait_s = self._out.get(said.get("key", ""), 0.0) - time.monotonic()
        return f"it was cut off for what it sent; it may come back in {wait_s:.0f} s" if wait_s > 0 else ""

    def _against_lead(self, said: dict[str, Any]) -> str:
        """Say who leads, if this one may not take the lead: somebody does who is there, or was elected for a newer term."""
        term, leader, elected = said.get("term", 0), self._hub.leader, self._hub.elected
        if leader and all(leader.about.get(part) == said.get(part) for part in ("id", "key")):
            return ""
        here = leader is not None and not self.silent(leader)
        if term and (
            not here or (leader and leader.about.get("term"))
        ):  # nobody elected outranks whom the hub let lead
            admitted = term > elected[0] or (term, said["id"]) == elected
            return "" if admitted else f"a master that was elected for term {elected[0]}"
        return str(leader.about["who"]) if leader and here else ""

    def _against_name(self, said: dict[str, Any]) -> str:
        """Say why a peer cannot have its name: it is another kind's, or somebody has it who is there."""
        name, kind = said["name"], said["kind"]
        if not name or name.startswith(LEADER[0]):
            return f"{name!r} cannot be a name: it is empty, or begins with {LEADER[0]}"
        if name.startswith(KERNEL) != (kind == "kernel"):
            return f"{name!r} cannot be the name of a peer of the kind {kind}: kernels' names begin with {KERNEL}, no other's"
        if self._holds(name, said):
            return f"{name!r} is the name of a peer that is here; start the worker with another --name"
        there = self._hub.agent_at(said.get("address", "")) if kind == "agent" else ""
        if there not in ("", name) and self._holds(there, said):
            return f"the Dask worker at {said['address']} is the agent {there!r}, and that is here"
        return ""

    def _holds(self, name: str, said: dict[str, Any]) -> bool:
        """Whether somebody else is here under a name."""
        held = self._hub.lines.get(name)
        if held is None or held.about.get("key") == said.get("key"):
            return False
        return held.missed < MISSED_MOST and not self.silent(held)


def _counts(said: Any) -> bool:
    return type(said) is int and 0 <= said < 2**62


def _refused(error: str, because: str) -> Refusal:
    return {"refused": error, "because": because}
