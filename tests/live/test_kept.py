"""What keeps executors dies just while somebody takes it over: before it has said what runs there, and before that was heard."""

import asyncio
import os
import pickle
import signal
import tempfile
from pathlib import Path

import pytest

from mesonb.core.resources import NOTHING
from mesonb.live.limits.isolation import DEFAULT
from mesonb.live.outlive.keeper import Plan
from mesonb.live.outlive.kept import Kept, place
from mesonb.live.tasks.cargo import digest_of
from mesonb.live.tasks.child import DONE, STARTED
from tests.helpers import wait_for_async
from tests.live.tasks import double, rest

pytestmark = pytest.mark.live


class Agent:
    """The part of an agent that hears of its executors."""

    def __init__(self, plan):
        self.heard = []
        self.kept = Kept(
            plan, lambda number, kind, _: self.heard.append((number, kind)),
            lambda number, because, _: self.heard.append((number, because)), lambda *_: None, lambda *_: None,
            lambda number: (f"lab/task-{number}", b"", ()),
        )  # fmt: skip

    def run(self, number, function, *arguments):
        content = pickle.dumps(function)
        self.kept.learn(digest_of(content), content)
        self.kept.run(number, digest_of(content), pickle.dumps((arguments, {})), NOTHING)

    async def hears(self, *what):
        await wait_for_async(lambda: what in self.heard, 60, f"{what}; heard {self.heard}")


def at_once(kept, pid):
    """Kill what is taken over when it is found, so that it may say nothing any more."""
    find = kept._find

    def found():
        own = find()
        os.kill(pid, signal.SIGKILL)
        return own

    kept._find = found


def when_it_has_spoken(kept, pid):
    kept._ready.add_done_callback(lambda _: os.kill(pid, signal.SIGKILL))


@pytest.mark.parametrize("when", [at_once, when_it_has_spoken])
def test_it_is_replaced_and_its_tasks_have_failed(when, tmp_path):
    async def story(folder):
        plan = Plan(("id", None, tmp_path), folder, b"secret", 60, 1, (), DEFAULT, {})
        first, second = Agent(plan), Agent(plan)
        await first.kept.open()
        first.kept.listen()
        first.run(1, rest)
        await first.hears(1, STARTED)
        when(second.kept, first.kept.pid)
        first.kept._closed = True  # its worker is gone, and does not start another
        await second.kept.open()
        await wait_for_async(lambda: second.kept.pid not in (0, first.kept.pid), 60, "another one to be there")
        second.kept.listen()
        if second.kept.found:
            await second.hears(1, "the process that kept its executors has died")
        second.run(2, double, 4)
        await second.hears(2, DONE)
        second.kept.close()

    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mesonb.live.outlive.kept.tempfile.gettempdir", lambda: root)
        asyncio.run(story(place(b"secret", "agent-1")))
        assert not list(Path(root).glob("*/*"))
