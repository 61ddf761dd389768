"""Isolation modules on real processes with real limits; where this machine lacks something, its reason is the skip's."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.live.limits import cgroups
from mesonb.live.limits.isolation import Isolation, choose
from mesonb.live.limits.processes import Weight, threads, weigh
from tests.helpers import wait_for
from tests.live.children import Told

SMALL = Resources(cpus=1, mem="100MB")


@pytest.fixture
def child():
    told = []

    def start() -> Told:
        told.append(Told())
        return told[-1]

    yield start
    for one in told:
        one.end()


@pytest.fixture
def isolation(child):
    """Choose modules, skip with the reason if one cannot be applied here, and leave nothing behind."""
    chosen: list[Isolation] = []

    def take(*names: str) -> Isolation:
        made = choose(names)
        chosen.append(made)
        if missing := [f"{module.name}: {module.says}" for module in made.report if not module.applied]:
            pytest.skip("; ".join(missing))
        return made

    yield take
    for made in chosen:
        made.close()


# -- memory -----------------------------------------------------------------------------------------------------------


def test_rss_tells_who_is_over_its_memory_and_nobody_else(isolation, child) -> None:
    rss, greedy, modest = isolation("rss"), child(), child()
    for one in (greedy, modest):
        rss.apply(one.pid, SMALL)
    greedy.ask("hold(150)")
    modest.ask("hold(50)")
    assert rss.check(greedy.pid).startswith("over its memory: 15")
    assert rss.check(greedy.pid).endswith(" MB of 100 MB")
    assert rss.check(modest.pid) == ""


def test_what_a_child_weighed_before_is_not_charged(isolation, child) -> None:
    rss, heavy = isolation("rss"), child()
    heavy.ask("hold(150)")
    rss.apply(heavy.pid, SMALL)
    assert rss.check(heavy.pid) == ""
    heavy.ask("hold(150)")
    assert rss.check(heavy.pid)


@pytest.mark.parametrize("name", ["rss", "rlimit", "cgroup/mem"])
def test_what_an_earlier_task_left_is_not_charged_to_the_next(isolation, child, name) -> None:
    modules, warm = isolation(name), child()
    modules.welcome(warm.pid)
    modules.apply(warm.pid, Resources(mem="300MB"))
    assert warm.ask("hold(200)") == "None"
    modules.rest(warm.pid)
    modules.apply(warm.pid, SMALL, weigh(warm.pid))
    assert warm.ask("hold(50)") == "None"
    assert modules.check(warm.pid) == ""
    assert all(module.applied for module in modules.report)
    answer = warm.ask("hold(150)")
    assert modules.check(warm.pid, answer if answer not in {"", "None"} else "").startswith("over its memory")


def test_rlimit_fails_the_task_and_keeps_the_child(isolation, child) -> None:
    rlimit, one = isolation("rlimit"), child()
    rlimit.apply(one.pid, SMALL)
    answer = one.ask("hold(150)")
    assert answer.startswith("MemoryError")
    assert rlimit.check(one.pid, answer).startswith("over its memory: it asked for more than its 100 MB")
    assert rlimit.check(one.pid, "ValueError: MemoryError is not what this is") == ""
    rlimit.apply(one.pid, Resources(mem="400MB"))
    assert one.ask("hold(150)") == "None"
    rlimit.apply(one.pid, Resources(cpus=1))
    assert one.ask("hold(400)") == "None"


def test_a_cgroup_ends_the_task_over_its_memory_and_no_other(isolation, child) -> None:
    group, greedy, modest = isolation("cgroup/mem"), child(), child()
    for one in (greedy, modest):
        group.apply(one.pid, SMALL)
    assert modest.ask("hold(50)") == "None"
    assert greedy.ask("hold(150)") == ""
    assert greedy.ended() == -9
    assert group.check(greedy.pid).startswith("over its memory: 100 MB of 100 MB")
    assert group.check(modest.pid) == ""
    assert modest.ask("1 + 1") == "2"


def test_a_cgroup_takes_what_hid_in_a_session_of_its_own(isolation, child) -> None:
    group, one = isolation("cgroup/mem"), child()
    group.apply(one.pid, SMALL)
    hidden = psutil.Process(int(one.ask("hide()")))
    one.end()
    assert hidden.is_running()
    group.release(one.pid)
    wait_for(lambda: not _runs(hidden), 5, "the hidden process is dead")


def test_what_a_task_started_before_it_was_limited_is_limited_too(isolation, child) -> None:
    group, one = isolation("cgroup/mem"), child()
    early = int(one.ask("hide()"))
    group.apply(one.pid, SMALL)
    own = _group_of(one.pid)
    assert "mesonb-" in own
    assert _group_of(early) == own


def test_no_group_is_left_behind(isolation, child) -> None:
    group, one = isolation("cgroup/mem"), child()
    group.apply(one.pid, SMALL)
    folder = group.isolators[0]._groups[one.pid].folder
    assert folder.exists()
    group.close()
    assert not folder.exists()


# -- cpu --------------------------------------------------------------------------------------------------------------


def test_affinity_gives_different_cores(isolation, child) -> None:
    affinity, first, second = isolation("affinity"), child(), child()
    first.ask("spin()")  # a thread that is there already is bound as well
    for one in (first, second):
        affinity.apply(one.pid, Resources(cpus=1))
    given = [os.sched_getaffinity(one.pid) for one in (first, second)]
    assert [len(cores) for cores in given] == [1, 1]
    if len(os.sched_getaffinity(0)) > 1:
        assert given[0] != given[1]
    assert len(threads(first.pid)) > 1
    assert all(os.sched_getaffinity(thread) == given[0] for thread in threads(first.pid))
    affinity.rest(first.pid)
    affinity.apply(first.pid, Resources())
    assert os.sched_getaffinity(first.pid) == os.sched_getaffinity(0)


@pytest.mark.parametrize("name", ["autogroup", "cgroup/cpu"])
def test_cpus_are_shared_by_weight(isolation, child, name) -> None:
    modules, large, small = isolation(name), child(), child()
    _onto_one_core(large, small)
    modules.apply(large.pid, Resources(cpus=1))
    modules.apply(small.pid, Resources(cpus=0.25))
    ratio = _cpu_of(large, small, lambda used: sum(used) > 1.5)
    assert 2.5 < ratio < 6.5, "1 : 0.25 is 4, and one step of nice is a quarter"


def test_a_cap_holds_even_if_the_core_is_idle(isolation, child) -> None:
    capped, limited, free = isolation("cgroup/cpu-hard"), child(), child()
    _onto_one_core(limited, free)
    capped.apply(limited.pid, Resources(cpus=0.1))
    before_s, began_s = limited.cpu_s, time.monotonic()
    _cpu_of(free, limited, lambda used: sum(used) > 1.0)
    part = (limited.cpu_s - before_s) / (time.monotonic() - began_s)
    assert part < 0.2, "a tenth of the time that has passed, whoever else is on the core; a half without the cap"


# -- what a task can see ------------------------------------------------------------------------------------------------


def test_a_command_in_namespaces_sees_only_itself(isolation) -> None:
    inside = isolation("namespaces").wrap(["sh", "-c", "echo $$; ls -d /proc/[0-9]*"])
    pid, *seen = subprocess.run(inside, capture_output=True, text=True, timeout=20, check=True).stdout.split()
    assert pid == "1"
    assert len(seen) <= 2
    assert choose(["process"]).wrap(["true"]) == ["true"]


# -- the report -------------------------------------------------------------------------------------------------------


def test_a_name_that_nobody_knows_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadValue, match=r"'cgruop'.*cgroup/mem"):
        choose(["process", "cgruop"])


def test_the_report_says_what_is_not_applied_and_why(isolation) -> None:
    isolation("cgroup/cpu")
    chosen = choose(["autogroup", "cgroup/cpu", "process"])
    applied = {module.name: module.applied for module in chosen.report}
    assert applied == {"autogroup": False, "cgroup/cpu": True, "process": True}
    assert [one.name for one in chosen.isolators] == ["cgroup/cpu", "process"]
    assert chosen.report[0].says


def test_what_linux_refuses_later_is_in_the_report(isolation, child) -> None:
    group, one = isolation("cgroup/mem"), child()
    if cgroups.places()["memory"].version == 2:
        pytest.skip("version 2 ends a task where version 1 refuses the limit")
    nothing = Weight(0, 0)
    group.apply(one.pid, SMALL, nothing)
    one.ask("hold(90)")
    group.apply(one.pid, Resources(mem="1MB"), nothing)  # less than it holds, and there is nowhere to put it
    assert one.ask("1 + 1") == "2"
    assert [module.says for module in group.report if not module.applied] == [
        "refused 1 times: Device or resource busy"
    ]


def test_a_child_that_died_meanwhile_is_nobodys_trouble(isolation, child) -> None:
    modules = choose(["process", "rss", "rlimit", "affinity", "autogroup", "cgroup/mem"])
    one = child()
    one.end()
    modules.apply(one.pid, SMALL)
    assert modules.check(one.pid) == ""
    modules.rest(one.pid)
    modules.release(one.pid)
    modules.close()
    assert [module for module in modules.report if "refused" in module.says] == []


# -- helpers ------------------------------------------------------------------------------------------------------------


def _onto_one_core(*children: Told) -> None:
    core = min(os.sched_getaffinity(0))
    for one in children:
        os.sched_setaffinity(one.pid, {core})
        one.ask("spin()")


def _cpu_of(first: Told, second: Told, enough) -> float:
    """Return how many times as much cpu the first gets as the second, once both together had enough."""
    before = [first.cpu_s, second.cpu_s]

    def used() -> list[float]:
        return [first.cpu_s - before[0], second.cpu_s - before[1]]

    wait_for(lambda: enough(used()), 60, "both spin")
    large, small = used()
    return large / max(small, 0.01)


def _group_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(line.split(":", 2)[2] for line in lines if ":memory:" in line or line.startswith("0::"))


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
