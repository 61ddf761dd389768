"""A master-to-be in a process of its own: while it leads, it gives orders under its epoch to the socket it was told.

Run as ``python candidate.py ZOOKEEPER FOLDER NAME SOCKET SESSION_S``. Prints what happens to it. On SIGUSR1 it stops
(as by SIGSTOP) at the worst moment: it has made sure that it leads, and has not yet given the order.
"""

import os
import signal
import socket
import sys
import threading
import time

from mesonb.live.election import ZooKeeperElection


def main() -> None:
    hosts, folder, name, path, session_s = sys.argv[1:]
    orders = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    epochs: list[int] = []
    leading = threading.Event()

    def won(epoch: int) -> None:
        epochs.append(epoch)
        print("won", epoch, flush=True)
        leading.set()

    def lost(because: str) -> None:
        leading.clear()
        print("lost", because, flush=True)

    stopping = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: stopping.set())
    candidate = ZooKeeperElection(hosts, folder, float(session_s))
    candidate.stand(name, won, lost)
    print("stands", flush=True)
    while leading.wait():
        order = f"{epochs[-1]} {name}".encode()
        if stopping.is_set():
            stopping.clear()
            os.kill(os.getpid(), signal.SIGSTOP)
        orders.sendto(order, path)
        time.sleep(0.002)  # work


if __name__ == "__main__":
    main()
