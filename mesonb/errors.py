"""Every exception that mesonb raises, and whose fault each one is.

    MesonbError
    ├── BadValue            a size, a time or an amount that cannot be read        (the caller's)
    ├── NotThere            a name that the master does not know                   (the caller's)
    ├── OfferError          an offer used for what it does not hold                (the framework's)
    ├── NotRegistered       a framework used before ``register``                   (the caller's)
    ├── NotAllowed          a principal not proven, or a deed that no rule allows  (the caller's)
    ├── CannotPickle        a function or argument that cannot travel to an agent  (the caller's)
    ├── TaskFailed          a task's function raised                               (the task's)
    ├── TaskGone            a task was killed or lost before it had a result       (nobody's)
    │   └── ResultLost      a large result is lost with the worker that kept it    (nobody's)
    ├── NoDuration          a simulated function of which nobody said how long it lasts
    ├── LogError            a recording that cannot be read
    └── ClusterError        a Dask cluster that cannot be used
        ├── Unreachable     nothing answers at the address
        ├── MasterExists    another master leads that cluster
        └── VersionMismatch kernel and workers run different Pythons or libraries

A wrong call to the core is not an exception but a ``Rejected`` event (mesonb.core.events); a broken invariant
is an ``AssertionError``, because it is a defect of mesonb itself.
"""


class MesonbError(Exception):
    """Anything that mesonb raises on purpose."""


class BadValue(MesonbError, ValueError):
    """A size, a time or an amount that cannot be read."""


class NotThere(MesonbError, KeyError):
    """A name that the master does not know; a KeyError, so that ``in`` and ``get`` work on weights and limits."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class OfferError(MesonbError):
    """An offer was used for what it does not hold."""


class NotRegistered(MesonbError):
    """A framework was used before it was registered with a master."""


class NotAllowed(MesonbError):
    """Somebody did not prove who they are, or may not do what they asked for; says which rule to change."""


class CannotPickle(MesonbError, TypeError):
    """A function or an argument cannot be sent to an agent."""


class TaskFailed(MesonbError):
    """A task's function raised; the remote traceback is part of the message, the cause is the original exception."""


class TaskGone(MesonbError):
    """A task was killed or lost before it had a result."""


class ResultLost(TaskGone):
    """A result was lost with the worker that kept it; ``task`` is the id of the task that can make it again."""

    def __init__(self, message: str, task: str = "") -> None:
        super().__init__(message)
        self.task = task


class NoDuration(MesonbError):
    """A simulation was not told how long a function lasts."""


class LogError(MesonbError):
    """A recording cannot be read."""


class ClusterError(MesonbError):
    """A Dask cluster cannot be used."""


class Unreachable(ClusterError):
    """Nothing answers at the address of the Dask scheduler."""


class MasterExists(ClusterError):
    """Another master leads this cluster."""


class VersionMismatch(ClusterError):
    """The kernel and a worker run different versions of Python or of a library that both must share."""


def named(kind: object) -> type[MesonbError]:
    """Return the exception that another process names; MesonbError where none of these is called so."""
    found = globals().get(kind) if isinstance(kind, str) else None
    return found if isinstance(found, type) and issubclass(found, MesonbError) else MesonbError
