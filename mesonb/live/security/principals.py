"""Principals: who somebody is, proven by a shared secret that never travels.

Both sides prove that they hold it: the kernel sends a nonce, the master another, and each answers with an HMAC over both,
over who speaks, and over which kernel, which leader and which hub they are. So a proof that was overheard, or passed on,
is of no use to another kernel, to another leader, at another cluster, or a second time, and a kernel does not obey whoever
merely took the lead. The kernel proves itself first. Secrets are in a file that their owner alone can read, or handed over
in the master's own kernel.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesonb.errors import BadValue, NotAllowed

#: A shorter secret could be guessed from an overheard proof.
SECRET_LEAST = 16
NONCE_BYTES = 32
#: Whose the frameworks of the master's own kernel are; nobody else may be called so.
MASTER = "master"
_NAME = re.compile(r"[\w.@-]{1,64}")
_HOW = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


class Principals:
    """The names that a master knows, with their secrets."""

    def __init__(self, known: Mapping[str, str]) -> None:
        for name, secret in known.items():
            _check_name(name)
            _check_secret(secret, f"the secret of {name!r}")
        if not known:
            raise BadValue("principals= names nobody, so nobody could ever connect; leave it out, or name somebody")
        self._known = {name: secret.encode() for name, secret in known.items()}
        self._nobody = secrets.token_bytes(NONCE_BYTES)

    @classmethod
    def of(cls, given: Mapping[str, str] | str | Path) -> Principals:
        """Take a mapping of names to secrets, or the path of a private JSON or TOML file that holds one."""
        if isinstance(given, Mapping):
            return cls(given)
        found = table(Path(given), private(Path(given)))
        if not isinstance(found, dict) or not all(isinstance(secret, str) for secret in found.values()):
            raise BadValue(f'{given}: a file of secrets holds names and secrets, such as anna = "..."')
        return cls(found)

    def secret(self, name: str) -> bytes:
        """Return the secret of a principal; of one that is not known, one that nobody has."""
        return self._known.get(name, self._nobody)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __iter__(self) -> Any:
        return iter(self._known)

    def __repr__(self) -> str:
        return f"<principals {', '.join(self._known)}>"  # never their secrets


class Prover:
    """A kernel's side of the handshake; one for each connection."""

    def __init__(self, principal: str, secret: str | Path | None) -> None:
        if principal and secret is None:
            raise BadValue(
                f"{principal!r} proves itself by a secret: mb.connect(principal={principal!r}, secret=Path(...))"
            )
        if secret is not None and not principal:
            raise BadValue("a secret is somebody's: mb.connect(principal='anna', secret=...)")
        self.principal = principal
        if principal:
            _check_name(principal)
            text = private(Path(secret)).strip() if isinstance(secret, Path) else secret
            _check_secret(text, "secret=")
            self._secret = str(text).encode()
        self._about: tuple[Any, ...] = ()

    def greeting(self) -> tuple[Any, ...]:
        """Begin anew."""
        self._nonce, self._about = secrets.token_bytes(NONCE_BYTES), ()
        return "greet", self.principal, self._nonce

    def answer(self, kernel: str, leader_id: str, nonce: bytes) -> tuple[Any, ...]:
        """Answer a challenge."""
        self._about = self.principal, kernel, leader_id, self._nonce, nonce
        return "prove", proof(self._secret, "kernel", *self._about)

    def check(self, proven: bytes) -> None:
        """Raise NotAllowed unless the master has proven that it knows the secret as well."""
        if not self.principal:
            return
        if not self._about:
            raise NotAllowed(
                f"this master knows no principals, and so cannot prove that it is the one that {self.principal!r} shares a "
                "secret with; leave principal= out if that is well"
            )
        if not hmac.compare_digest(proof(self._secret, "master", *self._about), proven):
            raise NotAllowed(
                f"this master does not know the secret of {self.principal!r}: another one leads the cluster"
            )
        self._about = ()


def proof(
    secret: bytes, side: str, principal: str, kernel: str, leader_id: str, nonce: bytes, masters_nonce: bytes
) -> bytes:
    """Prove, as one of two sides, that a secret is known."""
    said = ["mesonb", side, principal, kernel, leader_id, nonce.hex(), masters_nonce.hex()]
    return hmac.new(secret, json.dumps(said).encode(), hashlib.sha256).digest()


def private(path: Path) -> str:
    """Read a file that its owner alone can read; BadValue for any other."""
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            seen = os.fstat(file.fileno())
            if seen.st_uid != os.getuid():
                raise BadValue(f"{path} belongs to another user; secrets are read only from a file of one's own")
            if others := stat.S_IMODE(seen.st_mode) & 0o077:
                raise BadValue(
                    f"{path} can be read or changed by others (its mode is {others | 0o600:04o}): chmod 600 {path}"
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"{path} cannot be read: {error}") from error


def table(path: Path, text: str) -> Any:
    """Read JSON or TOML, whichever the file is called."""
    try:
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON (call it .toml if it is TOML)"
        raise BadValue(f"{path} is no {kind}: {error}") from error


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == MASTER:
        raise BadValue(
            f"{name!r} cannot be a principal: use letters, digits, '.', '@', '_' and '-', and not {MASTER!r}"
        )


def _check_secret(secret: object, whose: str) -> None:
    if not isinstance(secret, str) or len(secret) < SECRET_LEAST:
        raise BadValue(f"{whose} has to be a text of at least {SECRET_LEAST} characters; {_HOW}")
