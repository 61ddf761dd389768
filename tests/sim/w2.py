"""The reference workload W2: 1,000 machines, six hours, 5,089 jobs; and what the published simulator gives on it."""

from pathlib import Path

from mesonb.sim.architectures.run import Case
from mesonb.sim.architectures.world import Think
from mesonb.sim.workload import read_csv

DATA = Path(__file__).parents[1] / "data" / "omega"
W2, P2 = DATA / "w2.csv", DATA / "p2.csv"
JOBS, PREFILL = read_csv(W2), read_csv(P2)
MACHINES = [(4000, 16 * 10**9)] * 1000
SIX_HOURS_US = 6 * 3600 * 10**6


def case(t_job_service_s: float) -> Case:
    """W2 with a service scheduler that takes so long a job; batch keeps 0.1 s."""
    think = {"Batch": Think(), "Service": Think(round(t_job_service_s * 10**6))}
    return Case(JOBS, MACHINES, think, PREFILL)
