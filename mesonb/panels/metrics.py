"""Metrics: what the sessions of this process come to, in Prometheus's format, under Apache Mesos's names.

Rule: Mesos's ``master/tasks_running`` is ``mesos_master_tasks_running`` here, in Mesos's units (mem and disk in MB); a
count that only grows ends in ``_total``, as Prometheus asks. What Mesos puts into a name's path (a framework, a role) is
a label, and so is the session. What Mesos has no name for begins with ``mesonb_``. Every scrape reads the books afresh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mesonb.core.resources import IN_BYTES, Resources
from mesonb.core.snapshot import Snapshot, take
from mesonb.errors import BadValue
from mesonb.session import Session

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LIVE = ("staging", "running", "unreachable")
_ENDED = ("finished", "failed", "killed", "lost")
_ANSWERS = {"sent": "offers_made", "accepted": "accepted", "declined": "declined", "rescinded": "rescinded"}


class Sample(NamedTuple):
    """One figure of one session; of what ``grows``, Prometheus's library ends the name in ``_total``."""

    name: str
    says: str
    labels: dict[str, str]
    value: float
    grows: bool = False


class Sessions(Collector):
    """Collects from every session of this process that somebody still holds."""

    def collect(self) -> Iterator[Metric]:
        """Yield one family a name, with a sample a session, framework or role."""
        families: dict[str, Metric] = {}
        for session in [session for session in list(Session.known.values()) if session.past_of is None]:
            for sample in samples(session):
                labels = {"session": session.id, **sample.labels}
                if sample.name not in families:
                    kind = CounterMetricFamily if sample.grows else GaugeMetricFamily
                    families[sample.name] = kind(sample.name, sample.says, labels=list(labels))
                families[sample.name].add_metric(list(labels.values()), sample.value)  # type: ignore[attr-defined]  # both kinds have it
        yield from families.values()


def exposition() -> bytes:
    """Return everything, as a scrape gets it."""
    return generate_latest(_registry())


def serve_metrics(port: int = 0, address: str = "127.0.0.1") -> int:
    """Serve ``/metrics`` on a port of its own (0: any that is free), and return the port; it lasts as long as the process.

    There is no password: whoever reaches the address can read names and figures, and change nothing.
    """
    if not 0 <= port <= 65_535:
        raise BadValue(f"{port} is no port; give a number from 1 to 65535, or 0 for any that is free")
    try:
        server, _thread = start_http_server(port, address, _registry())
    except OSError as error:
        raise BadValue(f"metrics cannot be served on {address}:{port}: {error.strerror or error}") from error
    return int(server.server_port)


def samples(session: Session) -> Iterator[Sample]:
    """Read one session's books, in one moment."""
    with session.reading():
        picture = take(session.core, agents_shown=0)
        live = Counter(task.state.value for task in session.core.tasks.values())
        away = len(session.core.unreachable)
        bygone = Counter(session.core.bygone)
        filters = {row.framework: len(session.core.frameworks[row.framework].filters) for row in picture.frameworks}
    yield from _master(picture, live, away)
    yield from _ends(picture, bygone)
    yield from _amounts(picture)
    yield from _frameworks(picture)
    yield from _roles(session, picture, filters)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Sessions())
    return registry


def _master(picture: Snapshot, live: Counter[str], away: int) -> Iterator[Sample]:
    says = "Seconds on the session's clock; virtual in a simulation"
    yield Sample("mesos_master_uptime_secs", says, {}, picture.now_us / 1e6)
    yield Sample("mesos_master_elected", "Whether this master leads", {}, 1)
    yield Sample("mesos_master_slaves_active", "Agents that answer", {}, picture.agent_count - away)
    yield Sample("mesos_master_slaves_inactive", "Agents that do not answer", {}, away)
    gone = sum(row.leaving for row in picture.frameworks)
    yield Sample("mesos_master_frameworks_active", "Registered frameworks", {}, len(picture.frameworks) - gone)
    yield Sample("mesos_master_frameworks_inactive", "Frameworks that left and still hold tasks", {}, gone)
    yield Sample("mesos_master_outstanding_offers", "Offers that were not answered yet", {}, picture.offer_count)
    for state in _LIVE:
        yield Sample(f"mesos_master_tasks_{state}", f"Tasks that are {state}", {}, live[state])
    yield Sample("mesonb_master_paused", "Whether no offers are made", {}, picture.paused)
    yield Sample("mesonb_master_calls", "Calls that the master has taken", {}, picture.steps, grows=True)


def _ends(picture: Snapshot, bygone: Counter[str]) -> Iterator[Sample]:
    """Count what ended, and what was answered, with that of frameworks which have left."""
    ever = sum((Counter(row.counts) for row in picture.frameworks), bygone)
    for state in _ENDED:
        yield Sample(f"mesos_master_tasks_{state}", f"Tasks that have ended {state}", {}, ever[state], grows=True)
    for answer, count in _ANSWERS.items():
        yield Sample(f"mesonb_master_offers_{answer}", f"Offers {answer}", {}, ever[count], grows=True)


def _amounts(picture: Snapshot) -> Iterator[Sample]:
    held = {name: n - picture.free.amounts.get(name, 0) for name, n in picture.total.amounts.items()}
    for name, total, used in _each(picture.total, Resources.of(held)):
        yield Sample(f"mesos_master_{name}_total", f"{name} of all agents", {}, total)
        yield Sample(f"mesos_master_{name}_used", f"{name} in offers and tasks", {}, used)
        yield Sample(
            f"mesos_master_{name}_percent", f"The part of all {name} in offers and tasks, 0 to 1", {}, used / total
        )


def _each(total: Resources, used: Resources) -> Iterator[tuple[str, float, float]]:
    for name, n in total.amounts.items():
        unit = 1e6 if name in IN_BYTES else 1e3
        yield "".join(c if c.isalnum() else "_" for c in name), n / unit, used.amounts.get(name, 0) / unit


def _frameworks(picture: Snapshot) -> Iterator[Sample]:
    stem = "mesos_master_frameworks"
    for row in picture.frameworks:
        labels = {"framework": row.framework, "role": row.role}
        yield Sample(f"{stem}_subscribed", "Whether it is registered", labels, not row.leaving)
        yield Sample(f"{stem}_roles_suppressed", "Whether it wants no offers", labels, row.suppressed)
        for answer, count in _ANSWERS.items():
            yield Sample(
                f"{stem}_offers_{answer}", f"Its offers {answer}", labels, row.counts.get(count, 0), grows=True
            )
        for state in _ENDED:
            says = f"Its tasks that have ended {state}"
            yield Sample(f"{stem}_tasks_terminal_{state}", says, labels, row.counts.get(state, 0), grows=True)
        yield Sample(
            "mesonb_framework_dominant_share", "Dominant share of its offers and tasks, 0 to 1", labels, row.share
        )


def _roles(session: Session, picture: Snapshot, filters: dict[str, int]) -> Iterator[Sample]:
    stem = "mesos_allocator_mesos"
    for role in picture.roles:
        labels = {"role": role.role}
        active = sum(filters.get(framework, 0) for framework in role.frameworks)
        yield Sample(f"{stem}_roles_shares_dominant", "Dominant share before weighting, 0 to 1", labels, role.share)
        yield Sample(f"{stem}_offer_filters_roles_active", "Filters in force", labels, active)
        yield Sample("mesonb_role_weight", "The role's weight", labels, role.weight_milli / 1000)
    bounds: Iterable[tuple[str, Any]] = (("guarantee", session.guarantees), ("limit", session.limits))
    for bound, said in bounds:
        for role, amount in said.items():
            for name, n, _ in _each(amount, amount):
                labels = {"role": role, "resource": name}
                yield Sample(f"{stem}_quota_roles_resources_{bound}", f"The role's {bound}", labels, n)
