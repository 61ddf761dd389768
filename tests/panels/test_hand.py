"""Being the scheduler: offers as cards, answered on the page, in a simulation that stands still, passes, or runs in a cell."""

import threading

import pytest
from bokeh.events import ButtonClick

import mesonb as mb
from mesonb.core import calls
from mesonb.errors import BadValue, OfferError
from mesonb.panels import commands
from mesonb.panels.app import Look, Shown
from mesonb.panels.hand import CARDS, HandPanel
from mesonb.panels.view import Palette
from tests.helpers import wait_for

ONE = mb.Resources(cpus=1)
DEADLINE_S = 60


def train(rate, times=1):
    return rate * times


def crash():
    raise RuntimeError("fell over")


@pytest.fixture
def sim():
    simulation = mb.Simulation(agents=3, seed=1)
    for function in (train, crash):
        simulation.runs_for(function, "3s")
    return simulation


@pytest.fixture
def hand(sim):
    made = sim.register(mb.Hand(needs=ONE, functions=[train, crash]), name="me")
    sim.run("1s")
    return made


@pytest.fixture
def page(sim, hand):
    panel = HandPanel(Look(Palette()))
    shown = Shown(sim, panel)
    panel.again = lambda: (setattr(shown, "_rest_until_s", 0.0), panel.ask(), shown.refresh())
    return panel


def click(button):
    button._trigger_event(ButtonClick(button))


def up(page):
    return {card.offer: card for card in page.cards if card.root.visible}


def test_each_offer_is_a_card_and_a_click_launches(sim, hand, page):
    assert set(up(page)) == set(hand.held) == {"offer-1", "offer-2", "offer-3"}
    card = up(page)["offer-1"]
    assert card.function.options == ["train", "crash"] and card.needs.value == "cpus=1"
    assert "rescinded in 29 s" in card.told.text and "4 cpus" in card.told.text
    card.arguments.value, card.times.value, card.needs.value = "2, 3", "2", "cpus=2, mem=1GB"
    click(card.accept)
    assert "2 x train on offer-1" in page.told.text
    sim.run("5s")
    page.again()
    accepted = next(step.call for step in sim.log.steps if isinstance(step.call, calls.Accept) and step.call.launches)
    assert [launch.needs for launch in accepted.launches] == [mb.Resources(cpus=2, mem="1GB")] * 2
    assert [task.result() for task in hand.ended] == [6, 6]
    assert "train(2, 3)" in page.tasks.text and "finished" in page.tasks.text and "offer-1" not in up(page)


def test_a_declined_card_goes_and_its_agent_is_not_seen_for_as_long_as_was_said(sim, hand, page):
    card = up(page)["offer-2"]
    card.refuse.value = "10s"
    click(card.decline)
    sim.run("9s")
    assert not any(offer.agent == "agent-2" for offer in hand.offers)
    sim.run("3s")
    assert any(offer.agent == "agent-2" for offer in hand.offers)


def test_what_was_typed_stays_while_other_cards_come_and_go(sim, hand, page):
    kept = up(page)["offer-3"]
    kept.arguments.value = "half typ"
    hand.decline("offer-1", refuse=0)
    sim.run("1s")
    page.again()
    assert up(page)["offer-3"] is kept and kept.arguments.value == "half typ" and "offer-4" in up(page)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"needs": "cpus=9"}, "does not fit"),
        ({"times": "9"}, "does not fit"),
        ({"times": "many"}, "a number as times"),
        ({"times": "0"}, "not a number of tasks"),
        ({"times": "1.5"}, "not a number of tasks"),
        ({"needs": "lots"}, "write it like cpus=4"),
        ({"arguments": "rate"}, "plain arguments"),
    ],
)
def test_bad_input_is_said_and_the_card_stays(sim, page, typed, said):
    card, steps = up(page)["offer-1"], sim.core.steps
    for name, text in typed.items():
        getattr(card, name).value = text
    click(card.accept)
    page.again()
    assert said in page.told.text and "trouble" in page.told.text
    assert "offer-1" in up(page) and sim.core.steps == steps


@pytest.mark.parametrize(
    ("command", "because"),
    [
        ({"do": "decline", "framework": "me", "offer": "offer-99", "refuse": "5s"}, "is not in your hand"),
        ({"do": "decline", "framework": "me", "offer": "offer-1", "refuse": "soon"}, "soon"),
        ({"do": "decline", "framework": "you", "offer": "offer-1", "refuse": "5s"}, "no framework is called 'you'"),
        ({"do": "decline", "framework": "q", "offer": "offer-1", "refuse": "5s"}, "answers its offers itself"),
    ],
)
def test_commands_that_cannot_be(sim, hand, command, because):
    sim.register(mb.Queue(), name="q")
    ack = commands.obey(sim, command)
    assert not ack["ok"] and because in ack["because"]


def test_a_function_that_raises_is_a_row_with_its_reason(sim, page):
    card = up(page)["offer-1"]
    card.function.value = "crash"
    click(card.accept)
    sim.run("5s")
    page.again()
    assert "failed" in page.tasks.text and "fell over" in page.tasks.text


def test_cards_are_answered_while_a_cell_runs(sim, hand, page):
    sim.pace.speed = 2
    cell = threading.Thread(target=sim.run, args=("8s",), daemon=True)
    cell.start()
    click(up(page)["offer-1"].accept)  # no argument: train needs one
    wait_for(lambda: hand.launched, DEADLINE_S, "the task is launched between two things that happen")
    sim.pace.speed = None
    cell.join(DEADLINE_S)
    assert hand.ended[0].failed


def test_more_offers_than_cards_are_counted():
    sim = mb.Simulation(agents=CARDS + 4)
    sim.register(mb.Hand(), name="me")
    sim.run("1s")
    panel = HandPanel(Look(Palette()))
    Shown(sim, panel)
    assert len(up(panel)) == CARDS and "4 more wait behind these" in panel.head.text


def test_without_a_hand_the_page_says_what_to_type(sim):
    panel = HandPanel(Look(Palette()))
    Shown(sim, panel)
    assert "mb.Hand(" in panel.head.text and not up(panel)


def test_an_accept_that_does_not_fit_launches_nothing(hand):
    with pytest.raises(OfferError, match="5 x 1 cpu does not fit"):
        hand.accept("offer-1", train, 1, times=5)
    assert not hand.held["offer-1"].launches
    with pytest.raises(BadValue, match="no function called 'test'"):
        hand.accept("offer-1", "test")
    with pytest.raises(BadValue, match="is not a function"):
        mb.Hand(functions=["train"])
