"""``mesonb replay RECORDING``: open it at a moment, and print who held what; or compare it with another one."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mesonb.core.log import Log, first_difference
from mesonb.core.units import counted
from mesonb.errors import BadValue
from mesonb.sim.replay import Replay, replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("recording", help="a log that a master or a simulation saved")
    parser.add_argument(
        "--at", metavar="TIME", help="the moment to show, since the start: 00:41:10, 90s (default: the end)"
    )
    parser.add_argument("--agent", metavar="NAME", help="who held this agent then")
    parser.add_argument("--next", type=int, default=0, metavar="N", help="print the next N calls and what followed")
    parser.add_argument("--digest", action="store_true", help="print the recording's digest")
    parser.add_argument(
        "--diff", metavar="OTHER", help="say where another recording parts from this one; exit code 1 if it does"
    )


def run(args: argparse.Namespace) -> int:
    """Replay, and print what was asked for."""
    if args.diff:
        difference = first_difference(Log.load(args.recording), Log.load(args.diff))
        _print(difference or "the same")
        return int(difference is not None)
    opened = replay(args.recording)
    if args.at:
        opened.seek(args.at)
    _print(repr(opened))
    _print(*([opened.log.digest()] if args.digest else []))
    _print(*map(_columns, opened.holders(args.agent)) if args.agent else _frameworks(opened))
    if args.next < 0:
        raise BadValue(f"--next {args.next}: calls are counted from here on, 1 or more")
    if args.next:
        _print(repr(opened.step(args.next)))
    return 0


def _frameworks(opened: Replay) -> list[str]:
    picture = opened.snapshot()
    counts = {"agent": picture.agent_count, "task": picture.task_count, "offer": picture.offer_count}
    head = ", ".join(counted(number, noun) for noun, number in counts.items())
    return [
        f"{head}, {picture.free} free of {picture.total}",
        *(f"{row.framework:<20}{row.role:<14}share {row.share:.4f}   {row.allocated}" for row in picture.frameworks),
    ]


def _columns(row: dict[str, Any]) -> str:
    return f"{row['framework']:<20}{row['holds']:<24}{row['state']:<12}since {row['since']:<10} {row['resources']}"


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
