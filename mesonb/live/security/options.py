"""Options: what the command line is told of certificates, principals and secrets, and what is made of it.

Rule: a secret is never a word on a command line, where every user of the machine could read it. It is in a file that
its owner alone can read, as the key of a certificate is; a file that others can read is refused before anything starts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from distributed.security import Security

from mesonb.errors import BadValue
from mesonb.live.security.principals import Prover, private
from mesonb.live.wire.tls import PARTS, checked, security_from

#: What a folder of ``--tls`` holds.
FILES = dict(zip(PARTS, ("ca.pem", "cert.pem", "key.pem"), strict=True))
_WORDS = {"ca_file": "tls_ca", "cert": "tls_cert", "key": "tls_key"}
_FOLDER = f"a folder with {', '.join(FILES.values())}"
#: Who asks: a principal, and the file of its secret; nobody where the master knows of one user only.
Who = tuple[str, Path | None]


def add_for_master(parser: argparse.ArgumentParser) -> None:
    """Describe what a master may be told of security."""
    parser.add_argument("--principals", metavar="FILE", help="who may join, with their secrets; chmod 600")
    parser.add_argument("--acls", metavar="FILE", help="who may do what")
    parser.add_argument(
        "--tls", nargs="?", const="", metavar="FOLDER",
        help=f"encrypt: a local cluster gets a certificate made for it alone; or {_FOLDER}",
    )  # fmt: skip
    _add_files(parser)


def add_for_kernel(parser: argparse.ArgumentParser) -> None:
    """Describe by what somebody proves who it is, and reaches a cluster that has no note here."""
    parser.add_argument("--principal", default="", metavar="NAME", help="who asks, where the master knows several")
    parser.add_argument("--secret", type=Path, metavar="FILE", help="which proves it; chmod 600")
    parser.add_argument("--tls", metavar="FOLDER", help=f"the certificate, if no note has it: {_FOLDER}")
    _add_files(parser)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tls-ca", metavar="FILE", help="instead of a folder: the authority that signed it")
    parser.add_argument("--tls-cert", metavar="FILE", help="and the certificate")
    parser.add_argument("--tls-key", metavar="FILE", help="and its key; chmod 600")


def for_master(args: argparse.Namespace) -> dict[str, Any]:
    """Return what ``mb.Master`` is to be told."""
    given = getattr(args, "scheduler", None) or getattr(args, "scheduler_file", None)
    if args.tls == "" and given and not _single(args):
        raise BadValue(
            f"--tls makes a certificate for a local cluster; {given} has one already: --tls FOLDER, {_FOLDER}"
        )
    found = True if args.tls == "" and not _single(args) else security(args)
    told = {"principals": args.principals, "acls": args.acls, "security": found}
    return {name: value for name, value in told.items() if value}


def handed_on(args: argparse.Namespace) -> list[str]:
    """Return the words that tell another process the same."""
    if args.tls == "" and not _single(args):
        return ["--tls"]
    words = ("tls", *_WORDS.values())
    return [word for name in words if (path := getattr(args, name)) for word in (f"--{name.replace('_', '-')}", path)]


def security(args: argparse.Namespace) -> Security | None:
    """Return the Security of the certificate that was named, if one was; BadValue where it cannot be used."""
    single = _single(args)
    if not single and not args.tls:
        return None
    if single and args.tls is not None:
        raise BadValue("--tls FOLDER names all three files; give it, or --tls-ca, --tls-cert and --tls-key")
    if single and len(single) < len(PARTS):
        raise BadValue("--tls-ca, --tls-cert and --tls-key go together, or are in one folder: --tls FOLDER")
    files = single or {part: str(Path(args.tls) / name) for part, name in FILES.items()}
    private(Path(files["key"]))
    return checked(security_from({part: str(Path(path).expanduser().absolute()) for part, path in files.items()}))


def _single(args: argparse.Namespace) -> dict[str, str]:
    """Return the files that were named one by one."""
    return {part: path for part, word in _WORDS.items() if (path := getattr(args, word))}


def who(args: argparse.Namespace) -> Who:
    """Return who asks, once it is certain that its secret can be read."""
    if bool(args.principal) != bool(args.secret):
        raise BadValue("--principal NAME and --secret FILE go together: who asks, and what proves it")
    Prover(args.principal, args.secret)
    return args.principal, args.secret
