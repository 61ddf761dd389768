"""Export: a run as one HTML file that plays in a browser with no kernel, no server and no network.

The rows are computed beforehand; the page holds them, its script and its looks, and its own policy forbids it to load
anything else. ``#t=12.5`` at the end of its address opens it at that second.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from mesonb.panels.export_view import rows
from mesonb.panels.feed import palette_of
from mesonb.session import Session

PLAYER = Path(__file__).parent / "static" / "player.js"


def write_player(session: Session, path: str | Path, title: str = "") -> Path:
    """Write a run to a file that plays it, and return the file's path."""
    path = Path(path)
    path.write_text(page(session, title or f"What {session.id} did"), encoding="utf-8")
    return path


def page(session: Session, title: str) -> str:
    """The whole page."""
    with session.reading():
        log, about = session.log.copy(), f"{len(session.log.steps):,} calls · at the end {session.core.total}"
    data = json.dumps(rows(log, palette_of(session)), separators=(",", ":"))
    script = PLAYER.read_text(encoding="utf-8")
    parts = {"TITLE": escape(title), "DATA": data.replace("<", "\\u003c"), "SCRIPT": script, "ABOUT": escape(about)}
    html = PAGE
    for name, part in parts.items():
        html = html.replace(f"[[{name}]]", part)
    return html


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>[[TITLE]]</title>
<style>
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --quiet: #8888; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #111; } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
body { max-width: 1100px; margin: 1em auto; padding: 0 1em; }
h1 { font-size: 1.3em; margin: .3em 0 } h2 { font-size: 1em; margin: 1em 0 .2em } .quiet { opacity: .7 }
canvas { width: 100%; display: block; cursor: pointer } canvas:focus-visible, button:focus-visible { outline: 2px solid #56B4E9 }
.controls { display: flex; gap: .6em; align-items: center; position: sticky; top: 0; background: var(--paper); padding: .5em 0; z-index: 1 }
.controls input { flex: 1; accent-color: #56B4E9 } output { min-width: 8em; text-align: right; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px } td { border-top: 1px solid var(--quiet) }
td, th { padding: 3px 9px; text-align: right } th { font-weight: 500; opacity: .7 } :is(td, th):first-child { text-align: left }
.chip { display: inline-block; min-width: 1.5em; text-align: center; border-radius: 3px; font-size: 11px; font-weight: 600 }
ol { list-style: none; margin: 0; padding: 0; font: 12px/1.5 ui-monospace, monospace; min-height: 12em }
li { white-space: nowrap; overflow: hidden; text-overflow: ellipsis } li b { font-weight: 600 }
#told { min-height: 1.5em }
</style></head><body>
<h1>[[TITLE]]</h1>
<div class="quiet" id="about">[[ABOUT]]</div>
<div class="controls"><button id="play" type="button">Play</button>
<select id="speed" aria-label="Speed">
<option value="0.1">0.1 x</option><option value="0.5">0.5 x</option><option value="1" selected>1 x</option>
<option value="2">2 x</option><option value="5">5 x</option><option value="10">10 x</option><option value="100">100 x</option>
</select>
<input id="at" type="range" min="0" step="1" aria-label="Moment of the run"><output id="clock" for="at"></output></div>
<h2>Tasks, agent by agent <span class="quiet" id="signs">✕ killed △ failed ◇ lost</span></h2>
<canvas id="tasks" tabindex="0" role="img" aria-label="Tasks over time, one row an agent"></canvas>
<div id="told" class="quiet" aria-live="polite">Point at a task to read about it.</div>
<h2>Dominant share of each framework's tasks</h2>
<canvas id="shares" role="img" aria-label="Shares over time, one line a framework"></canvas>
<h2>Frameworks at this moment</h2>
<table id="frameworks"></table>
<h2>What had just happened</h2>
<ol id="lines"></ol>
<noscript>This page plays a recording with a script of its own; scripts are switched off here.</noscript>
<script id="data" type="application/json">[[DATA]]</script>
<script>
[[SCRIPT]]
</script>
</body></html>
"""
