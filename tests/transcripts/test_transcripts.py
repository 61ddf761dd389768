"""Every scenario file gives what is recorded in it; the grammar says what is wrong and what to type instead.

After a change that is meant: ``mesonb transcript --rewrite tests/transcripts/*.txt``, and look at the difference.
"""

from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path

import pytest

from mesonb import transcripts
from mesonb.errors import BadValue
from mesonb.transcripts.scenario import VERBS, Scenario
from mesonb.transcripts.words import CALLS, hints, made

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_recorded_happens(path) -> None:
    transcript = transcripts.read(path).run()
    assert not transcript.differences(), "\n".join(transcript.differences())
    assert transcript.text() == path.read_text(), "only the spacing differs: mesonb transcript --rewrite lays it out"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_opens_with_a_sentence_and_records_answers(path) -> None:
    assert path.read_text().startswith("# ")
    assert any(block.recorded for block in transcripts.read(path).blocks)


def test_every_command_has_an_example() -> None:
    """A verb that nobody shows is a verb of which nobody knows what it answers."""
    blocks = [block for path in FILES for block in transcripts.read(path).blocks]
    shown = {command.split()[0] for block in blocks for _, command in block.commands()}
    assert not {*VERBS, *Scenario()._specials()} - shown


def answers(text: str) -> list[list[str]]:
    return [block.answer for block in transcripts.parse(text).run().blocks]


def test_spacing_does_not_matter_but_words_do() -> None:
    good = "agent a cpus=1\nframework F\ntick\n----\noffer-1 a ->   F cpus=1\n"
    assert transcripts.parse(good).run().differences() == []
    wrong = transcripts.parse(good.replace("cpus=1\n", "cpus=2\n", 1), "wrong.txt").run().differences()
    assert wrong[0].startswith("--- wrong.txt:1 recorded")
    assert "-offer-1 a ->   F cpus=1" in wrong
    assert "+offer-1  a -> F   cpus=2" in wrong


def test_an_answer_that_should_be_nothing_is_compared_too() -> None:
    assert transcripts.parse("agent a cpus=1\nframework F\ntick\n----\n\npause\n").run().differences()


def test_a_rewritten_file_is_as_expected(tmp_path, capsys) -> None:
    path = tmp_path / "case.txt"
    path.write_text("# A case.\nagent a cpus=1\nframework F\ntick\n----\nwrong\n\npause\n----\n\n# the end\n")
    assert transcripts.main([path], expect=True) == 1
    assert "-wrong" in capsys.readouterr().out
    assert transcripts.main([path], rewrite=True) == 0
    assert path.read_text() == (
        "# A case.\nagent a cpus=1\nframework F\ntick\n----\noffer-1  a -> F   cpus=1\n\npause\n----\n\n# the end\n"
    )
    assert transcripts.main([path], expect=True) == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("fly", "case:1: 'fly' is no command; there are: .*accept"),
        ("agent a", "AgentJoined needs total"),
        ("agent a cpus=lots", "cpus='lots' is not a number"),
        ("agent a cpus=1 colour", "AgentJoined does not take"),
        ("framework F role=", "'role=' should read name=value"),
        ("framework F size=big", "Subscribe has no 'size'; it has: framework=, role="),
        ("accept", "which offer"),
        ("accept offer-1", "offer-1 was never made"),
        ("decline offer-1 t: cpus=1", "a decline launches nothing"),
        ("update F/t", "an update names a task and its state"),
        ("update F/t flying", "'flying' is not one of: staging, running"),
        ("advance", "is not a time"),
        ("advance soon", "'soon' is not a time"),
        ("tick 5s", "advance 5s"),
        ("agents many", "how many"),
        ("role lab", "what of the role lab"),
        ("show me", "show what"),
        ("failover F", "failover of whom"),
        ("kill", "kill which task"),
        ("settings allocator=Chaos", "no allocator of mesonb is called 'Chaos'"),
    ],
)
def test_what_is_no_command_is_explained(command, says) -> None:
    with pytest.raises(BadValue, match=says):
        transcripts.parse(command, "case").run()


def test_settings_come_first() -> None:
    with pytest.raises(BadValue, match="case:2: settings come first"):
        transcripts.parse("tick\nsettings seed=3", "case").run()


def test_a_scenario_that_is_not_there() -> None:
    with pytest.raises(BadValue, match="nowhere.txt cannot be read"):
        transcripts.read("nowhere.txt")


def typed(name: str, hint: object) -> str:
    """Type a word for a field of a call, as a reader would."""
    if name.endswith("_us"):
        return f"{name.removesuffix('_us')}=5s"
    if name.endswith("_milli"):
        return f"{name.removesuffix('_milli')}=1.5"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"{name}={next(iter(hint)).value}"
    return f"{name}=cpus:1,mem:2GB" if "Resources" in str(hint) else f"{name}=7"


@pytest.mark.parametrize("kind", CALLS.values(), ids=list(CALLS))
def test_every_call_can_be_typed(kind) -> None:
    """A new call is within reach by its own name and fields, before it has a verb."""
    needed = [part.name for part in fields(kind) if part.default is MISSING and part.default_factory is MISSING]
    call = made(kind, [typed(name, hints(kind)[name]) for name in needed], ())
    assert type(call) is kind
    for name in needed:
        expected = {"_us": 5_000_000, "li": 1500}.get(name[-3:] if name.endswith("_us") else name[-2:])
        assert expected is None or getattr(call, name) == expected


def test_every_verb_stands_for_a_call() -> None:
    assert {name for name, _ in VERBS.values()} <= set(CALLS)


def test_a_call_by_its_own_name() -> None:
    told = answers(
        "AgentJoined agent=a cpus=2\nSubscribe framework=F role=lab\nTick\nSetWeight role=lab weight=2\nshow roles\n"
    )
    assert told == [
        [
            "offer-1  a -> F   cpus=2",
            "rescind offer-1 from F: the weight of lab changed",
            "lab  weight 2  share 0  nothing",
        ]
    ]


def test_attributes_are_written_with_a_colon() -> None:
    scenario = Scenario()
    scenario.do("agent a cpus=1 mem=1GB licences=3 rack:r1 zone:west")
    agent = scenario.core.agents["a"]
    assert agent.attributes == (("rack", "r1"), ("zone", "west"))
    assert agent.total.amounts == {"cpus": 1000, "mem": 10**9, "licences": 3000}


def test_the_clock_counts_from_the_start() -> None:
    told = answers("agent a cpus=1\nframework F\ntick\ndecline offer-1 refuse=90s\nadvance 2min\nshow time")
    first, *later = told[0]
    assert first == "offer-1  a -> F   cpus=1"
    assert later[:2] == ["at 1.5 min", "offer-2  a -> F   cpus=1"]
    assert later[2:] == [
        "at 2 min",
        "rescind offer-2 from F: not answered within 30 s",
        "offer-3  a -> F   cpus=1",
        "2 min",
    ]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("fly", "'fly' is no command of a sorter; there are: activate"),
        ("client a", "a client called a is here already"),
        ("client weight=2", "which client"),
        ("weight a", "write: weight PATH 2"),
        ("allocate b cpus=1", "no client is called b; there are: a"),
        ("release a cpus=1", "a holds nothing; it cannot release"),
    ],
)
def test_what_is_no_command_of_a_sorter_is_explained(command, says) -> None:
    with pytest.raises(BadValue, match=f"case:4: {says}"):
        transcripts.parse(f"sorter\ntotal cpus=4\nclient a weight=2\n{command}", "case").run()


def test_a_sorter_with_nobody_in_it() -> None:
    told = answers("sorter\nclient a\ndeactivate a\nsort\nshow a\nremove a\nsort")
    assert told == [["nobody", "a  0  0 allocations  nothing  inactive", "nobody"]]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("back", "which agent, and what does it run"),
        ("reconcile", "whose tasks"),
        ("explain", "explain whom"),
        ("explain nobody", "nothing here is called 'nobody'"),
        ("update F/t running from agent-3", "rejected"),
    ],
)
def test_further_commands_are_explained(command, says) -> None:
    try:
        assert answers(command)[0][0].startswith(says)
    except BadValue as error:
        assert says in str(error)  # noqa: PT017 - one of the two, as the table says
