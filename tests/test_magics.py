"""``%load_ext mesonb`` in a real IPython shell: what ``%mesos`` says and does, frameworks written as cells, and cards."""

import inspect
import traceback

import pytest
from IPython.core.interactiveshell import InteractiveShell

import mesonb as mb
from mesonb import cards
from mesonb.magics import HELP


def train(rate):
    return rate * 2


@pytest.fixture
def shell():
    """An IPython shell of its own, with a simulation called ``sim`` in it."""
    made = InteractiveShell()
    made.user_ns["train"], made.user_ns["mb"] = train, mb
    made.run_cell("%load_ext mesonb")
    sim = made.user_ns["sim"] = mb.Simulation(agents=2, seed=1)
    sim.runs_for(train, "3s")
    return made


def run(shell, cell):
    """Run a cell, and return its value; raise what it raised."""
    ran = shell.run_cell(cell)
    ran.raise_error()
    return ran.result


@pytest.fixture
def sim(shell):
    return shell.user_ns["sim"]


LOOKS = ["status", "frameworks", "agents", "roles", "tasks", "tasks lab", "help", ""]


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_a_small_table_in_text_and_html(shell, sim, look):
    sim.register(mb.Queue(), name="lab", role="research").map(train, range(20))
    sim.run("1s")
    told = run(shell, f"%mesos {look}")
    assert repr(told) and "<" in told._repr_html_()
    if look in ("status", ""):
        assert "sim: <simulation-" in repr(told) and "research" in repr(told)
    if look == "tasks lab":
        assert "lab/task-1  agent-1  running" in repr(told)


ACTS = [
    ("pause", "Pause"), ("resume", "Resume"), ("cycle", "Tick"), ("weight research 3", "SetWeight"), ("suppress lab", "Suppress"),
    ("revive lab", "Revive"), ("kill lab/task-1", "KillTask"), ("drain agent-1 5s", "Drain"), ("drain agent-1", "Drain"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "call"), ACTS)
def test_an_operators_word_is_a_call(shell, sim, typed, call):
    sim.register(mb.Queue(), name="lab", role="research").map(train, range(20))
    sim.run("1s")
    run(shell, f"%mesos {typed}")
    assert call in [type(step.call).__name__ for step in sim.log.steps[-3:]]


def test_why_and_watch(shell, sim):
    sim.register(mb.Queue(), name="lab")
    assert run(shell, "%mesos why lab").about == "lab"
    assert "on agent-1" in run(shell, "%mesos why lab agent-1").about
    assert repr(run(shell, "%mesos watch timeline")).startswith("<timeline of")


WRONG = [
    ("%mesos dance", "it has status, frameworks"),
    ("%mesos why", "write %mesos why NAME agent"),
    ("%mesos weight research", "write %mesos weight ROLE NUMBER"),
    ("%mesos weight research heavy", "'heavy' is not a number"),
    ("%mesos kill lab/task-99", "nothing here is called 'lab/task-99'"),
    ("%mesos watch stars", "no panel is called 'stars'"),
    ("%mesos use nobody", "nobody is no master or simulation here; there are: sim"),
    ("%%framework\npass", "write %%framework NAME"),
    ("%%framework 2fast\npass", "write %%framework NAME"),
    ("%%framework a b c\npass", "write %%framework NAME"),
    ("%%framework a cpus=many\npass", "many"),
    ("%%framework a on=nobody\npass", "nobody is no master"),
    ("%%framework a cpus=99\npass", "no agent is large enough"),
]


@pytest.mark.parametrize(("cell", "because"), WRONG)
def test_what_is_typed_wrongly_is_said_in_a_line_and_changes_nothing(shell, sim, cell, because, capsys):
    steps = sim.core.steps
    shell.run_cell(cell)
    said = capsys.readouterr()
    assert because in said.out + said.err and "Traceback" not in said.out + said.err
    assert sim.core.steps == steps


def test_without_a_master_it_says_how_to_make_one(capsys):
    bare = InteractiveShell()
    bare.run_cell("%load_ext mesonb")
    bare.run_cell("%mesos")
    said = capsys.readouterr()
    assert "sim = mb.Simulation()" in said.out + said.err


def test_of_several_the_newest_is_meant_or_the_one_in_use(shell, sim):
    other = shell.user_ns["other"] = mb.Simulation(agents=5)
    assert "other: " in repr(run(shell, "%mesos"))
    run(shell, "%mesos use sim")
    assert "sim: " in repr(run(shell, "%mesos"))
    run(shell, "%%framework here on=other\npass")
    assert "here" in other.drivers and "here" not in sim.drivers


# -- frameworks as cells ------------------------------------------------------------------------------------------------

BODY = """%%framework greedy research cpus=1 mem=1GB
for offer in offers:
    while offer.fits(self.needs):
        offer.launch(train, 21)
"""
CLASS = '''%%framework sweep research cpus=2
"""Train one model per rate."""
todo = [1, 2, 3]
results = []

def on_offers(self, offers):
    for offer in offers:
        while self.todo and offer.fits(self.needs):
            offer.launch(train, self.todo.pop())

def on_update(self, task):
    if task.finished:
        self.results.append(task.result())
'''


def test_a_cell_is_the_body_of_on_offers(shell, sim):
    made = run(shell, BODY)
    assert made is shell.user_ns["greedy"] and made.role == "research" and type(made).__name__ == "Greedy"
    sim.run("1s")
    assert len(made.tasks) == 8 and made.needs == mb.Resources(cpus=1, mem="1GB")


def test_a_cell_that_defines_on_offers_is_the_body_of_a_class(shell, sim):
    made = run(shell, CLASS)
    sim.run("10s")
    assert sorted(made.results) == [2, 4, 6] and type(made).__doc__ == "Train one model per rate."
    assert type(made).__module__ == "__main__", "so it travels to agents by value"


def test_run_again_the_new_code_takes_over_and_tasks_run_on(shell, sim, capsys):
    first = run(shell, BODY)
    sim.run("1s")
    second = run(shell, BODY.replace("train, 21", "train, 4"))
    assert "took over; its tasks run on" in capsys.readouterr().out
    sim.run("1s")
    assert second is not first and len(second.tasks) == 8 == len(sim.core.tasks)


def test_a_mistake_in_the_cell_shows_the_cells_own_line(shell, sim):
    made = run(shell, "%%framework clumsy\nfor offer in offers:\n    offer.launch(train, 1 / 0)\n")
    sim.run("1s")
    (complaint, *_) = sim.complaints
    assert "ZeroDivisionError" in complaint.error and "line 3" in complaint.traceback
    assert "offer.launch(train, 1 / 0)" in complaint.traceback, "the line itself"
    assert made.name == "clumsy"


def test_a_cell_that_is_no_python_is_told_as_such(shell, sim):
    steps = sim.core.steps
    ran = shell.run_cell("%%framework broken\nfor offer in\n")
    assert isinstance(ran.error_in_exec or ran.error_before_exec, SyntaxError)
    assert sim.core.steps == steps and "broken" not in shell.user_ns


# -- cards ----------------------------------------------------------------------------------------------------------------


def examples():
    """One of each kind of object that mesonb's public names make, as a cell would have it."""
    sim = mb.Simulation(agents=2, seed=1)
    sim.runs_for(train, "3s")
    queue, hand = sim.register(mb.Queue(), name="lab", role="ops"), sim.register(mb.Hand(), name="me")
    runs = queue.map(train, [1, 2])
    sim.run("100ms")
    sim.limits["ops"] = mb.Resources(cpus=4)
    task = next(iter(queue.tasks.values()))
    modules = [mb.DRF(), mb.FIFO(), mb.Lottery(), mb.RoundRobin(), mb.StrictPriority(), mb.WeightedRandom()]
    machine = mb.Agent(mb.Resources(cpus=1), attributes={"rack": "r1"})
    return [
        sim, queue, hand, mb.Queue(), mb.Near(), runs[0], task, *hand.offers[:1], sim.log, mb.replay(sim.log), sim.explain("lab"),
        sim.weights, sim.limits, sim.guarantees, sim.priorities, mb.Resources(cpus=1, mem="2GB"), mb.Resources(), machine,
        *modules, sim.step(), sim.snapshot(), mb.sweep(train, rate=[1, 2]), mb.what_if(sim.log, allocator=mb.FIFO()),
    ]  # fmt: skip


def test_every_public_object_has_a_line_and_a_card():
    for thing in examples():
        text = repr(thing)
        assert text and " object at 0x" not in text, text
        bundle = getattr(thing, "_repr_mimebundle_", None)
        html = bundle()["text/html"] if bundle else thing._repr_html_()
        assert html.startswith(("<", "\n<")) and "<script" not in html, text


def test_cards_escape_what_they_show():
    sim = mb.Simulation(agents=1)
    found = sim.register(mb.Queue(), name="lab", role="a_b")
    rule = mb.Agent(mb.Resources(cpus=1), attributes={"<b>": "<i>"})
    assert "<i>" not in cards.agent(rule) and "&lt;i&gt;" in cards.agent(rule)
    assert "&lt;Queue lab in role a_b" in cards.framework(found)


def test_a_card_says_what_the_class_says_of_itself_and_nothing_of_its_base():
    class Silent(mb.Framework):
        pass

    assert cards.framework(Silent()) == "<div><code>&lt;Silent, not registered&gt;</code> </div>"
    assert "Runs functions" in cards.framework(mb.Queue())


def test_no_public_name_was_forgotten():
    made_by = {name for name in mb.__all__ if inspect.isclass(getattr(mb, name))}
    shown = {type(thing).__name__ for thing in examples()}
    elsewhere = {"Allocator", "Framework", "MesonbError", "Master"}  # bases; a master has the board's own tests
    assert made_by - shown <= elsewhere, made_by - shown
    assert "%mesos status" in HELP


def test_the_traceback_of_a_magic_is_short(shell):
    ran = shell.run_cell("%mesos dance")
    error = ran.error_in_exec
    assert type(error).__name__ == "UsageError" and len(traceback.format_exception_only(error)) == 1
