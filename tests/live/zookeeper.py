"""A real ZooKeeper for tests: Debian's own jars, installed or fetched once into the user's cache, and run by Java.

Rule: what is missing is a reason to skip, said plainly; nothing is installed on the machine.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.helpers import wait_for
from tests.live.debian import Missing, cached, fetch

#: Only what it needs to run: with every jar that Debian wants along, two bridges between loggers call each other for ever.
PACKAGES = (
    "libzookeeper-java libnetty-java libslf4j-java libdropwizard-metrics-java libsnappy-java libsnappy-jni "
    "libcommons-cli-java libcommons-io-java liblog4j1.2-java"
).split()
JARS = "zookeeper zookeeper-jute slf4j-api slf4j-nop netty-all metrics-core snappy-java commons-cli commons-io log4j-1.2".split()
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
INSTALLED = Path("/usr/share/java")
#: ZooKeeper's heartbeat; no session can be shorter than two of them.
TICK_MS = 500


def jars() -> list[Path]:
    """Return the jars, or raise Missing with what would have to be there."""
    if not shutil.which("java"):
        raise Missing("no Java on this machine; ZooKeeper needs one (Debian: openjdk-17-jre-headless)")
    cache = cached("zookeeper")
    for folder in (INSTALLED, cache / "usr/share/java"):
        if found := _all_in(folder):
            return found
    fetch("ZooKeeper", PACKAGES, cache)
    return _all_in(cache / "usr/share/java")


def _all_in(folder: Path) -> list[Path]:
    wanted = [folder / f"{name}.jar" for name in JARS]
    return wanted if all(path.exists() for path in wanted) else []


class ZooKeeper:
    """One server, with its data in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        classpath = os.pathsep.join(map(str, jars()))
        self.port = _free_port()
        (folder / "zoo.cfg").write_text(
            f"tickTime={TICK_MS}\ndataDir={folder}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\n4lw.commands.whitelist=ruok\n"
        )
        self._process = subprocess.Popen(
            ["java", "-Xmx128m", "-cp", classpath, MAIN, "zoo.cfg"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(self._answers, 30, "ZooKeeper answers")

    @property
    def hosts(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, "ZooKeeper ended at once"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as asked:
                asked.sendall(b"ruok")
                return asked.recv(4) == b"imok"
        except OSError:
            return False

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
