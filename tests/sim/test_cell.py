"""Randomised first fit draws from all machines with room alike, and private copies look like real copies."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mesonb.sim.architectures.cell import Cell, Copy, Journal, Pool, first_fit

GB = 10**9


def cell_of(*free_cpus):
    cell = Cell([(4000, 16 * GB)] * len(free_cpus))
    for machine, cpus in enumerate(free_cpus):
        cell.take(machine, 4000 - cpus, 0)
    return cell


def test_every_machine_with_room_is_as_likely():
    counts = Counter(
        first_fit(cell_of(4000, 0, 1000, 0, 2000, 500), 1, 1000, GB, dice)[0] for dice in map(Random, range(6000))
    )
    assert set(counts) == {0, 2, 4}
    assert all(1850 < n < 2150 for n in counts.values())


def test_a_nearly_full_cell_is_searched_to_the_end():
    cell = cell_of(*[0] * 500, 1000, *[0] * 499)
    assert first_fit(cell, 3, 1000, GB, Random(1)) == [500]
    assert first_fit(cell, 1, 1000, GB, Random(1)) == []


def test_memory_counts_too():
    cell = Cell([(4000, 3 * GB)])
    assert first_fit(cell, 4, 1000, GB, Random(1)) == [0, 0, 0]
    assert cell.free_cpus == [1000]
    assert cell.free_mem == [0]


machines = st.lists(st.integers(0, 4), min_size=1, max_size=12)
steps = st.lists(st.tuples(st.sampled_from(["take", "give", "open", "look"]), st.integers(0, 11)), max_size=60)


@given(machines, steps)
def test_a_copy_shows_the_cell_as_it_was(free, story):
    """Against the plain thing: copying the whole cell when the reader opens."""
    cell = cell_of(*[1000 * n for n in free])
    cell.journal, then, claimed = Journal(), None, set()
    for what, at in story:
        machine = at % len(free)
        if what == "take" and cell.fits(machine, 1000, 0):
            cell.take(machine, 1000, 0)
            claimed.add(machine)
        elif what == "give" and cell.free_cpus[machine] < 4000:
            cell.give(machine, 1000, 0)
        elif what == "open" and then is None:
            cell.journal.open("me")
            then, claimed = list(cell.free_cpus), set()
        elif what == "look" and then is not None:
            copy = Copy(cell, "me")
            assert [m for m, cpus in enumerate(then) if cpus >= 1000] == copy.fitting(1000, 0)
            assert copy.claimed == claimed
            placed = Counter(first_fit(copy, 100, 1000, 0, Random(at)))
            assert placed == Counter({m: cpus // 1000 for m, cpus in enumerate(then) if cpus})
            then = None


def test_two_readers_look_back_to_their_own_moments():
    cell = cell_of(1000, 1000)
    cell.journal = Journal()
    cell.journal.open("early")
    cell.take(0, 1000, 0)
    cell.journal.open("late")
    cell.take(1, 1000, 0)
    assert Copy(cell, "early").fitting(1000, 0) == [0, 1]
    late = Copy(cell, "late")
    assert late.fitting(1000, 0) == [1]
    assert late.claimed == {1}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=30), st.integers(0, 30))
def test_an_offer_that_comes_back_makes_the_pool_whole(given_back, split):
    pool, direct = Pool(6), Pool(6)
    for n, (machine, cpus) in enumerate(given_back):
        if n == split:
            offer = pool.all()
            assert (pool.cpus, pool.mem, pool.fitting(1, 1)) == (0, 0, [])
        pool.give(machine, cpus, cpus)
        direct.give(machine, cpus, cpus)
    if split < len(given_back):
        pool.merge(offer)
    assert (pool.cpus, pool.mem) == (direct.cpus, direct.mem)
    assert sorted(pool.fitting(2, 2)) == sorted(direct.fitting(2, 2))
