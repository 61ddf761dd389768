"""Gate: who each other kernel has proven to be, and what it may say to this master; everything here is on its loop.

Without ``principals`` there is one user, whom everything belongs to, and everything passes. With them a kernel proves
who it is first; what it then asks for is looked up in the ACLs, and each refusal names the principal, the deed, the
object and the rule, to the kernel and in the master's complaints. Whose a framework is, is kept at the hub as well, so
that the next master knows; a name that nobody has had belongs to whoever registers it first.
"""

from __future__ import annotations

import hmac
import re
import secrets
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from mesonb.core import calls
from mesonb.core.branches import framework_of, owner_of
from mesonb.core.explain import Explanation, Reason
from mesonb.core.snapshot import NOBODY, Snapshot, Spots
from mesonb.live.security.acls import Acls, deed
from mesonb.live.security.principals import MASTER, NONCE_BYTES, Principals, proof
from mesonb.live.wire.comms import Message

#: What a framework says for itself.
OWN = calls.FrameworkCall
#: How a refusal names the one user of a master without principals.
USER = ""


class Gate:
    """The door of one master to other kernels."""

    def __init__(self, principals: Any = None, acls: Any = None) -> None:
        self.principals = Principals.of(principals) if principals is not None else None
        self.acls = Acls.of(acls)
        if self.principals:
            self.acls.check_who(self.principals)
        self.owners: dict[str, str] = {}  #: of frameworks in other kernels, by name
        self._who: dict[str, str] = {}  #: by kernel, once it is proven
        self._greeted: dict[str, tuple[Any, ...]] = {}

    # -- who is there -----------------------------------------------------------------------------------------------

    def greet(self, kernel: str, leader_id: str, principal: str, nonce: bytes) -> Message:
        """Answer a kernel that has come: with a welcome where there is one user, else with a challenge."""
        self.forget(kernel)
        if self.principals is None:
            return "welcome", b""
        if not principal:
            return "refused", (
                "this master has principals: say who you are, mb.connect(principal=..., secret=Path(...)), or on the "
                "command line --principal NAME --secret FILE"
            )
        if not isinstance(principal, str) or not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES:
            return "refused", "that is no greeting"
        ours = secrets.token_bytes(NONCE_BYTES)
        self._greeted[kernel] = principal, kernel, leader_id, nonce, ours
        return "challenge", ours

    def prove(self, kernel: str, proven: bytes) -> Message:
        """Look at a proof, which may be tried once, and prove ourselves in turn."""
        about = self._greeted.pop(kernel, None)
        if about is None or self.principals is None:
            return "refused", "nothing was asked; greet first"
        secret, principal = self.principals.secret(about[0]), about[0]
        if not isinstance(proven, bytes) or not hmac.compare_digest(proof(secret, "kernel", *about), proven):
            because = f"{principal!r} is not proven: this master knows no such principal, or another secret for it"
            return "refused", because
        self._who[kernel] = principal
        return "welcome", proof(secret, "master", *about)

    def who(self, kernel: str) -> str | None:
        """Return the principal of a kernel; None while it has proven none."""
        return USER if self.principals is None else self._who.get(kernel)

    def forget(self, kernel: str) -> None:
        """Forget a kernel: its comm is cut, and whoever comes next under its name proves itself anew."""
        self._who.pop(kernel, None)
        self._greeted.pop(kernel, None)

    def forget_all(self) -> None:
        """Forget all kernels: the link to the hub was cut, and nobody said who came and went meanwhile."""
        self._who.clear()
        self._greeted.clear()

    # -- whose is what ----------------------------------------------------------------------------------------------

    def own(self, framework: str, owner: str) -> bool:
        """Note whose a framework is from now on; whether that is news."""
        news = self.owners.get(framework) != owner
        self.owners[framework] = owner
        return news

    def owner(self, framework: str) -> str:
        """Return whose a framework is."""
        return self.owners.get(owner_of(framework), MASTER)

    def owns(self, who: str, framework: str) -> bool:
        """Whether a framework is a principal's; where there is one user, everything is."""
        return self.principals is None or self.owner(framework) == who

    # -- what it may do ---------------------------------------------------------------------------------------------

    def against(self, who: str, call: Any, *, taken: bool) -> str:
        """Say why a principal may not make a call that is not its framework's own; ``taken``: that name is there."""
        if isinstance(call, calls.Subscribe):
            refusals = (self.against_role(who, "register", role) for role in (call.role, *call.roles))
            refused = next(filter(None, refusals), "")
            return refused or (self.against_end(who, call.framework) if taken else "")
        if isinstance(call, OWN):
            name = call.framework
            return (
                f"the principal {who!r} may not speak for the framework {name!r}, which is {self.owner(name)}'s; to end it, ask "
                f"with cluster.unregister({name!r}), or cluster.kill for a task, which a rule for 'kill' may allow"
            )
        if isinstance(call, calls.Revoke):
            return self.against_end(who, framework_of(call.task))
        done = deed(call)
        if done is None:
            return (
                f"no kernel may tell the master of {type(call).__name__}: that is for agents, and for the master itself"
            )
        return self._against(who, *done)

    def against_role(self, who: str, action: str, role: str) -> str:
        """Say why a principal may not do something in a role."""
        return self._against(who, action, role)

    def against_end(self, who: str, framework: str) -> str:
        """Say why a principal may not end a framework, or take it over."""
        owner = self.owner(framework)
        return "" if owner == who else self._against(who, "kill", owner)

    def _against(self, who: str, action: str, what: str) -> str:
        return "" if self.principals is None else self.acls.against(who, action, what)

    # -- what it may see --------------------------------------------------------------------------------------------

    def sees(self, who: str, framework: str, role: str) -> bool:
        """Whether a principal may see a framework: its own, and those in roles that it may see."""
        return self.owner(framework) == who or not self.against_role(who, "see", role)

    def seen(self, who: str, picture: Snapshot) -> Snapshot:
        """Leave out of a picture what a principal may not see; sums stay, so that it knows how much there is."""
        if self.principals is None:
            return picture
        frameworks = tuple(row for row in picture.frameworks if self.sees(who, row.framework, row.role))
        names = {row.framework for row in frameworks}
        roles = tuple(
            role
            for role in picture.roles
            if names & set(role.frameworks) or not self.against_role(who, "see", role.role)
        )
        if len(names) == len(picture.frameworks) and len(roles) == len(picture.roles):
            return picture
        return replace(
            picture,
            frameworks=frameworks,
            roles=tuple(
                replace(role, frameworks=tuple(name for name in role.frameworks if name in names)) for role in roles
            ),
            maintenance=tuple(
                replace(window, answers={name: said for name, said in window.answers.items() if name in names})
                for window in picture.maintenance
            ),
            agents=tuple(
                replace(
                    agent,
                    offers=tuple(offer for offer in agent.offers if offer.framework in names),
                    tasks=tuple(task for task in agent.tasks if task.framework in names),
                )
                for agent in picture.agents
            ),
            spots=_anonymous(picture.spots, [row.framework in names for row in picture.frameworks]),
            used={
                agent: {task: amounts for task, amounts in by_task.items() if not task or framework_of(task) in names}
                for agent, by_task in (picture.used or {}).items()
            },
        )


def _anonymous(spots: Spots | None, seen: Sequence[bool]) -> Spots | None:
    """Say of who holds most of each agent only what may be seen; the places are those of the frameworks that are left.

    >>> spots = Spots((), (), array("I", [0, 1, 2, NOBODY]), array("f"), array("f"))
    >>> [place if place < NOBODY else "nobody" for place in _anonymous(spots, [True, False, True]).holder]
    [0, 'nobody', 1, 'nobody']
    """
    if spots is None:
        return None
    left = iter(range(len(seen)))
    places = dict(enumerate(next(left) if sees else NOBODY for sees in seen))
    return replace(spots, holder=array("I", (places.get(place, NOBODY) for place in spots.holder)))


def veiled(explanation: Explanation, names: Iterable[str]) -> Explanation:
    """Write "another" for names that are not to be seen; what calls would do about it is left out."""
    hidden = sorted((re.escape(name) for name in names if name != "*"), key=len, reverse=True)
    if not hidden:
        return explanation
    pattern = re.compile(rf"(?<![\w.-])({'|'.join(hidden)})(?![\w-])")

    def veil(reason: Reason) -> Reason:
        detail, remedy, whose = (pattern.sub("another", text) for text in (reason.detail, reason.remedy, reason.whose))
        return replace(reason, calls=(), detail=detail, remedy=remedy, whose=whose)

    reasons = tuple(map(veil, explanation.reasons))
    return replace(explanation, sentence=pattern.sub("another", explanation.sentence), reasons=reasons)


def own_tasks(framework: str, launches: Sequence[calls.TaskInfo]) -> bool:
    """Whether tasks are named as those of a framework: nobody uses up another's names.

    >>> from mesonb.core.resources import NOTHING
    >>> [own_tasks("lab", [calls.TaskInfo(id, NOTHING)]) for id in ("lab/task-1", "lab.2.7/task-1", "lab.x/task-1", "x/lab/1")]
    [True, True, False, False]
    """
    return all("/" in task.task and framework_of(task.task) == framework for task in launches)
