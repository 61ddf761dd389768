"""Masters: notes of which processes of this user have a master, and of which cluster; ``connect`` and the command line look here.

One file a master, readable by this user alone, beside the files of local clusters (``live.cluster``). A note outlives a
process that was killed, and then its process number may be somebody else's: so it also says when the process began, and
is removed once that one is gone, unless it was asked to stay for whoever ends what it started.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed.security import Security

from mesonb.live.cluster import Local, alive, folder, running_at, running_clusters
from mesonb.live.host import identity, publish
from mesonb.live.limits.processes import birthmark
from mesonb.live.wire.tls import parts, security_from

#: Who may have made a master.
KERNEL, COMMAND, UP = "kernel", "mesonb master", "mesonb up"
#: How a command tells the masters made in its process whose they are.
MADE_BY = "MESONB_MADE_BY"


@dataclass(frozen=True, slots=True)
class Known:
    """One master, as its note says."""

    file: Path
    address: str  #: of the Dask scheduler
    name: str
    made_by: str
    since_s: float
    host: str
    pid: int
    birth: str
    cluster: str  #: the file of its local cluster; "" where it leads another one
    tls: dict[str, str]

    @property
    def here(self) -> bool:
        """Whether this is its machine; a home may be shared by several."""
        return self.host == socket.gethostname()

    @property
    def runs(self) -> bool:
        """Whether its process is still there; of another machine that is not known, and taken to be so."""
        return not self.here or (birthmark(self.pid) == self.birth and alive(self.pid))

    @property
    def local(self) -> Local | None:
        """Its local cluster, where it has one that runs."""
        return running_at(Path(self.cluster)) if self.cluster else None

    @property
    def security(self) -> Security | None:
        """What reaching it takes, where it is a cluster with TLS."""
        return security_from(self.tls)

    def end(self, limit_s: float) -> bool:
        """Ask its process to end; False if it is still there after a while."""
        if self.here and self.runs:
            os.kill(self.pid, signal.SIGTERM)
            deadline_s = time.monotonic() + limit_s
            while self.runs:
                if time.monotonic() > deadline_s:
                    return False
                time.sleep(0.02)
        return True


def note(address: str, name: str, unique: str, local: Local | None, security: Any) -> Path:
    """Leave a note that this process has a master of the cluster at an address."""
    file = folder() / f"mesonb-{unique}.note"
    publish(file, {
        "address": address, "name": name, "made_by": os.environ.get(MADE_BY, KERNEL), "since_s": time.time(),
        "cluster": str(local.file) if local else "",
        "tls": parts(security), **identity(),
    })  # fmt: skip
    return file


def known(name: str = "") -> list[Known]:
    """List the masters of this user, oldest first; of this name, where one is given. Notes that nobody needs are removed."""
    found = [one for file in folder().glob("mesonb-*.note") if (one := _read(file)) and name in ("", one.name)]
    kept = [one for one in found if one.runs or (one.made_by == UP and one.local)]
    for one in found:
        if one not in kept:
            one.file.unlink(missing_ok=True)
    return sorted(kept, key=lambda one: one.since_s)


def where(name: str = "") -> dict[str, Security | None]:
    """Return the addresses of all clusters of this user that a master may lead, with what reaching them takes."""
    local: dict[str, Security | None] = {local.address: local.security for local in running_clusters(name)}
    return local | {one.address: one.security for one in known(name) if one.here}


def _read(file: Path) -> Known | None:
    try:
        return Known(file, **json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):  # of another mesonb, or spoiled
        file.unlink(missing_ok=True)
        return None
