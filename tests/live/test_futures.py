"""Existing work inside a share: concurrent.futures, Dask collections, joblib and scikit-learn, unmodified."""

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import CancelledError, as_completed

import pytest

import mesonb as mb
from mesonb.errors import BadValue
from tests.helpers import ROOT, wait_for
from tests.live.tasks import double, explode, lineage, rest
from tests.live.test_tasks import gone, pids

pytestmark = pytest.mark.live
HALF = mb.Resources(cpus=0.5)
#: One task an agent: for what imports a library that takes its time, in each child.
WHOLE = mb.Resources(cpus=2)


@pytest.fixture
def lab(master):
    with master.futures("lab", needs=HALF, role="research") as made:
        yield made


def test_an_executor_as_any_other(master, lab):
    assert list(lab.map(double, range(20))) == [2 * n for n in range(20)]
    assert sorted(future.result(60) for future in as_completed([lab.submit(double, n) for n in range(5)], 20)) == [
        0,
        2,
        4,
        6,
        8,
    ]
    assert lab.submit(dict, needs=3).result(60) == {"needs": 3}  # an argument of that name is the function's own
    with pytest.raises(ZeroDivisionError, match="7 was too much") as caught:
        lab.submit(explode, 7).result(60)
    assert "in explode" in "".join(caught.value.__notes__)
    assert master.core.frameworks["lab"].role == "research"


def test_what_is_cancelled_is_dead(lab, tmp_path):
    future = lab.submit(rest, str(tmp_path / "pids"))
    child = pids(tmp_path / "pids")[0]
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    wait_for(lambda: gone(child), 5, "its process to be dead")


def test_an_event_loop_may_wait_for_it(lab):
    async def cell():
        return await asyncio.get_running_loop().run_in_executor(lab, double, 21)

    assert asyncio.run(asyncio.wait_for(cell(), 60)) == 42


def test_a_dask_collection_is_computed_in_the_share(master):
    array = pytest.importorskip("dask.array")
    numbers = array.arange(1000, chunks=100)
    with master.futures("collections", needs=WHOLE) as lab:
        assert (numbers * 2).sum().compute(scheduler=lab) == 999_000


def test_leaving_gives_back(master):
    with master.futures("leaves", needs=HALF) as lab:
        assert lab.submit(double, 1).result(60) == 2
    wait_for(lambda: "leaves" not in master.core.frameworks, 10, "the framework to have left")
    with pytest.raises(BadValue, match="was shut down"):
        lab.submit(double, 1)


def test_joblib_runs_in_a_share(master):
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("mesonb", master=master, needs=HALF, role="research"):
        assert joblib.Parallel()(joblib.delayed(double)(n) for n in range(40)) == [2 * n for n in range(40)]
        with pytest.raises(ZeroDivisionError, match="7 was too much"):
            joblib.Parallel()([joblib.delayed(explode)(7), joblib.delayed(time.sleep)(0)])
        lazily = joblib.Parallel(return_as="generator")(joblib.delayed(double)(n) for n in range(8))
        assert list(lazily) == [2 * n for n in range(8)]
    wait_for(
        lambda: not any(name.startswith("joblib") for name in master.core.frameworks), 10, "its frameworks to have left"
    )


def test_unmodified_scikit_learn_gives_the_same_score(master):
    joblib = pytest.importorskip("joblib")
    pytest.importorskip("sklearn")
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GridSearchCV

    features, labels = make_classification(n_samples=120, n_features=6, random_state=1)
    search = GridSearchCV(RandomForestClassifier(n_estimators=5, random_state=1), {"max_depth": [2, 4]}, cv=2)
    alone = search.fit(features, labels).best_score_
    with joblib.parallel_config("mesonb", needs=WHOLE):  # the master that this process holds
        assert search.fit(features, labels).best_score_ == alone
    assert any(name.startswith("joblib") for name in master.core.incarnations)


@pytest.mark.parametrize("first", ["joblib", "mesonb"])
def test_joblib_knows_the_backend_whichever_is_imported_first(first):
    second = {"joblib": "mesonb", "mesonb": "joblib"}[first]
    code = f"""if True:
        import {first}, {second}, sys, joblib
        assert "distributed" not in sys.modules
        with joblib.parallel_config("mesonb"):
            try:
                joblib.Parallel()(joblib.delayed(abs)(n) for n in range(2))
            except Exception as error:
                print(error)
    """
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "there is no master here; write master = mb.Master()" in said.stdout, said.stderr


def test_a_private_dask_cluster_grows_computes_and_gives_back(master):
    """Its workers are tasks: a p2p shuffle, which needs real Dask workers, and a kill, which Dask sees as one that left."""
    array = pytest.importorskip("dask.array")
    with (
        master.dask("private", needs=mb.Resources(cpus=1, mem="300MB"), workers=2) as cluster,
        cluster.get_client() as client,
    ):
        client.wait_for_workers(2, timeout=90)
        assert len(master.core.frameworks["private"].tasks) == 2
        assert client.submit(double, 21).result(60) == 42
        assert int(array.arange(1000, chunks=100).rechunk(250, method="p2p").sum().compute()) == 499_500
        worker, *_ = client.submit(lineage).result(60)
        assert worker != os.getpid()
        lab = master.framework("private")
        lab.kill(next(iter(lab.tasks)))
        wait_for(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 1, 20, "Dask to see that a worker left")
        cluster.scale(0)
        wait_for(lambda: not master.core.frameworks["private"].tasks, 20, "the share to be given back")
    wait_for(lambda: "private" not in master.core.frameworks, 10, "the framework to have left")
