"""``mesonb demo``: the main job with no browser. Two programs share one local Dask cluster, and a report shows how.

An iterative logistic regression (rounds of gradient tasks) and a hyper-parameter sweep (independent tasks) run on the
handwritten digits that scikit-learn ships. Nothing here is special to the demo: both are ordinary frameworks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import dask
import numpy as np

import mesonb as mb
from mesonb.core.snapshot import Snapshot
from mesonb.errors import BadValue
from mesonb.frameworks.iterative import Iterative, Work

#: Digits 0-9, and pixels 8 x 8 with one constant for the intercept.
CLASSES, FEATURES = 10, 65
PARTS = 4
STRENGTHS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
FOLDS = 5


@cache
def digits() -> tuple[Any, Any, Any, Any]:
    """Return train pixels (n, 65), train labels (n,), test pixels, test labels; every fourth image is for testing."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pixels = np.hstack([pixels / 16.0, np.ones((len(pixels), 1))])
    held_out = np.arange(len(pixels)) % 4 == 0
    return pixels[~held_out], labels[~held_out], pixels[held_out], labels[held_out]


def images_of(part: int) -> int:
    """Return how many images one part of the training set holds."""
    return len(digits()[1][part::PARTS])


def gradient(part: int, weights: Any) -> tuple[Any, float, int]:
    """Return the summed gradient (65, 10), the summed loss and the number of images of one part of the training set."""
    pixels, labels, _, _ = digits()
    pixels, labels = pixels[part::PARTS], labels[part::PARTS]
    scores = pixels @ weights
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances = odds / odds.sum(axis=1, keepdims=True)
    loss = -np.log(chances[np.arange(len(labels)), labels]).sum()
    chances[np.arange(len(labels)), labels] -= 1
    return pixels.T @ chances, float(loss), len(labels)


def trial(strength: float, fold: int) -> tuple[float, int, float]:
    """Train with one regularisation strength, leaving out one fold; return its accuracy there."""
    from sklearn.linear_model import LogisticRegression

    pixels, labels, _, _ = digits()
    left_out = np.arange(len(labels)) % FOLDS == fold
    model = LogisticRegression(C=strength, max_iter=1000).fit(pixels[~left_out], labels[~left_out])
    return strength, fold, float(model.score(pixels[left_out], labels[left_out]))


class Regression(Iterative):
    """Multinomial logistic regression by gradient descent: a round is one gradient, in parts."""

    def __init__(self, rounds: int, rate: float = 2.0) -> None:
        super().__init__(needs=mb.Resources(cpus=1, mem="256MiB"))
        self.rounds, self.rate = rounds, rate
        self.weights = np.zeros((FEATURES, CLASSES))
        self.losses: list[float] = []
        self.times: list[float] = []  #: when each round was complete, in the master's seconds

    def work(self) -> Iterable[Work]:
        """One gradient task for each part of the training set."""
        return [(gradient, (part, self.weights)) for part in range(PARTS)]

    def combine(self, results: list[Any]) -> bool:
        """Take one step downhill."""
        images = sum(n for _, _, n in results)
        self.times.append(self.now)
        self.losses.append(sum(loss for _, loss, _ in results) / images)
        self.weights = self.weights - self.rate * sum(part for part, _, _ in results) / images
        self.progress(iteration=self.round, total=self.rounds, loss=self.losses[-1])
        return self.round < self.rounds

    def speed(self) -> float:
        """Return iterations per second, from the end of the first to the end of the last."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])

    def accuracy(self) -> float:
        """Return the fraction of test images recognised."""
        _, _, pixels, labels = digits()
        return float(((pixels @ self.weights).argmax(axis=1) == labels).mean())


def main(args: argparse.Namespace) -> int:
    """Run both programs, print what happened, and write the report."""
    if args.rounds < 1:
        raise BadValue(f"--rounds {args.rounds}: a regression takes 1 or more")
    if not Path(args.report).absolute().parent.is_dir():
        raise BadValue(f"--report {args.report}: there is no folder {Path(args.report).absolute().parent}")
    with dask.config.set({"mesonb.preload": ["numpy", "sklearn.linear_model", "sklearn.datasets"]}):
        master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GiB")] * 2, name="demo")
    try:
        sweep = master.register(mb.Queue(needs=mb.Resources(cpus=1, mem="256MiB")), name="sweep", role="lab")
        images = [run.result("1min") for run in sweep.map(images_of, range(PARTS))]  # each executor reads the data once
        print(f"data         {sum(images)} images to learn from, in {PARTS} parts")
        regression = master.register(Regression(args.rounds), name="regression", role="science")
        runs = sweep.map(
            trial, *zip(*[(strength, fold) for strength in STRENGTHS for fold in range(FOLDS)], strict=True)
        )
        trials = [run.result("5min") for run in runs]
        regression.wait()
        _print_results(regression, trials)
        _print_sharing(master)
        print_offers(master.snapshot())
        _write(master, regression, args.report)
    finally:
        master.close(cluster=True)
    return 0


def _print_results(regression: Regression, trials: list[tuple[float, int, float]]) -> None:
    print(
        f"regression   {regression.round} iterations, loss {regression.losses[0]:.3f} -> {regression.losses[-1]:.3f}, "
        f"accuracy {regression.accuracy():.3f}, {regression.speed():.1f} iterations/s"
    )
    means = {c: float(np.mean([score for strength, _, score in trials if strength == c])) for c in STRENGTHS}
    best = max(means, key=lambda strength: means[strength])
    print(f"sweep        {len(trials)} trials, best C={best:g} with accuracy {means[best]:.3f}")


def _print_sharing(master: mb.Master) -> None:
    """Print each framework's share over time: the mean of its dominant share in ten equal spans."""
    rows = list(master.history.rows)
    first_us, last_us = rows[0][0], rows[-1][0]
    edges = np.linspace(first_us, last_us, 11)
    print(f"\nshares over {(last_us - first_us) / 1e6:.1f} s, in tenths of the time:")
    for name in ("regression", "sweep"):
        means = [_mean_share(rows, name, start, end) for start, end in zip(edges, edges[1:], strict=False)]
        print(f"  {name:<11}" + " ".join(f"{mean:4.0%}" for mean in means))


def _mean_share(rows: list[tuple[int, dict[str, float]]], name: str, start_us: float, end_us: float) -> float:
    """Average a share over a span; each row speaks of the time since the one before."""
    total = weight = 0.0
    for (at_us, _), (until_us, shares) in zip(rows, rows[1:], strict=False):
        span = min(until_us, end_us) - max(at_us, start_us)
        if span > 0:
            total += shares.get(name, 0.0) * span
            weight += span
    return total / weight if weight else 0.0


def print_offers(snapshot: Snapshot) -> None:
    """Print what became of the offers that each framework was made."""
    print("\noffers        made accepted declined rescinded    tasks")
    for row in snapshot.frameworks:
        made, accepted, declined, rescinded = (
            row.counts.get(k, 0) for k in ("offers_made", "accepted", "declined", "rescinded")
        )
        print(
            f"  {row.framework:<11} {made:>5} {accepted:>8} {declined:>8} {rescinded:>9} {row.counts.get('launched', 0):>8}"
        )


def _write(master: mb.Master, regression: Regression, path: str) -> None:
    from mesonb.panels.report import write_report

    notes = {"accuracy": f"{regression.accuracy():.3f}", "iterations/s": f"{regression.speed():.1f}"}
    write_report(master, path, "An iterative regression and a sweep on one cluster", notes)
    print(f"\nreport: {path}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``mesonb demo`` takes."""
    parser.add_argument("--rounds", type=int, default=300, help="iterations of the regression (default 300)")
    parser.add_argument("--report", default="mesonb-demo.html", help="where the report goes (default mesonb-demo.html)")
