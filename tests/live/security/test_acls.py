"""ACLs on their own: how rules are read, which decides, and what a refusal says."""

import json
from dataclasses import replace

import pytest

from mesonb.core import calls, snapshot
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.live.security.acls import ACTIONS, Acls, deed
from mesonb.live.security.gate import Gate
from tests.live.security import conftest

RULES = [
    {"who": "anna", "may": "register", "what": ["research", "research/*"]},
    {"who": ["ben", "carl"], "may_not": "register", "what": "research*"},
    {"who": "*", "may": "register", "what": "*"},
    {"who": "anna", "may": "kill", "what": "ben"},
]


@pytest.mark.parametrize(
    ("who", "action", "what", "allowed"),
    [
        ("anna", "register", "research", True), ("anna", "register", "research/deep", True), ("anna", "register", "prod", True),
        ("ben", "register", "research", False), ("ben", "register", "prod", True), ("anna", "kill", "ben", True),
        ("ben", "kill", "anna", False), ("anna", "kill", "carl", False), ("anna", "drain", "agent-1", False),
    ],
)  # fmt: skip
def test_the_first_rule_that_speaks_of_it_decides(who, action, what, allowed):
    assert Acls(RULES).allows(who, action, what) is allowed


def test_a_refusal_names_who_what_and_the_rule():
    acls = Acls(RULES, "rules.toml")
    assert acls.against("ben", "register", "research") == (
        "the principal 'ben' may not register in the role 'research': rule 2 of rules.toml forbids it"
    )
    assert acls.against("ben", "change", "prod") == (
        "the principal 'ben' may not change the role 'prod': no rule of rules.toml allows it; whoever holds the master adds "
        '{"who": "ben", "may": "change", "what": "prod"}'
    )
    added = json.loads(acls.against("ben", "change", "prod").partition("adds ")[2])
    assert Acls([*RULES, added]).allows("ben", "change", "prod")


def test_json_and_toml_say_the_same(tmp_path):
    rules = [{"who": ["anna"], "may": "drain", "what": ["agent-*"]}, {"who": "*", "may": "see", "what": "*"}]
    (tmp_path / "a.json").write_text(json.dumps({"rules": rules}))
    (tmp_path / "a.toml").write_text(
        '[[rules]]\nwho = ["anna"]\nmay = "drain"\nwhat = ["agent-*"]\n\n[[rules]]\nwho = "*"\nmay = "see"\nwhat = "*"\n'
    )
    assert Acls.of(tmp_path / "a.json").rules == Acls.of(str(tmp_path / "a.toml")).rules == Acls.of(rules).rules


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"who": "anna", "may": "fly"}], "rule 1 of acls= speaks of 'fly'; a rule may speak of register"),
        ([{"who": "anna"}], "rule 1 of acls= has to look like"),
        ([{"may": "see"}], "has to look like"),
        ([{"who": "anna", "may": "see", "may_not": "see"}], "has to look like"),
        ([{"who": "anna", "may": "see", "role": "x"}], "has to look like"),
        ([{"who": [], "may": "see"}], "has to name somebody"),
        ([{"who": "anna", "may": "see", "what": 3}], "has to name somebody"),
        (["anna may see"], "has to look like"),
        (3, "a list called rules"),
        ({"roles": []}, "a list called rules"),
        ("no/such/file.json", "no/such/file.json cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(rules, words):
    with pytest.raises(BadValue, match=words):
        Acls.of(rules)


def test_a_file_that_is_no_toml_is_said(tmp_path):
    (tmp_path / "a.toml").write_text("rules = [")
    with pytest.raises(BadValue, match="is no TOML"):
        Acls.of(tmp_path / "a.toml")


def test_a_rule_about_nobody_is_a_mistake():
    with pytest.raises(BadValue, match="rule 2 of acls= is about 'carl', but the principals are anna, ben"):
        Acls(RULES).check_who(["anna", "ben"])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (calls.SetWeight("lab", 1), ("change", "lab")), (calls.SetGuarantee("lab", Resources()), ("change", "lab")),
        (calls.SetLimit("lab", Resources()), ("change", "lab")), (calls.SetPriority("lab", 1), ("change", "lab")),
        (calls.Reserve("a", "lab", Resources()), ("reserve", "lab")), (calls.Drain("a"), ("drain", "a")),
        (calls.Undrain("a"), ("drain", "a")), (calls.SetAllocator("FIFO"), ("allocate", "FIFO")),
        (calls.Pause(), ("pause", "*offers*")),
        (calls.Tick(), ("pause", "*offers*")), (calls.AgentLost("a"), None), (calls.Subscribe("f"), None),
    ],
)  # fmt: skip
def test_what_an_operators_call_does(call, expected):
    assert deed(call) == expected
    assert expected is None or expected[0] in ACTIONS


def test_no_part_of_a_picture_names_what_may_not_be_seen():
    """Every field of a snapshot is looked at, so a new one that names frameworks or roles is noticed here."""
    core, gate = MasterCore(), Gate(conftest.SECRETS, conftest.RULES)
    gate.owners["annas"] = "anna"
    core.step(calls.AgentJoined("a", Resources(cpus=4)), 0)
    core.step(calls.SetWeight("hidden", 7000), 0)
    assert "hidden" not in repr(gate.seen("ben", snapshot.take(core))), "a role in which nobody is"
    core.step(calls.Subscribe("annas", "hidden"), 0)
    core.step(calls.Tick(), 0)
    (offer,) = core.offers
    core.step(calls.Accept("annas", (offer,), (calls.TaskInfo("annas/task-1", Resources(cpus=1)),)), 0)
    core.step(calls.PlanMaintenance("a", 60_000_000), 0)
    core.step(calls.Tick(), 1)
    picture = replace(snapshot.take(core), used={"a": {"": Resources(cpus=1), "annas/task-1": Resources(cpus=1)}})
    assert all(getattr(picture, part) for part in ("agents", "frameworks", "roles", "maintenance", "used"))
    assert picture.maintenance[0].answers == {"annas": "none yet"}
    for word in ("annas", "hidden"):
        assert word in repr(picture) and word in repr(gate.seen("anna", picture))
        assert word not in repr(gate.seen("ben", picture))
    assert gate.seen("anna", picture) is picture
