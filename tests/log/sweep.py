"""A framework that tests register, in this process and in others: one task a number."""

import mesonb as mb


def train(rate: int) -> int:
    return rate * rate


class Sweep(mb.Framework):
    needs = mb.Resources(cpus=1, mem="1GB")

    def __init__(self, rates) -> None:
        self.todo = list(rates)

    def on_offers(self, offers) -> None:
        for offer in offers:
            while self.todo and offer.fits(self.needs):
                offer.launch(train, self.todo.pop())

    def on_update(self, task) -> None:
        if task.lost:
            self.todo.append(task.args[0])
