"""The offers panel: flights and counts are the master's own, and answers are timed."""

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.log import Step
from mesonb.panels import offers_view
from mesonb.panels.offers_view import ANSWERS, FLIGHTS_DRAWN, SPANS, US, Offers, drawing, rows

ONE = mb.Resources(cpus=1)


def made(now_us, offer, framework="f"):
    return Step(now_us, calls.Tick(), (events.OfferMade(framework, offer, "agent-1", ONE, now_us + 30 * US),))


def story():
    """Three offers: one accepted after 2 s, one declined after 1 s, one that is out still; and a refused answer."""
    refused = calls.Decline("f", ("o3",))
    return Offers().read([
        made(0, "o1"), made(1 * US, "o2"), Step(2 * US, calls.Accept("f", ("o1",)), ()), Step(2 * US, calls.Decline("f", ("o2",)), ()),
        made(4 * US, "o3"), Step(5 * US, refused, (events.Rejected(refused, "no"),)), Step(6 * US, calls.Tick(), ()),
    ])  # fmt: skip


def test_each_offer_is_followed_from_its_making_to_its_answer():
    assert [(f.offer, f.took_us, f.how) for f in story().ended] == [
        ("o1", 2 * US, "accepted"),
        ("o2", 1 * US, "declined"),
    ]


def test_a_refused_answer_leaves_the_offer_out():
    (row,) = rows(story())
    assert (row.sent, row.accepted, row.declined, row.rescinded, row.outstanding) == (3, 1, 1, 0, 1)
    assert (row.oldest_us, row.median_us, row.slowest_us) == (2 * US, 2 * US, 2 * US)


def test_a_rescinded_offer_ends_and_its_time_is_no_answer_time():
    offers = story().read([Step(9 * US, calls.Tick(), (events.Rescinded("f", "o3", "too late"),))])
    (row,) = rows(offers)
    assert (row.rescinded, row.outstanding, row.slowest_us) == (1, 0, 2 * US)


def test_spans_add_up_to_what_happened_in_the_window():
    shown = drawing(story(), 0, 8 * US)
    assert {how: sum(shown.ended[how]) for how in ANSWERS} == {"accepted": 1, "declined": 1, "rescinded": 0}
    assert sum(shown.sent) == 3 and shown.outstanding[-1] == 1 and max(shown.outstanding) == 2
    assert len(shown.edges_us) == SPANS + 1 and shown.edges_us[0] == 0 and shown.edges_us[-1] >= 8 * US
    later = drawing(story(), 3 * US, 8 * US)
    assert sum(later.sent) == 1 and not later.flights and later.outstanding[-1] == 1


def test_the_counts_are_the_masters_own(cluster):
    """With offers that are rescinded by a weight, a lost agent and a failover."""
    cluster.weights["research"] = 2
    cluster.lose_agent("agent-2")
    cluster.register(mb.Queue(needs=ONE), name="etl", role="ops")
    cluster.run("3min")
    offers = Offers().read(cluster.log.steps)
    assert set(offers.outstanding) == set(cluster.core.offers)
    for row in cluster.snapshot().frameworks:
        ours = {name: offers.counts[row.framework][name] for name in ANSWERS}
        assert ours == {name: row.counts.get(name, 0) for name in ANSWERS}, row.framework
        assert offers.counts[row.framework]["sent"] == row.counts.get("offers_made", 0)


def test_many_offers_are_bounded_and_what_is_left_out_is_said(monkeypatch):
    monkeypatch.setattr(offers_view, "FLIGHTS_KEPT", 3000)
    steps = [
        step
        for n in range(5000)
        for step in (made(n * 10, f"o{n}"), Step(n * 10 + 5, calls.Decline("f", (f"o{n}",)), ()))
    ]
    offers = Offers().read(steps)
    shown = drawing(offers, 0, 50_000)
    assert (len(shown.flights), shown.left_out) == (FLIGHTS_DRAWN, 3000 - FLIGHTS_DRAWN)
    assert sum(shown.ended["declined"]) == 3000 and shown.edges_us[0] == offers.known_from_us > 0
    assert rows(offers)[0].declined == 5000
