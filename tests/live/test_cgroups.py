"""Where cgroups are, on machines of every kind (as Linux describes them in /proc), and version 2 for real where it is.

Rule: which files are written is looked at in a plain folder; that they do what they say, in test_isolation.py.
"""

import os
from pathlib import Path

import pytest

from mesonb.live.limits import cgroups
from tests.helpers import wait_for
from tests.live.children import Told

#: What Linux says of itself on each kind of machine: /proc/self/cgroup, and the end of /proc/self/mountinfo.
V2 = ("0::/user.slice/u1", "30 20 0:26 / {top}/cgroup rw - cgroup2 cgroup2 rw")
V1 = (
    "5:memory:/a\n4:cpu,cpuacct:/b",
    "30 20 0:26 / {top}/memory rw - cgroup cgroup rw,memory\n31 20 0:27 / {top}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
)
HYBRID = (f"{V1[0]}\n0::/c", f"{V1[1]}\n32 20 0:28 / {{top}}/unified rw - cgroup2 cgroup2 rw")
#: A container of version 1: its own part of the tree is mounted, and /proc names places outside of it.
CONTAINER = ("5:memory:/docker/x/inner", "30 20 0:26 /docker/x {top}/memory ro - cgroup cgroup rw,memory")
OUTSIDE = ("5:memory:/elsewhere", "30 20 0:26 /docker/x {top}/memory ro - cgroup cgroup rw,memory")
NONE = ("", "22 20 0:22 / {top}/run rw - tmpfs tmpfs rw")


@pytest.fixture
def machine(tmp_path):
    """Write a /proc that describes a machine, with the folders that it names."""

    def write(described: tuple[str, str], *folders: str, controllers: str = "") -> dict[str, cgroups.Place]:
        proc = tmp_path / "proc" / "self"
        proc.mkdir(parents=True)
        for name, text in zip(("cgroup", "mountinfo"), described, strict=True):
            (proc / name).write_text(text.format(top=tmp_path))
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "cgroup.controllers").write_text(controllers)
        return cgroups.places(tmp_path / "proc")

    return write


def test_version_2_has_what_its_own_group_has(machine, tmp_path) -> None:
    found = machine(V2, "cgroup/user.slice/u1", controllers="memory cpu pids\n")
    assert cgroups.kind(found) == "v2"
    assert found["memory"] == cgroups.Place(2, tmp_path / "cgroup/user.slice/u1")
    assert "memory" in found
    assert "io" not in found


def test_version_2_without_controllers_has_none(machine) -> None:
    found = machine(V2, "cgroup/user.slice/u1")
    assert list(found) == [""]


def test_version_1_has_a_folder_for_each_controller(machine, tmp_path) -> None:
    found = machine(V1, "memory/a", "cpu,cpuacct/b")
    assert cgroups.kind(found) == "v1"
    assert found["memory"] == cgroups.Place(1, tmp_path / "memory/a")
    assert found["cpu"].folder == tmp_path / "cpu,cpuacct/b"


def test_a_hybrid_has_some_of_each(machine, tmp_path) -> None:
    found = machine(HYBRID, "memory/a", "cpu,cpuacct/b", "unified/c", controllers="hugetlb")
    assert cgroups.kind(found) == "hybrid"
    assert (found["memory"].version, found["hugetlb"].version) == (1, 2)
    assert found[""].folder == tmp_path / "unified/c"


def test_a_container_sees_its_own_part(machine, tmp_path) -> None:
    assert machine(CONTAINER, "memory/inner")["memory"].folder == tmp_path / "memory/inner"


def test_a_path_outside_of_the_container_is_its_top(machine, tmp_path) -> None:
    assert machine(OUTSIDE, "memory")["memory"].folder == tmp_path / "memory"


def test_none_is_none(machine, tmp_path) -> None:
    assert machine(NONE) == {}
    assert cgroups.kind({}) == "none"
    assert cgroups.places(tmp_path / "no proc at all") == {}


@pytest.mark.parametrize(
    ("version", "written"),
    [
        (2, {"memory.max": "1000000", "cpu.weight": "50", "cpu.max": "50000 100000"}),
        (1, {"memory.limit_in_bytes": "1000000", "cpu.shares": "512", "cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}),
    ],
)  # fmt: skip
def test_each_version_has_its_own_words(tmp_path, version, written) -> None:
    group = cgroups.Group(cgroups.Place(version, tmp_path), "1")
    group.limit_memory(1_000_000)
    group.share_cpu(0.5)
    group.cap_cpu(0.5)
    assert {path.name: path.read_text() for path in group.folder.iterdir()} == written
    group.limit_memory(0)
    group.cap_cpu(0)
    lifted = {path.name: path.read_text() for path in group.folder.iterdir()}
    assert lifted[next(iter(written))] in {"max", "-1"}


@pytest.mark.parametrize(("version", "file"), [(2, "memory.events"), (1, "memory.oom_control")])
def test_oom_kills_are_counted(tmp_path, version, file) -> None:
    group = cgroups.Group(cgroups.Place(version, tmp_path), "1")
    assert group.oom_kills() == 0
    (group.folder / file).write_text("oom 7\noom_kill 3\n")
    assert group.oom_kills() == 3


def test_a_group_of_version_2_is_killed_at_once() -> None:
    place = cgroups.places().get("")
    if place is None or not os.access(place.folder, os.W_OK):
        pytest.skip("no cgroup of version 2 that this process may change")
    group, told = cgroups.Group(place, "test"), Told()
    try:
        group.add([told.pid])
        hidden = int(told.ask("hide()"))
        assert set(group.pids()) == {told.pid, hidden}
        group.kill()
        assert told.ended() == -9
    finally:
        told.end()
        wait_for(group.remove, 5, "the group is removed")


def test_what_a_dead_agent_left_behind_is_swept(tmp_path) -> None:
    nobody = next(pid for pid in range(4_000_000, 4_194_304) if not Path(f"/proc/{pid}").exists())
    left, ours = tmp_path / f"mesonb-{nobody}-7", tmp_path / f"mesonb-{os.getpid()}-7"
    for folder in (left, ours, tmp_path / "other"):
        folder.mkdir()
    cgroups.sweep({"memory": cgroups.Place(1, tmp_path)})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([ours.name, "other"])
