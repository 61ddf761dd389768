"""Callbacks: a misspelt one is refused at once; what one raises is told where its person looks, and only once."""

import logging

import pytest

import mesonb as mb
from mesonb.errors import BadValue
from mesonb.frameworks.callbacks import KINDS_TOLD, Complaint, Complaints
from mesonb.sim.faults import Faults
from mesonb.sim.storm import storm


class Faulty(mb.Framework):
    """Takes the list of offers for one offer."""

    def on_offers(self, offers):
        offers.launch(len, "abc", needs=mb.Resources(cpus=1))


@pytest.fixture
def sim():
    return mb.Simulation(agents=1, seed=1)


@pytest.mark.parametrize(
    ("wrong", "right"), [("on_offer", "on_offers"), ("onOffers", "on_offers"), ("on_updates", "on_update")]
)
def test_a_misspelt_callback_is_refused_with_the_right_name(sim, wrong, right) -> None:
    kind = type("Sweep", (mb.Framework,), {wrong: lambda self, said: None})
    with pytest.raises(BadValue, match=f"Sweep has {wrong}, which nobody calls; did you mean {right}?"):
        sim.register(kind(), name="sweep")
    assert not sim.snapshot().frameworks


def test_a_method_of_ones_own_beside_the_callback_is_none_of_our_business(sim) -> None:
    class Sweep(mb.Framework):
        def on_offers(self, offers):
            for offer in offers:
                self.on_offer(offer)

        def on_offer(self, offer):
            offer.launch(len, "abc", needs=mb.Resources(cpus=1))

        def once(self):
            """Begins with "on", and is like no callback."""

    assert sim.register(Sweep(), name="sweep").name == "sweep"


def test_a_class_is_no_framework_yet(sim) -> None:
    with pytest.raises(BadValue, match=r"Faulty is a class; register an object of it: master.register\(Faulty\(\)"):
        sim.register(Faulty)


def test_what_a_callback_raises_is_told_wherever_one_asks(sim, caplog) -> None:
    faulty = sim.register(Faulty(), name="faulty")
    with caplog.at_level(logging.ERROR, "mesonb"):
        sim.run("1min")
    assert len(sim.complaints) > 1  # it is offered the agent again and again
    (record,) = caplog.records
    said = "AttributeError: 'list' object has no attribute 'launch'"
    assert f"faulty, in its on_offers: {said}" in record.getMessage() and "Traceback" in record.getMessage()
    assert f"on_offers raised {said}" in repr(faulty)
    assert f"in its on_offers: {said} (correct it, and register it again with name='faulty')" in repr(
        sim.explain("faulty")
    )
    sim.register(mb.Queue(), name="faulty")
    assert "launch" not in repr(sim.explain("faulty"))


def test_kinds_of_errors_are_told_once_and_not_without_end(caplog) -> None:
    complaints = Complaints()
    with caplog.at_level(logging.ERROR, "mesonb"):
        for number in range(3 * KINDS_TOLD):
            complaints.append(Complaint(0, "f", "on_offers", "ValueError: the same kind", "Traceback"))
            complaints.append(Complaint(0, "f", f"on_{number}", "KeyError: another", "Traceback"))
    assert len(caplog.records) == KINDS_TOLD


def test_a_storm_whose_frameworks_raise_on_purpose_is_quiet(caplog) -> None:
    with caplog.at_level(logging.ERROR, "mesonb"):
        passed = storm(seed=1, until="30s", faults=Faults(raises=0.5))
    assert passed.faults["raises"] and not caplog.records
