"""The command line: ``mesonb COMMAND ...``, also ``python -m mesonb``.

Rule: a command's module is imported when that command is given and not before, and brings its own ``add_arguments`` and
``run``. Whatever the caller did wrong is one line on standard error and exit code 2; ``transcript --expect`` and others
that compare exit with 1 where something differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

from mesonb.errors import MesonbError

#: Each command: its module, and what it does.
COMMANDS = {
    "demo": ("mesonb.demo", "run two programs on one local Dask cluster, and write a report"),
    "transcript": ("mesonb.transcripts.command", "run scenario files; compare them with the answers recorded in them"),
    "simulate": ("mesonb.sim.cli_simulate", "run a workload in virtual time, and print who got what"),
    "compare": ("mesonb.sim.cli_compare", "run one workload under several scheduler architectures"),
    "storm": ("mesonb.sim.storm", "run a simulation in which much goes wrong, and check that nothing is lost"),
    "replay": ("mesonb.sim.cli_replay", "open a recording at any moment: who held what, and what came next"),
    "up": ("mesonb.live.cli", "start a cluster and a master that other processes may join"),
    "status": ("mesonb.live.cli", "say what runs where"),
    "top": ("mesonb.live.cli", "watch shares, offers and tasks in the terminal"),
    "down": ("mesonb.live.cli", "end what `up` started"),
    "master": ("mesonb.live.cli", "run a master, or a standby, in this process"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    name, *rest = [*(sys.argv[1:] if argv is None else argv)] or ["--help"]
    if name in {"-h", "--help", "help"}:
        sys.stdout.write(_overview())
        return 0
    if name == "--version":
        sys.stdout.write(f"mesonb {import_module('mesonb').__version__}\n")
        return 0
    if name not in _here():
        sys.stderr.write(f"mesonb: {name!r} is no command\n\n{_overview()}")
        return 2
    try:
        return _run(name, rest)
    except MesonbError as error:
        sys.stderr.write(f"mesonb {name}: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `mesonb ... | head`: the reader has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        if not error.filename:
            raise
        sys.stderr.write(f"mesonb {name}: {error.filename}: {error.strerror}\n")
        return 2


class _Parser(argparse.ArgumentParser):
    """Says in one line what was typed wrong."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help says what it takes\n")


def _run(name: str, rest: list[str]) -> int:
    module = import_module(COMMANDS[name][0])
    parser = _Parser(prog=f"mesonb {name}", description=COMMANDS[name][1])
    parser.set_defaults(command=name)
    module.add_arguments(parser)
    run = getattr(module, "run", None) or module.main
    return int(run(parser.parse_args(rest)) or 0)


def _here() -> list[str]:
    """Return the commands whose modules are part of this installation."""
    return [name for name, (module, _) in COMMANDS.items() if find_spec(module)]


def _overview() -> str:
    lines = [f"  {name:<12}{COMMANDS[name][1]}" for name in _here()]
    return "\n".join(["usage: mesonb COMMAND ...", "", *lines, "", "mesonb COMMAND --help says what it takes.", ""])


if __name__ == "__main__":
    sys.exit(main())
