"""Hand: be the scheduler. Each offer that a ``Hand`` holds is a card, with Accept, Decline, and how much of it for what.

Rule: a card keeps its place, and what was typed into it, until its offer is gone; a click sends a command, as every
control does, and whatever cannot be is said on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.layouts import column, row
from bokeh.models import InlineStyleSheet
from bokeh.models.widgets import Button, Select, TextInput

from mesonb.core.units import show_duration
from mesonb.panels.app import Look, Panel, table, write
from mesonb.panels.clock import Clock
from mesonb.panels.commands import obey
from mesonb.panels.look import ACCEPTS, line, spoken
from mesonb.panels.steer import number, said, typed
from mesonb.panels.typed import written
from mesonb.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

#: Offers that lie on the table at a time, and tasks that are listed.
CARDS, LISTED = 6, 15
#: A result is shown so far, in characters.
RESULT_SHOWN = 80
HEADS = ("task", "what", "on", "state", "result, or why not")
NONE = (
    "Nobody is the scheduler here yet. In a cell: "
    '<code>master.register(mb.Hand(needs=mb.Resources(cpus=1), functions=[train]), name="me")</code>'
)
CARD = ":host { border: 1px solid #8886; border-radius: 6px; padding: 8px; margin: 0 8px 8px 0; }"


class Card:
    """One offer, and what to do with it."""

    def __init__(self, look: Look, send: Callable[..., None]) -> None:
        self.offer = ""
        self._send, self._framework = send, ""
        self.told = look.div()
        self.function = Select(title="launch", width=150)
        self.arguments = TextInput(title="arguments", placeholder="0.1, 'a'", width=140)
        self.needs = TextInput(title="each takes", width=150)
        self.times = TextInput(title="times", value="1", width=45)
        self.refuse = TextInput(title="not again for", value="5s", width=75)
        self.accept = Button(label="Accept", width=145, stylesheets=[InlineStyleSheet(css=ACCEPTS)])
        self.decline = Button(label="Decline", width=145)
        self.accept.on_click(self._accepted)
        self.decline.on_click(self._declined)
        look.widgets(self.function, self.arguments, self.needs, self.times, self.refuse, self.decline)
        self.root = column(
            self.told, row(self.function, self.arguments), row(self.needs, self.times, self.refuse), row(self.accept, self.decline),
            visible=False, width=320, stylesheets=[InlineStyleSheet(css=CARD)],
        )  # fmt: skip

    def lay(self, framework: str, offer: str, hand: Any) -> None:
        """Lay an offer on the table: from now on the card is about it."""
        self.offer, self._framework = offer, framework
        self.function.update(options=list(hand.functions), value=next(iter(hand.functions), ""))
        self.needs.value, self.times.value = written(hand.needs), "1"
        for button, word in ((self.accept, "Accept"), (self.decline, "Decline")):
            button.label = f"{word} {offer}"
        self.root.visible = True

    def clear(self) -> None:
        """Take the card away."""
        self.offer, self.root.visible = "", False

    def _accepted(self) -> None:
        self._send(
            do="accept", framework=self._framework, offer=self.offer, function=self.function.value, arguments=typed(self.arguments),
            needs=typed(self.needs), times=number(typed(self.times)),
        )  # fmt: skip

    def _declined(self) -> None:
        self._send(do="decline", framework=self._framework, offer=self.offer, refuse=typed(self.refuse))


class HandPanel(Panel):
    """The table with the cards on it."""

    title = "your hand"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.who = Select(title="whose hand", width=160)
        spoken(self.who)
        self.who.on_change("value", lambda _name, _old, _new: self.ask())
        self.clock, self._because = Clock(self.send), ""
        self.cards = [Card(look, self.send) for _ in range(CARDS)]
        self.head, self.told, self.tasks = look.div(), look.div(), look.div(scroll_px=260)
        look.widgets(self.who, *self.clock.parts())

    def parts(self) -> Sequence[Any]:
        """Who is asked, the cards, what came of them."""
        cards = row(*(card.root for card in self.cards), styles={"flex-wrap": "wrap"}, sizing_mode="stretch_width")
        return line(self.who, *self.clock.parts()), self.head, self.told, cards, self.tasks

    def send(self, **command: Any) -> None:
        """Send a command at once, and say what came of it."""
        ack = obey(self.session(), command)
        write(self.told, said(ack.get("did") or ack["because"], good=ack["ok"]))
        self.ask()

    def draw(self, session: Session) -> None:
        """Lay new offers on the table, and take away what is gone."""
        hands = {
            name: driver.framework
            for name, driver in list(session.drivers.items())
            if hasattr(driver.framework, "held")
        }
        if list(self.who.options) != list(hands):
            self.who.options = [*hands]  # type: ignore[assignment]  # a list of plain names is one of its kinds of list
        if self.who.value not in hands:
            self.who.value = next(iter(hands), "")
        self.who.visible = len(hands) > 1
        trouble, hand = self.clock.draw(session), hands.get(self.who.value)
        held = dict(getattr(hand, "held", {}))
        self._lay(hand, held)
        self._tell(session, held)
        write(self.head, said(trouble, good=False) if trouble else self._said(hand, held))
        write(self.tasks, self._listed(getattr(hand, "launched", [])))

    def allow(self, because: str) -> None:
        """Switch the cards off where nothing can be answered, and say why."""
        answering = [button for card in self.cards for button in (card.accept, card.decline)]
        for control in (*answering, *self.clock.parts()):
            control.disabled = bool(because)
        if because != self._because:
            self._because = because
            write(self.told, said(because, good=False) if because else "")

    def _lay(self, hand: Any, held: dict[str, Any]) -> None:
        for card in self.cards:
            if card.offer and card.offer not in held:
                card.clear()
        shown = {card.offer for card in self.cards}
        waiting = [offer for offer in held if offer not in shown]
        for card, offer in zip([card for card in self.cards if not card.offer], waiting, strict=False):
            card.lay(self.who.value, offer, hand)

    def _tell(self, session: Session, held: dict[str, Any]) -> None:
        with session.reading():
            offers, now_us = session.core.offers, session.now_us()
            ends_us = {card.offer: record.expires_us for card in self.cards if (record := offers.get(card.offer))}
        timed = session.core.settings.offer_timeout_us
        for card in self.cards:
            if card.offer:
                left = rescinded_in(ends_us.get(card.offer, now_us) - now_us) if timed else ""
                write(card.told, on_card(held[card.offer], left))

    def _said(self, hand: Any, held: dict[str, Any]) -> str:
        if hand is None:
            return NONE
        more = f"; {len(held) - CARDS} more wait behind these" if len(held) > CARDS else ""
        return f"{self.look.chip(self.who.value)} <b>{escape(self.who.value)}</b> holds {len(held)} offers{more}"

    def _listed(self, launched: Sequence[Any]) -> str:
        newest = list(launched)[-LISTED:][::-1]
        return (
            table(HEADS, [told(task) for task in newest], text=range(len(HEADS)), caption="Launched by hand")
            if newest
            else ""
        )


def rescinded_in(left_us: int) -> str:
    """Say how long a person may still think.

    >>> rescinded_in(12_345_678), rescinded_in(-5)
    ('rescinded in 12 s', 'about to be rescinded')
    """
    whole_us = left_us // 1_000_000 * 1_000_000
    return f"rescinded in {show_duration(whole_us)}" if whole_us > 0 else "about to be rescinded"


def on_card(offer: Any, left: str) -> str:
    """Write what an offer is of, and how long it lies."""
    words = (offer.id, f"of {offer.agent}", str(offer.resources), left)
    name, agent, amount, quiet = map(escape, words)
    return f'<b>{name}</b> {agent}<br>{amount}<br><span class="quiet">{quiet}</span>'


def told(task: Any) -> list[str]:
    """One task that was launched by hand, as a row."""
    name = getattr(task.function, "__name__", repr(task.function))
    outcome = repr(task.outcome.value) if task.finished and task.outcome else task.because
    called = f"{name}({', '.join(map(repr, task.args))})"
    return [escape(text[:RESULT_SHOWN]) for text in (task.id, called, task.agent, task.state.value, outcome)]
