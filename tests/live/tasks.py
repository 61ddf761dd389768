"""Functions that the live tests send to agents; importable there, as any module of a project is."""

import array
import os
import subprocess
import sys
import time
from pathlib import Path


def double(number):
    return 2 * number


def slowly(value):
    time.sleep(0.02 + value % 7 * 0.03)  # work
    return value


def explode(number):
    raise ZeroDivisionError(f"{number} was too much")


class Trap:
    """Something that pickles, and raises where it is unpickled."""

    def __reduce__(self):
        return explode, (8,)


def lineage():
    """Return the pids of the child, of its zygote and of its Dask worker."""
    zygote = os.getppid()
    return os.getpid(), zygote, int(Path(f"/proc/{zygote}/stat").read_text().rpartition(")")[2].split()[1])


def say(path, words):
    """Write a file that is there whole or not at all, so that whoever waits for it reads all of it."""
    draft = Path(f"{path}.{os.getpid()}")  # several tasks may say so at once
    draft.write_text(" ".join(map(str, words)))
    draft.replace(path)


def rest(marker=None, seconds=60):
    """Say who runs, by a file, and rest."""
    if marker:
        say(marker, lineage())
    time.sleep(seconds)  # work


def wait_and_return(value, path):
    """Say that it runs, wait for a file, and return the value."""
    say(f"{path}.begun", lineage())
    deadline = time.monotonic() + 120
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.005)  # work
    return value


def rest_with_grandchild(marker):
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    say(marker, (os.getpid(), grandchild.pid))
    grandchild.wait()


def meet(folder, me, others):
    """Return when all others are here too: only tasks that really run at once ever do."""
    Path(folder, me).touch()
    deadline = time.monotonic() + 60
    while not all(Path(folder, other).exists() for other in others):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{me} met {sorted(Path(folder).iterdir())} only")
        time.sleep(0.005)  # work
    return me


def die():
    os._exit(7)


def cut_agents(kind="agent", name="", dask_scheduler=None):
    """Cut the link of every agent, or of another kind of peer, or of one, at the hub; runs in the Dask scheduler."""
    for line in list(dask_scheduler.plugins["mesonb-hub"].lines.values()):
        if line.kind == kind and name in ("", line.name):
            line.comm.abort()


def print_and_wait(path):
    print("before", flush=True)
    wait_and_return(0, path)
    print("after", flush=True)


def array_when(path, count):
    wait_and_return(0, path)
    return array.array("d", range(count))


def fill_when(path):
    wait_and_return(0, path)
    held = b"x" * 600_000_000
    time.sleep(20)  # work
    return len(held)


def orphan_and_wait(path):
    """Start a process in a session of its own, say who all are, and rest."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    say(path, (os.getpid(), child.pid, lineage()[2]))
    time.sleep(60)  # work


def knows(module, path):
    """Say, in a file, whether a module was imported before anybody here asked for it."""
    Path(path).write_text(f"{module in sys.modules}")


#: Says which gpus a task may see.
SHOWN = "CUDA_VISIBLE_DEVICES"


def known():
    """Return what a task knows of itself, and finds in its environment."""
    from mesonb import current  # whoever sends this to an agent has it

    return current(), {name: os.environ.get(name) for name in ("MESONB_TASK", "PORT", "MESONB_PORTS", SHOWN)}


def shown_to_a_program(path, value):
    """Return what a program that this task starts sees, once it is told to end."""
    wait_and_return(value, path)
    return subprocess.run(["printenv", SHOWN], capture_output=True, text=True, check=True).stdout.split()


def append_and_wait(value, path):
    """As ``wait_and_return``; every run leaves its mark."""
    with Path(f"{path}.runs").open("a") as runs:
        runs.write(f"{os.getpid()}\n")
    return wait_and_return(value, path)


def at_the_hub(dask_scheduler=None):
    """Return the kinds of all who are at the hub; runs in the Dask scheduler."""
    return [line.kind for line in dask_scheduler.plugins["mesonb-hub"].lines.values()]


def kept_square(number):
    """Return a square, made by the first task of a framework on an agent and kept there."""
    from mesonb import local  # whoever sends this to an agent has it

    return local().once(f"square of {number}", lambda: number * number)
