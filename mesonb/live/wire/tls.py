"""TLS: distributed's Security for links that mesonb makes itself; a cluster that is given brings its own.

A cluster of mesonb's own gets a certificate made for it alone, which is in its connection file, readable by this user
alone; so is the note of a master. Whoever holds the certificate is let in by Dask itself, before mesonb is asked anything.
"""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

from distributed.security import Security

from mesonb.errors import BadValue

#: How addresses begin that lead through the proxy of a dask-gateway; Dask knows them once that is imported.
GATEWAY = "gateway://"
#: What reaching a cluster takes, as distributed's configuration calls it.
PARTS = ("ca_file", "cert", "key")


def temporary() -> Security:
    """Make a certificate that nobody else has; BadValue where ``cryptography`` is not installed."""
    try:
        return Security.temporary()  # type: ignore[no-any-return, no-untyped-call]
    except ImportError:
        raise BadValue(
            'making a certificate takes cryptography; install "mesonb[tls]", or give security= your own'
        ) from None


def parts(security: Security | None, *, whole: bool = False) -> dict[str, str]:
    """Return what a client needs to be let in, for a private file; ``whole``: as text, wherever it was read from."""
    if cert := getattr(security, "tls_cert", None):  # dask-gateway's: one certificate, in memory, its own authority
        found = {"ca_file": cert, "cert": cert, "key": getattr(security, "tls_key", "")}
    else:
        found = security.get_tls_config_for_role("client") if security else {}  # type: ignore[no-untyped-call]
    if not found.get("ca_file"):
        return {}
    kept = _text if whole else _anywhere
    return {part: kept(found[part]) for part in PARTS if found.get(part)}


def security_from(known: dict[str, str]) -> Security | None:
    """Return the Security of which ``parts`` were kept; the same certificate for every role."""
    if not known:
        return None
    cert, key = known["cert"], known.get("key")
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=True, tls_ca_file=known["ca_file"], tls_client_cert=cert, tls_client_key=key,
        tls_scheduler_cert=cert, tls_scheduler_key=key, tls_worker_cert=cert, tls_worker_key=key,
    )  # fmt: skip


def of_a_client(security: Any) -> Any:
    """Return a worker's Security for a Dask client beside it: a worker that was given no client's certificate shows its own."""
    if security.tls_client_cert or not security.tls_worker_cert:
        return security
    found = copy.copy(security)
    found.tls_client_cert, found.tls_client_key = security.tls_worker_cert, security.tls_worker_key
    return found


def checked(security: Security | None) -> Security | None:
    """Return it as it is if its files can be read and belong together; else BadValue, which names them."""
    try:
        if security:
            security.get_connection_args("client")  # type: ignore[no-untyped-call]
    except OSError as error:  # what ssl raises is one
        named = ", ".join(parts(security).values())
        raise BadValue(f"this certificate cannot be used ({named}): {error}") from None
    return security


def encrypted(address: str) -> bool:
    """Whether an address is reached by TLS."""
    return address.startswith(("tls://", "wss://", GATEWAY))


def reaching(address: str, security: Security | None) -> Security:
    """Return what an address is reached with, by default what Dask is configured with; BadValue where that cannot be enough."""
    if address.startswith(GATEWAY):
        _know_gateways()
    found = security or Security()  # type: ignore[no-untyped-call]
    if encrypted(address) and not parts(found):
        raise BadValue(
            f"{address} is reached by TLS: give security=distributed.Security(tls_ca_file=..., tls_client_cert=..., tls_client_key=...), "
            "or the Dask client or cluster itself in place of its address"
        )
    if address.startswith(("tcp://", "ws://")) and found.require_encryption:
        raise BadValue(
            f"{address} is not encrypted, and this is to be: the address of a cluster with TLS begins with tls://"
        )
    return found


def _know_gateways() -> None:
    try:
        importlib.import_module("dask_gateway")
    except ImportError:
        raise BadValue(f"an address that begins with {GATEWAY} takes dask-gateway: pip install dask-gateway") from None


def _anywhere(part: Any) -> str:
    """Name a file so that a process elsewhere finds it; a certificate that is a text stays one."""
    return str(part) if "\n" in str(part) else str(Path(part).absolute())


def _text(part: Any) -> str:
    return str(part) if "\n" in str(part) else Path(part).read_text()
