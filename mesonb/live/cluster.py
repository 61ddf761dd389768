"""Cluster: finds the local Dask cluster of this user that fits, or starts it, detached, and remembers where it is.

One file per cluster, readable by this user alone, beside Jupyter's own connection files. Which cluster fits is told by
its name, its declared agents and its Python environment, so a lesson that declares two agents never meets the cluster of
another, and a cluster started with an older mesonb is left alone. A file outlives a machine's crash, and then its process
number is somebody else's: so it also says when the process began, and one that does not match is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from mesonb.core.declared import Agent, agent_of
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, ClusterError
from mesonb.live.declaring import configured, written
from mesonb.live.host import publish
from mesonb.live.limits.processes import birthmark
from mesonb.live.limits.size import beside
from mesonb.live.wire.tls import parts, security_from, temporary
from mesonb.live.wire.versions import ours

#: A cluster that nobody has led for so long goes away. ``dask.config``: mesonb.idle-timeout.
IDLE = "10 min"
START_S = 60
STOP_S = 10
AGENTS_MOST = 256
_POLL_S = 0.02
_DIGITS = 8  #: at the end of a file's name; the panel servers' files, which are none of ours, have more


@dataclass(frozen=True, slots=True)
class Local:
    """A local cluster that runs."""

    file: Path
    address: str
    pid: int
    agents: int
    host: str
    birth: str  #: tells its process from a later one of the same number
    tls: dict[str, str] = field(default_factory=dict)  #: what reaching it takes

    @property
    def security(self) -> Security | None:
        """What reaching it takes, where it was started with TLS."""
        return security_from(self.tls)

    @property
    def runs(self) -> bool:
        """Whether its process is still there."""
        return self.host == socket.gethostname() and birthmark(self.pid) == self.birth and alive(self.pid)

    def stop(self) -> None:
        """End it, with its agents; return when it is gone."""
        if self.runs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        self.gone_within(STOP_S)

    def give_up(self, limit_s: float) -> None:
        """Make way for another cluster, because this one does not answer; if it is not just ending, say so."""
        if not self.gone_within(limit_s):
            self.file.unlink(missing_ok=True)
            warnings.warn(
                f"the local cluster in process {self.pid} does not answer at {self.address}; another one is started, and this "
                f"one is left alone: end it with kill {self.pid} if you do not need it",
                stacklevel=4,
            )

    def gone_within(self, limit_s: float) -> bool:
        """Wait for its end; False if it is still there."""
        deadline_s = time.monotonic() + limit_s
        while self.runs:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True


def find_or_start(
    agents: Sequence[Resources | Agent], name: str = "", security: Security | bool | None = None
) -> Local:
    """Return the running cluster of this name and these agents, started if it was not there.

    With ``security`` all that it says is encrypted; True makes a certificate for it alone. ``dask.config``: mesonb.tls.
    """
    check_name(name)
    wanted = dask.config.get("mesonb.tls", default=False) if security is None else security
    file = _file_of(agents, name, tls=bool(wanted))
    with _locked(file.with_suffix(".lock")):
        return running_at(file) or _start(file, agents, wanted)


def running_clusters(name: str = "") -> list[Local]:
    """List the local clusters of this user that run; of this name, where one is given."""
    told_apart = [(file, *file.stem.rpartition("-")[::2]) for file in sorted(folder().glob("mesonb-*.json"))]
    files = [file for file, of, digest in told_apart if len(digest) == _DIGITS and (not name or of == f"mesonb-{name}")]
    return [local for file in files if (local := running_at(file))]


def check_name(name: str) -> None:
    """Raise BadValue for a name that cannot be part of a file's."""
    if not re.fullmatch(r"[\w.@-]{0,64}", name):
        raise BadValue(f"name={name!r}: use letters, digits, '.', '@', '_' and '-', at most 64 of them")


def sizes(agents: int | Sequence[Resources | Agent] | None) -> list[Resources | Agent]:
    """Read what ``agents=`` says; nothing is the machine divided evenly, with what ``dask.config`` says of agents."""
    if agents is None or isinstance(agents, int):
        count = min(CPU_COUNT, 4) if agents is None else agents
        if not 1 <= count <= AGENTS_MOST:
            raise BadValue(f"agents={agents}: a cluster has 1 to {AGENTS_MOST} agents")
        mb = MEMORY_LIMIT // count // 1_000_000
        each = Resources.of({"cpus": CPU_COUNT * 1000 // count, "mem": mb * 1_000_000})
        equal = [configured(each, part, count) for part in range(count)]
        return [each if agent == Agent(each) else agent for agent in equal]
    listed = list(agents)
    wrong = next((agent for agent in listed if not agent or not isinstance(agent, Resources | Agent)), None)
    if wrong is not None or not 1 <= len(listed) <= AGENTS_MOST:
        raise BadValue(f'agents={agents!r}: give a number, or a list such as [mb.Resources(cpus=4, mem="4GB"), ...]')
    return listed


def _start(file: Path, agents: Sequence[Resources | Agent], security: Security | bool) -> Local:
    """Start the host in a process session of its own, and wait for its file."""
    tls = parts(temporary() if security is True else security or None, whole=True)
    idle_s = parse_duration(dask.config.get("mesonb.idle-timeout", IDLE)) / 1_000_000
    spare = beside(agent_of(agent).resources for agent in agents)
    publish(file.with_suffix(".plan"), {"agents": written(agents), "beside": spare, "idle_s": idle_s, "tls": tls})
    with file.with_suffix(".log").open("wb") as log:
        host = subprocess.Popen(
            [sys.executable, "-m", "mesonb.live.host", str(file)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment(),
        )  # fmt: skip
    deadline_s = time.monotonic() + START_S
    while not file.exists():
        if host.poll() is not None or time.monotonic() > deadline_s:
            host.kill()
            said = file.with_suffix(".log").read_text(errors="replace")[-2000:]
            raise ClusterError(f"the local cluster did not start within {START_S} s; it said:\n{said}")
        time.sleep(_POLL_S)
    _REAPED.append(host)
    return _read(file)


#: Hosts started by this process; kept so that Python does not warn about them: they are meant to outlive it.
_REAPED: list[subprocess.Popen[bytes]] = []


def _environment() -> dict[str, str]:
    """Let the host import what this kernel imports."""
    path = [entry for entry in sys.path if entry and Path(entry).is_dir()]
    config = dask.config.serialize(dask.config.config)  # what was set in the kernel holds there as well
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "DASK_INTERNAL_INHERIT_CONFIG": config}


def running_at(file: Path) -> Local | None:
    """Return the cluster that a file is about, if it runs; a file about none is removed."""
    try:
        found = _read(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):  # of an older mesonb, or spoiled
        file.unlink(missing_ok=True)
        return None
    if found.runs:
        return found
    if found.host == socket.gethostname():  # a home may be shared by machines
        file.unlink(missing_ok=True)
    return None


def _read(file: Path) -> Local:
    facts: dict[str, Any] = json.loads(file.read_text())
    return Local(
        file, facts["address"], facts["pid"], len(facts["agents"]), facts["host"], facts["birth"], facts.get("tls", {})
    )


def alive(pid: int) -> bool:
    """Whether a process of this user runs; one that has ended and waits for its parent does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _file_of(agents: Sequence[Resources | Agent], name: str, *, tls: bool = False) -> Path:
    environment = [socket.gethostname(), sys.prefix, ours(), *(["tls"] if tls else [])]
    plan = json.dumps([name, environment, written(agents)])
    digest = hashlib.blake2b(plan.encode(), digest_size=_DIGITS // 2).hexdigest()
    return folder() / f"mesonb-{name + '-' if name else ''}{digest}.json"


def folder() -> Path:
    """Return the folder of connection files: Jupyter's own, which belongs to this user alone."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        path = Path(jupyter_runtime_dir())
    except ImportError:
        path = Path(os.environ.get("XDG_RUNTIME_DIR") or Path(tempfile.gettempdir()) / f"mesonb-{os.getuid()}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.getuid() not in (0, path.stat().st_uid):  # certificates are written there, and what is there is believed
        raise BadValue(
            f"{path} belongs to another user, who could read and change what is kept there; set JUPYTER_RUNTIME_DIR to a folder of yours"
        )
    return path


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process at a time find or start a cluster."""
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
