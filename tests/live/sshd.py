"""A real OpenSSH server for tests, at loopback, with keys of its own: the system's, or Debian's, fetched once.

Run by root it wants a user called sshd, which a machine without it lacks; so it sees a list of users of its own, in a
mount namespace where nobody else does. Rule: what is missing is a reason to skip; nothing is installed on the machine.
"""

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path

import asyncssh

from tests.helpers import wait_for
from tests.live.debian import Missing, cached, fetch

PACKAGES = "openssh-server libwrap0".split()

#: Run by root, before the server: its own users, and the folder that it wants.
PRIVATE = """
mount --bind "$1/passwd" /etc/passwd && mount -t tmpfs none /run && mkdir -p /run/sshd && shift && exec "$@"
"""


class Sshd:
    """One server, with its files in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        self.user = getpass.getuser()
        self.key = folder / "user"
        for path in (folder / "host", self.key):
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path))
            path.chmod(0o600)
        asyncssh.read_private_key(str(self.key)).write_public_key(str(folder / "authorized"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
            "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n"
        )
        binary, libraries = _server()
        command = [str(binary), "-D", "-e", "-f", str(folder / "config")]
        if os.getuid() == 0:
            users = Path("/etc/passwd").read_text()
            nobody = "" if "\nsshd:" in users else "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
            (folder / "passwd").write_text(users + nobody)
            command = ["unshare", "--mount", "sh", "-c", PRIVATE, "sh", str(folder), *command]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": libraries}
            )
        try:
            wait_for(lambda: self._answers() or self._process.poll() is not None, 20, "the SSH server to answer")
            if self._process.poll() is not None:
                raise Missing(f"no SSH server can run here: {(folder / 'log').read_text().strip()[-200:]}")
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as asked:
                return asked.recv(4) == b"SSH-"
        except OSError:
            return False

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _server() -> tuple[Path, str]:
    """Return the server, and where its libraries are if they are not the system's."""
    if found := shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return Path(found), ""
    cache = cached("sshd")
    if not (cache / "usr/sbin/sshd").exists():
        fetch("OpenSSH server", PACKAGES, cache)
    return cache / "usr/sbin/sshd", os.pathsep.join({str(path.parent) for path in cache.rglob("*.so.0")})
