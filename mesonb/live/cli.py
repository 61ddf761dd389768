"""``mesonb master | up | status | top | down``: a master without a notebook, and a look at what runs.

``master`` leads a Dask cluster from this process until it is told to stop; its tasks run on then, for whoever leads next.
``up`` starts one in the background, with a local cluster if none is given; ``mb.connect()`` finds it from any notebook of
this user, and ``down`` ends it. Exit codes: 0 well; 1 there is nothing to show, or the master had to give up; 2 the
caller's mistake, said in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, ClusterError, NotThere, Unreachable
from mesonb.live import status
from mesonb.live.beside import Beside
from mesonb.live.cluster import alive, check_name, folder, sizes
from mesonb.live.link import address_of
from mesonb.live.master import Master
from mesonb.live.masters import COMMAND, MADE_BY, UP, Known, known
from mesonb.live.security import options
from mesonb.live.security.gate import Gate
from mesonb.session import settings_from

#: How long ``up`` waits for its master, and ``down`` for its end.
UP_S, DOWN_S = 90, 15
_POLL_S = 0.05
#: What of ``up`` is handed on to the master that it starts.
_HANDED_ON = "scheduler scheduler_file name agents cpus mem plain_dask_cpus principals acls".split()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command that was given."""
    command = parser.get_default("command")
    if command in ("master", "up"):
        _master_arguments(parser)
    else:
        parser.add_argument("--name", default="", help="only the masters of this name")
    if command == "master":
        parser.add_argument("--standby", action="store_true", help="lead as soon as nobody else does")
        parser.add_argument(
            "--election", default="", metavar="ZK", help="stand for election in a ZooKeeper: zk://host:2181/path"
        )
    if command in ("status", "top"):
        parser.add_argument(
            "address", nargs="?", default="", help="of a Dask scheduler (default: all clusters of yours)"
        )
        options.add_for_kernel(parser)
    if command == "status":
        parser.add_argument("--json", action="store_true", help="print JSON: cpus as numbers, memory and disk in bytes")
    if command == "top":
        parser.add_argument("--every", default="500ms", metavar="TIME", help="how often to look (default: %(default)s)")


def _master_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="lead this Dask cluster (default: a local one)")
    where.add_argument("--scheduler-file", metavar="FILE", help="lead the one that `dask scheduler` wrote here")
    parser.add_argument("--name", default="", help="tells several masters of yours apart")
    parser.add_argument("--agents", type=int, help="how many agents a local cluster has (default: by the cpus)")
    parser.add_argument("--cpus", type=float, help="cpus of each (default: the machine's, divided evenly)")
    parser.add_argument("--mem", help='memory of each, such as "4GB"')
    parser.add_argument(
        "--plain-dask-cpus", metavar="N", help='what ordinary Dask tasks keep of each agent, or "counted"'
    )
    options.add_for_master(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="RULE=VALUE",
        help="a rule of the master, such as agent_timeout=30s",
    )


def run(args: argparse.Namespace) -> int:
    """Do what the command says."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "master": lead, "up": up, "status": show, "top": top, "down": down,
    }  # fmt: skip
    return commands[args.command](args)


# -- master -------------------------------------------------------------------------------------------------------


def lead(args: argparse.Namespace) -> int:
    """Lead until somebody says stop; 1 if the cluster goes away before."""
    asked = {"name": args.name, "standby": args.standby, "election": args.election, **_sizes(args), **_more(args)}
    os.environ.setdefault(MADE_BY, COMMAND)
    stop = threading.Event()
    while True:
        with Master(_cluster(args), **asked) as master:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            _say(repr(master))
            code = _stay(master, stop)
        if code == 0 or not args.election:
            return code


def _stay(master: Master, stop: threading.Event) -> int:
    leads = master.leads
    while not stop.wait(_POLL_S):
        if master.given_up:
            sys.stderr.write(f"mesonb master: {master.given_up}\n")
            return 1
        if master.leads and not leads:
            leads = True
            _say(repr(master))
    return 0


def _cluster(args: argparse.Namespace) -> str | None:
    """Return the address of the Dask cluster that was given, if any."""
    if not args.scheduler_file:
        return args.scheduler  # type: ignore[no-any-return]
    try:
        return str(json.loads(Path(args.scheduler_file).read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadValue(
            f"{args.scheduler_file} is no scheduler file ({type(error).__name__}); it is what `dask scheduler --scheduler-file` writes"
        ) from None


def _sizes(args: argparse.Namespace) -> dict[str, Any]:
    """Read what the local cluster is to look like."""
    if args.cpus is None and args.mem is None:
        return {} if args.agents is None else {"agents": args.agents}
    if args.scheduler or args.scheduler_file:
        raise BadValue(
            "--cpus and --mem are for a local cluster; a Dask cluster that you give has the sizes of its workers"
        )
    if args.cpus is None or args.mem is None:
        raise BadValue("--cpus and --mem go together: mesonb up --agents 2 --cpus 4 --mem 8GB")
    each = Resources(cpus=args.cpus, mem=args.mem)
    if not (each.cpus and each.mem) or (args.agents is not None and args.agents < 1):
        raise BadValue(
            "--agents, --cpus and --mem of a local cluster are more than zero: --agents 2 --cpus 4 --mem 8GB"
        )
    return {"agents": [each] * (args.agents or 1)}


def _more(args: argparse.Namespace) -> dict[str, Any]:
    """Read what else the master is to go by."""
    more = options.for_master(args)
    if (kept := args.plain_dask_cpus) is not None:
        try:
            more["plain_dask_cpus"] = float(kept)
        except ValueError:
            more["plain_dask_cpus"] = kept  # "counted"; anything else is refused where it is read
    return more | rules(args.set)


def rules(given: list[str]) -> dict[str, Any]:
    """Read a master's rules.

    >>> rules(["agent_timeout=30s", "seed=7"])
    {'agent_timeout': '30s', 'seed': 7}
    """
    return dict(map(_rule, given))


def _rule(given: str) -> tuple[str, Any]:
    if not (found := re.fullmatch(r"(\w+)=(.+)", given)):
        raise BadValue(f"{given!r} is no rule; it looks like agent_timeout=30s")
    try:
        return found[1], json.loads(found[2])
    except ValueError:
        return found[1], found[2]


# -- up and down --------------------------------------------------------------------------------------------------


def up(args: argparse.Namespace) -> int:
    """Start a master in the background, unless it is there."""
    _check(args)
    joins = f"mb.connect({f'name={args.name!r}' if args.name else ''}) joins it"
    if there := [
        one for one in known(args.name) if one.made_by == UP and one.name == args.name and one.here and one.runs
    ]:
        _say(f"it is up already: process {there[0].pid} leads {there[0].address}; {joins}")
        return 0
    log = folder() / f"mesonb-up-{args.name or 'unnamed'}.log"
    one = _started(_start(args, log), log)
    _say(f"process {one.pid} leads {one.address}; {joins}, `mesonb down` ends it; its log is {log}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Say what is wrong here, not in a log."""
    check_name(args.name)
    settings_from(rules(args.set))
    sizes(_sizes(args).get("agents"))
    more = _more(args)
    Beside(more.get("plain_dask_cpus"))
    Gate(more.get("principals"), more.get("acls"))
    if at := _cluster(args):
        address_of(at)


def _start(args: argparse.Namespace, log: Path) -> subprocess.Popen[bytes]:
    given = {name: value for name in _HANDED_ON if (value := getattr(args, name)) not in (None, "")}
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words += [word for rule in args.set for word in ("--set", rule)] + options.handed_on(args)
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "mesonb", "master", *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, env={**os.environ, MADE_BY: UP},
        )  # fmt: skip


def _started(process: subprocess.Popen[bytes], log: Path) -> Known:
    """Wait for a master's note, which it leaves once it leads."""
    deadline_s = time.monotonic() + UP_S
    while not (mine := [one for one in known() if one.pid == process.pid]):
        if process.poll() is not None or time.monotonic() > deadline_s:
            process.kill()
            said = log.read_text(errors="replace").strip().rpartition("\n")[2] or "it said nothing"
            raise ClusterError(f"the master did not start: {said.removeprefix('mesonb master: ')} (its log: {log})")
        time.sleep(_POLL_S)
    process.returncode = 0  # it is meant to outlive this one: not waited for, and no reason to warn
    return mine[0]


def down(args: argparse.Namespace) -> int:
    """End what ``up`` started: its master, then its cluster."""
    there = [one for one in known(args.name) if one.made_by == UP and one.here]
    if not there:
        called = f" under the name {args.name!r}" if args.name else ""
        raise NotThere(
            f"nothing is up{called}; `mesonb up` starts something, `mesonb status` lists the masters of yours"
        )
    if len({one.name for one in there}) > 1:
        raise BadValue(f"several are up; say which: --name {' or --name '.join(repr(one.name) for one in there)}")
    return max(map(_end, there))


def _end(one: Known) -> int:
    local = one.local
    ended = one.end(DOWN_S)
    if local:
        local.stop()
    one.file.unlink(missing_ok=True)
    if not ended or (local and alive(local.pid)):
        sys.stderr.write(f"mesonb down: process {one.pid} does not end; kill -9 {one.pid} ends it for certain\n")
        return 1
    _say(f"process {one.pid} has ended" + (f", with its cluster at {one.address}" if local else ""))
    return 0


# -- status and top -----------------------------------------------------------------------------------------------


def show(args: argparse.Namespace) -> int:
    """Print every cluster of this user; 1 if there is none that answers."""
    terminal = None if args.json else _terminal()
    found = _clusters(args)
    if args.address and found[0].trouble:
        raise Unreachable(found[0].trouble)
    if terminal is None:
        _say(json.dumps({"clusters": [status.as_data(cluster) for cluster in found]}, indent=2))
    elif found:
        terminal.show_status(found)
    else:
        _say("no cluster of yours runs here; `mesonb up` starts one, and so does mb.Master() in a notebook")
    return int(not any(cluster.picture for cluster in found))


def top(args: argparse.Namespace) -> int:
    """Watch one cluster until q is typed."""
    every_s = parse_duration(args.every) / 1_000_000
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadValue("it needs a terminal; `mesonb status` prints once, `mesonb status --json` for programs")
    terminal = _terminal()
    with status.Watched(_the_one(args), options.who(args), options.security(args)) as watched:
        terminal.watch(watched.look, max(0.05, every_s))
    return 0


def _the_one(args: argparse.Namespace) -> status.Cluster:
    found = _clusters(args)
    led = [cluster for cluster in found if cluster.picture]
    if len(led) > 1:
        raise BadValue(f"several clusters are there; say which: mesonb top {' | '.join(one.address for one in led)}")
    if not led:
        because = found[0].trouble if found else "no cluster of yours runs here"
        raise NotThere(f"{because}; `mesonb up` starts one")
    return led[0]


def _clusters(args: argparse.Namespace) -> list[status.Cluster]:
    if args.address:
        address_of(args.address)
    return status.clusters(args.name, args.address, options.who(args), options.security(args))


def _terminal() -> ModuleType:
    try:
        from mesonb.live import terminal
    except ImportError as error:
        raise BadValue(
            f'this needs rich; pip install "mesonb[terminal]" ({error}); status --json does without'
        ) from None
    return terminal


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
