"""Still pictures of a frame, for where nothing runs: HTML with an SVG and no script, and one line of text.

A heat map is an image of one pixel an agent within the SVG, so that fifty thousand agents take a few kilobytes.
"""

from __future__ import annotations

import base64
import io
import math
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from mesonb.core.snapshot import Snapshot
from mesonb.panels.heat import Heat
from mesonb.panels.tiles import OFFERED, STAGING, Tiles
from mesonb.panels.view import Frame

WIDTH = 720
TILE_W, TILE_H, GAP = 232, 66, 12
MAP_H = 320
#: More agents than these are counted, not drawn: a saved notebook should stay small.
AGENTS_DRAWN = 24
#: On what is brighter, of 1, black has more contrast than white.
BRIGHT = 0.179
GREY = "#8c8c8c"


def text(kind: str, snapshot: Snapshot) -> str:
    """Say in one line what there is.

    >>> from mesonb.core.master import MasterCore
    >>> from mesonb.core.snapshot import take
    >>> text("simulation-1", take(MasterCore()))
    '<simulation-1: 0 agents, 0 tasks, 0 offers>'
    """
    counts = f"{_many(snapshot.agent_count, 'agent')}, {_many(snapshot.task_count, 'task')}, {_many(snapshot.offer_count, 'offer')}"
    shares = ", ".join(f"{row.framework} {row.task_share:.2f}" for row in snapshot.frameworks[:8])
    paused = ", paused" if snapshot.paused else ""
    return f"<{kind}: {counts}{paused}{'; shares: ' + shares if shares else ''}>"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def html(title: str, frame: Frame) -> str:
    """A picture and a table, the state at one moment."""
    counts = frame.head["counts"]
    said = f"{_many(counts['agents'], 'agent')} · {_many(counts['tasks'], 'task')} · {_many(counts['offers'], 'offer')}"
    return (
        '<div style="font: 13px system-ui, sans-serif; max-width: 760px">'
        f"<div style='margin: 4px 0'><b>{escape(title)}</b> {said}{' · paused' if frame.head['paused'] else ''}"
        f" · still picture at {frame.head['at_us'] / 1_000_000:,.1f} s</div>{svg(frame)}{_table(frame)}</div>"
    )


def svg(frame: Frame) -> str:
    """Draw the first agents as tiles, or all of them as a heat map."""
    if isinstance(frame, Heat):
        return _map(frame)
    assert isinstance(frame, Tiles)
    agents = frame.names["agents"][:AGENTS_DRAWN]
    across = WIDTH // (TILE_W + GAP)
    height = -(-max(len(agents), 1) // across) * (TILE_H + GAP)
    tiles = "".join(
        _tile(frame, number, name, size, (number % across) * (TILE_W + GAP), number // across * (TILE_H + GAP))
        for number, (name, size) in enumerate(agents)
    )
    label = f"{len(agents)} of {frame.head['counts']['agents']} agents with their tasks, coloured by framework"
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'style="max-width: 100%" font-family="system-ui, sans-serif" font-size="11">{tiles}</svg>'
    )


def _tile(frame: Tiles, number: int, name: str, size: str, x: int, y: int) -> str:
    resources = frame.head["resources"]
    bar_h = min(14, 36 / max(len(resources), 1) - 3)
    bars = "".join(
        _bar(frame, number, order, resource, x + 8, y + 24 + order * (bar_h + 3), bar_h)
        for order, resource in enumerate(resources)
    )
    return (
        f'<g><rect x="{x + 0.5}" y="{y + 0.5}" width="{TILE_W}" height="{TILE_H}" rx="6" fill="none" stroke="{GREY}" '
        f'stroke-opacity="0.5"/><text x="{x + 8}" y="{y + 16}" fill="currentColor">{escape(name)} '
        f'<tspan fill="{GREY}">{escape(size)}</tspan></text>{bars}</g>'
    )


def _bar(frame: Tiles, number: int, order: int, resource: str, x: float, y: float, height: float) -> str:
    width, label = TILE_W - 56, 36
    parts = [
        (
            f'<text x="{x}" y="{y + height - 2}" fill="{GREY}" font-size="10">{escape(resource[:6])}</text>'
            f'<rect x="{x + label}" y="{y}" width="{width}" height="{height}" fill="{GREY}" fill-opacity="0.15"/>'
        )
    ]
    at = x + label
    for row in _rows_of(frame, number):
        wide = width * row[4 + order]
        parts.append(_piece(frame, row, at, y, wide, height))
        at += wide
    return "".join(parts)


def _rows_of(frame: Tiles, number: int) -> list[list[float]]:
    columns, rows = frame.head["columns"], frame.parts[number]
    return [list(rows[at : at + columns]) for at in range(0, len(rows), columns)]


def _map(frame: Heat) -> str:
    """Draw each agent as a pixel: the colour of who holds most of it, as strong as it is full."""
    count, across = len(frame.cells), math.ceil(math.sqrt(len(frame.cells) * WIDTH / MAP_H))
    down = -(-count // across)
    shades = np.zeros((down * across, 4), np.uint8)
    shades[:count] = _shades(frame)
    stream = io.BytesIO()
    Image.fromarray(shades.reshape(down, across, 4), "RGBA").quantize(255).save(stream, "PNG", optimize=True)
    image = base64.b64encode(stream.getvalue()).decode()
    height = round(WIDTH * down / across)
    label = (
        f"{count:,} agents, each a point: the colour of the framework that holds most of it, as strong as it is full"
    )
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'style="max-width: 100%"><rect width="{WIDTH}" height="{height}" fill="{GREY}" fill-opacity="0.15"/><image width="{WIDTH}" '
        f'height="{height}" style="image-rendering: pixelated" href="data:image/png;base64,{image}"/></svg>'
    )


def _shades(frame: Heat) -> Any:
    colours = [row["colour"] for row in frame.head["frameworks"]]
    table = np.full((256, 3), 140, np.uint8)
    table[: len(colours)] = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in colours] or table[:0]
    holder, filled, offered = (frame.cells >> shift & 255 for shift in (0, 8, 16))
    strength = np.where(filled + offered > 0, 40 + np.minimum(215, filled + offered // 3), 0)
    return np.column_stack((table[holder], (strength // 16 * 17).clip(0, 255))).astype(np.uint8)


def _piece(frame: Frame, row: list[float], x: float, y: float, width: float, height: float) -> str:
    framework = _framework(frame, int(row[1]))
    offered = row[2] == OFFERED
    opacity = 0.15 if offered else 0.55 if row[2] == STAGING else 1
    dashed = 'stroke-dasharray="3 2"' if offered else ""
    letters = framework["letters"] if width > 14 and height > 9 else ""
    ink = framework["colour"] if offered else "#000" if light(framework["colour"]) else "#fff"
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width - 1, 0):.1f}" height="{height:.1f}" fill="{framework["colour"]}" '
        f'fill-opacity="{opacity}" stroke="{framework["colour"]}" {dashed}/>'
        f'<text x="{x + 3:.1f}" y="{y + height - 3:.1f}" font-size="9" fill="{ink}">{escape(letters)}</text>'
    )


def light(colour: str) -> bool:
    """Whether black is easier to read on this colour than white.

    >>> light("#F0E442"), light("#009E73"), light("#0072B2")
    (True, True, False)
    """
    red, green, blue = ((int(colour[at : at + 2], 16) / 255) ** 2.2 for at in (1, 3, 5))
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > BRIGHT)


def _framework(frame: Frame, index: int) -> dict[str, Any]:
    known: list[dict[str, Any]] = frame.head["frameworks"]
    return known[index] if index < len(known) else {"colour": GREY, "letters": "…", "name": "others"}


def _table(frame: Frame) -> str:
    heads = ("framework", "role", "share", "running", "offers made", "accepted", "declined")
    rows = "".join(
        f"<tr><td><span style='display:inline-block;width:1.6em;text-align:center;border-radius:3px;"
        f"background:{row['colour']};color:{'#000' if light(row['colour']) else '#fff'}'>{escape(row['letters'])}</span> "
        f"{escape(row['name'])}</td><td>{escape(row['role'])}</td><td>{row['share']:.2f}</td><td>{row['running']}</td>"
        f"<td>{row['offers_made']}</td><td>{row['accepted']}</td><td>{row['declined']}</td></tr>"
        for row in frame.head["frameworks"]
    )
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>" if rows else ""
