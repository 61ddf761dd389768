"""A live framework in several roles, with the log on disk meanwhile."""

import pytest

import mesonb as mb
from mesonb.core.log import Log
from mesonb.errors import LogError
from tests.live.conftest import SMALL
from tests.live.tasks import double

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("_clusters")]


class Both(mb.Framework):
    """Runs one task in each of its roles."""

    needs = SMALL

    def __init__(self) -> None:
        self.results: dict[str, int] = {}
        self.in_role: dict[str, str] = {}

    def on_offers(self, offers) -> None:
        for offer in offers:
            if offer.role not in self.in_role.values():
                self.in_role[offer.launch(double, len(offer.role)).id] = offer.role

    def on_update(self, task) -> None:
        if task.finished:
            self.results[self.in_role[task.id]] = task.result()


def test_a_framework_in_two_roles_and_its_log(tmp_path) -> None:
    with mb.Master(agents=2, name="roles", log=tmp_path / "run.mesonb") as master:
        both = master.register(Both(), name="both", role=["lab", "research"])
        master.wait_until(lambda: len(both.results) == 2, "20s")
        assert both.results == {"lab": 6, "research": 16}
        assert master.log.kept == 100_000
        master.wait_until(lambda: not master._unacknowledged, "10s")
        master.maintain("agent-1", after="1h")
        master.wait_until(lambda: master.maintenance, "5s")
        master.unregister(both)
        master.wait_until(lambda: not master.core.frameworks, "10s")
    loaded = Log.load(tmp_path / "run.mesonb")
    assert loaded.steps == master.log.steps
    loaded.replay()


def test_a_master_lets_go_of_old_calls_and_the_rest_replays_exactly(tmp_path) -> None:
    with mb.Master(agents=2, name="roles", log=tmp_path / "run.mesonb", log_steps=100) as master:
        queue = master.register(mb.Queue(needs=SMALL), name="lab")
        for begin in range(0, 200, 20):
            runs = queue.map(double, range(begin, begin + 20))
            assert [run.result("20s") for run in runs] == [2 * number for number in range(begin, begin + 20)]
        replay = mb.replay(master.log)  # checks each step
        assert replay.log.forgotten and len(replay.log.steps) <= 100
        with pytest.raises(LogError, match=r"run\.mesonb"):
            replay.seek(0)
    whole = Log.load(tmp_path / "run.mesonb")
    assert whole.steps[replay.log.forgotten :][: len(replay.log.steps)] == replay.log.steps
    whole.replay()
