"""Transcripts: scenario files with the answers recorded in them, run again and compared. Public, and how cases are stated.

A file is read as blocks: commands, a line of dashes, the answer, a blank line. ``run`` answers each block anew; the text
of a transcript with those answers is what ``mesonb transcript FILE`` prints and what ``--rewrite`` writes back.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mesonb.errors import BadValue
from mesonb.transcripts.scenario import Scenario
from mesonb.transcripts.sorter import Sorter

DASHES = "----"


@dataclass
class Block:
    """Some lines of a file and the answer that is recorded for them; None where none is."""

    first_line: int  #: where it begins in the file, counted from 1
    lines: list[str] = field(default_factory=list)
    recorded: list[str] | None = None
    answer: list[str] = field(default_factory=list)  #: what followed when it was run

    def commands(self) -> Iterator[tuple[int, str]]:
        """Yield each command with its line number; a ``#`` begins a comment."""
        for number, line in enumerate(self.lines, start=self.first_line):
            if command := line.partition("#")[0].strip():
                yield number, command

    def agrees(self) -> bool:
        """Whether what followed is what was recorded, however it is spaced."""
        return _words(self.recorded or []) == _words(self.answer)


@dataclass
class Transcript:
    """One scenario file."""

    name: str
    blocks: list[Block]

    def run(self) -> Transcript:
        """Answer every block; BadValue names the line that is no command."""
        world: Scenario | Sorter = Scenario()
        for block in self.blocks:
            block.answer = []
            for number, command in block.commands():
                if command == "sorter":
                    world = Sorter()
                    continue
                try:
                    block.answer += world.do(command)
                except (BadValue, ValueError) as error:
                    raise BadValue(f"{self.name}:{number}: {error}") from None
        return self

    def text(self) -> str:
        """Write the file with the answers of the last run."""
        out: list[str] = []
        for block in self.blocks:
            out += block.lines
            if block.recorded is not None or block.answer:
                out += [DASHES, *block.answer, ""]
        return "\n".join(out).rstrip("\n") + "\n"

    def differences(self) -> list[str]:
        """Say where the answers are not the recorded ones: no lines where all agree."""
        out: list[str] = []
        for block in self.blocks:
            if not block.agrees():
                where = f"{self.name}:{block.first_line}"
                changed = difflib.unified_diff(
                    block.recorded or [], block.answer, f"{where} recorded", f"{where} now", lineterm="", n=99
                )
                out += [*changed, ""]
        return out


def read(path: str | Path) -> Transcript:
    """Read a scenario file."""
    try:
        return parse(Path(path).read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"{path} cannot be read as a scenario: {error}") from None


def parse(text: str, name: str = "scenario") -> Transcript:
    """Read a scenario from its text."""
    blocks: list[Block] = []
    block = Block(1)
    lines = [line.rstrip() for line in text.splitlines()]
    for number, line in enumerate([*lines, ""], start=1):
        if block.recorded is not None:
            if line:
                block.recorded.append(line)
            else:
                blocks.append(block)
                block = Block(number + 1)
        elif line == DASHES:
            block.recorded = []
        else:
            block.lines.append(line)
    while block.lines and not block.lines[-1]:
        del block.lines[-1]
    if block.lines:
        blocks.append(block)
    return Transcript(name, blocks)


def run(text: str) -> str:
    r"""Run a scenario given as text, and return it with its answers.

    >>> print(run("agent a cpus=1\nframework F\ntick"))
    agent a cpus=1
    framework F
    tick
    ----
    offer-1  a -> F   cpus=1
    """
    return parse(text).run().text().rstrip("\n")


def main(paths: Iterable[str | Path], *, expect: bool = False, rewrite: bool = False) -> int:
    """Run files: print them with their answers, compare, or write them back. Returns 0, or 1 where something differs."""
    differs = False
    for path in paths:
        transcript = read(path).run()
        if rewrite:
            Path(path).write_text(transcript.text(), encoding="utf-8")
        elif expect:
            differences = transcript.differences()
            differs |= bool(differences)
            print("\n".join(differences) if differences else f"{path}: as recorded")  # noqa: T201 - the command's answer
        else:
            print(transcript.text())  # noqa: T201 - as above
    return int(differs)


def _words(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines]
