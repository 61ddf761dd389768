"""Starting: how an agent's zygote is started, and what connects the two: a control socket, and the pipe that feeds its children."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesonb.live.tasks.child import IDLE_S, PACKET_MOST

#: The most packets in the pipe that no child has taken yet.
PIPE_MOST = 64


def start_zygote(
    folder: Path, modules: Sequence[str], variables: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], socket.socket, socket.socket]:
    """Start a zygote that knows these modules, with these variables in its environment; return it, its control and its pipe."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipe, tasks = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipe.setblocking(False)
    pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_MOST * 2048 + 2 * PACKET_MOST)
    # Where there is no epoll children block in recv itself, not in poll: the kernel then wakes exactly one of them per packet.
    tasks.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", IDLE_S, 0))
    zygote = subprocess.Popen(
        [sys.executable, "-c", "from mesonb.live.tasks.zygote import main; main()",
         str(os.getpid()), str(theirs.fileno()), str(tasks.fileno()), str(folder), *modules],
        pass_fds=(theirs.fileno(), tasks.fileno()), stdin=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, **variables},
    )  # fmt: skip
    theirs.close()
    tasks.close()
    control.setblocking(False)
    return zygote, control, pipe
