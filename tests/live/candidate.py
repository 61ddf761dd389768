"""A master-to-be in a process of its own: while it leads, it gives orders under its epoch to the socket it was told.

Run as ``python candidate.py ZOOKEEPER FOLDER NAME SOCKET SESSION_S``. Prints what happens to it.
"""

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

    candidate = ZooKeeperElection(hosts, folder, float(session_s))
    candidate.stand(name, won, lost)
    print("stands", flush=True)
    while leading.wait():
        orders.sendto(f"{epochs[-1]} {name}".encode(), path)
        time.sleep(0.002)  # work


if __name__ == "__main__":
    main()
