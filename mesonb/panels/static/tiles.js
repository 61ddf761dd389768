// Tiles: each agent as a tile with bars of what its tasks and offers hold. Joined to board.js, whose names it uses.
//
// The buffer is float32: a row for each piece of an agent that is taken (agent, framework, kind, how many, then the fraction
// of each resource); mesonb/panels/tiles.py says more. Only the tiles of agents that changed are drawn again.

const [RUNNING, STAGING, UNREACHABLE, OFFERED, EMPTY] = [0, 1, 2, 3, 4];
const KINDS = ["running", "staging", "unreachable", "offered"];
const MOVING_TILES = 64, MOVE_MS = 90; // offers in flight move, while they are few

class Tiles {
  keys = "Arrow keys walk through the agents, Enter tells the story of one.";

  constructor(view) { Object.assign(this, { view, parts: [], dirty: null, focus: -1, offering: new Set(), movedAt: 0 }); }

  get state() { return this.view.state; }

  label() { return many(this.parts.length, "agent"); }

  name(i) { return this.state.names.agents[i][0]; }

  /** Take rows: of all agents, or of those that changed, each agent's together. */
  take(buffer, whole) {
    const rows = new Float32Array(buffer), wide = this.state.head.columns;
    if (whole) { this.parts = this.state.names.agents.map(() => []); this.dirty = null; this.offering.clear(); }
    for (let r = 0, last = -1; r < rows.length; r += wide) {
      const i = rows[r];
      if (i !== last) { this.parts[i] = []; this.offering.delete(i); this.dirty?.add(i); }
      if (rows[r + 2] !== EMPTY) this.parts[i].push(rows.subarray(r, r + wide));
      if (rows[r + 2] === OFFERED) this.offering.add(i);
      last = i;
    }
    if (this.focus >= this.parts.length) this.focus = -1;
  }

  mark(i) {
    for (const each of [this.focus, i]) if (each >= 0) this.dirty?.add(each);
    this.focus = i;
  }

  draw(at) {
    const { view } = this, all = this.dirty === null, moves = !view.motion.matches && this.parts.length <= MOVING_TILES && this.offering.size;
    if (all) this.grid = arrange(this.parts.length, view.p.agents.parentElement.clientWidth, this.state.head.resources.length);
    const g = canvasOf(view.p.agents, this.grid.width, this.grid.height, !all), moved = moves && at - this.movedAt >= MOVE_MS;
    if (moved) this.movedAt = at;
    const which = all ? this.parts.keys() : moved ? new Set([...this.dirty, ...this.offering]) : this.dirty;
    for (const i of which) this.drawAgent(g, i, moves ? (this.movedAt / MOVE_MS) % 8 : 0, !all);
    this.dirty = new Set();
    if (moves) view.changedIn(MOVE_MS);
  }

  drawAgent(g, i, shift, clear) {
    const { grid } = this, [x, y] = grid.at(i);
    if (clear) g.clearRect(x - 1, y - 1, grid.tileW + 2, grid.tileH + 2);
    this.drawTile(g, i);
    const filled = new Float32Array(this.state.head.resources.length);
    for (const row of this.parts[i]) this.drawPiece(g, i, row, filled, shift);
  }

  drawTile(g, i) {
    const { grid, view } = this, { ink } = view, [x, y] = grid.at(i), [name, size] = this.state.names.agents[i];
    g.strokeStyle = i === this.focus ? ink.ink : ink.edge;
    g.lineWidth = 1;
    if (grid.bars) { g.beginPath(); g.roundRect(x + 0.5, y + 0.5, grid.tileW - 1, grid.tileH - 1, 5); g.stroke(); }
    if (grid.named) {
      g.font = `600 11px ${view.font()}`; g.fillStyle = ink.ink; g.textBaseline = "middle"; g.textAlign = "left";
      const wide = grid.tileW - 16, label = fit(g, name, wide);
      g.fillText(label, x + 8, y + 13);
      const used = g.measureText(label).width + 8;
      g.font = `11px ${view.font()}`; g.fillStyle = ink.soft;
      if (g.measureText(size).width < wide - used) g.fillText(size, x + 8 + used, y + 13);
    }
    for (let b = 0; b < grid.bars || b < 1; b++) {
      const [bx, by, bw, bh] = grid.bar(i, b);
      g.fillStyle = ink.well;
      g.fillRect(bx, by, bw, bh);
      if (grid.labelled) { g.font = `10px ${view.font()}`; g.fillStyle = ink.soft; g.textAlign = "left"; g.textBaseline = "middle"; g.fillText(fit(g, this.state.head.resources[b], 28), x + 8, by + bh / 2); }
      if (!grid.bars && i === this.focus) g.strokeRect(x - 0.5, y - 0.5, grid.tileW + 1, grid.tileH + 1);
    }
  }

  drawPiece(g, i, row, filled, shift) {
    const { grid, view } = this, { head } = this.state, R = head.resources.length, f = head.frameworks[row[1]] ?? OTHERS;
    for (let b = 0; b < grid.bars; b++) {
      const [bx, by, bw, bh] = grid.bar(i, b), wide = row[4 + b] * bw, x = bx + filled[b] * bw;
      filled[b] += row[4 + b];
      if (wide > 0) fillPiece(g, view, f, row[2], x, by, wide, bh, shift, row[3]);
    }
    if (!grid.bars) { // a tile too small for bars: it fills from below by its fullest resource
      const [x, y, w, h] = grid.bar(i, 0), most = Math.max(0, ...row.subarray(4, 4 + R));
      const high = most * h, below = filled[0] * h;
      filled[0] = Math.min(1, filled[0] + most);
      fillPiece(g, view, f, row[2], x, y + Math.max(0, h - below - high), w, Math.min(high, h - below), shift, 1);
    }
  }

  at(x, y) {
    const { grid } = this;
    if (!grid) return -1;
    const column = Math.floor(x / (grid.tileW + grid.gap)), row = Math.floor(y / (grid.tileH + grid.gap)), i = row * grid.across + column;
    return column >= 0 && column < grid.across && i < this.parts.length ? i : -1;
  }

  key({ key }) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.grid?.across, ArrowUp: -this.grid?.across }[key];
    if (step) this.view.point(Math.min(Math.max(this.focus + step, 0), this.parts.length - 1));
    else if (key === "Enter") this.view.ask(this.focus);
    else return false;
    return true;
  }

  told(i) {
    const { head, names } = this.state, held = new Map();
    for (const row of this.parts[i]) {
      const key = `${(head.frameworks[row[1]] ?? OTHERS).name} ${KINDS[row[2]]}`;
      held.set(key, (held.get(key) ?? 0) + row[3]);
    }
    return `${names.agents[i].join(": ")} · ${[...held].map(([what, n]) => `${n} × ${what}`).join(", ") || "free"}`;
  }
}

const OTHERS = { name: "others", colour: GREY, hatch: "plain", letters: "…" };

/** Fill a piece of an agent: a framework's colour and hatching, paler while staging; an offer's stripes move by `shift`. */
function fillPiece(g, view, f, kind, x, y, w, h, shift, count) {
  const inner = Math.max(w - (w > 5 ? 1 : 0), 0.5);
  if (kind === OFFERED) {
    g.fillStyle = pattern(g, view, f.colour, "offered", shift);
    g.fillRect(x, y, inner, h);
    if (w > 5) { g.setLineDash([3, 2]); g.strokeStyle = f.colour; g.strokeRect(x + 0.5, y + 0.5, inner - 1, h - 1); g.setLineDash([]); }
  } else {
    g.globalAlpha = kind === STAGING ? 0.5 : 1;
    g.fillStyle = kind === UNREACHABLE ? pattern(g, view, f.colour, "cross", 0, view.ink.ground) : pattern(g, view, f.colour, f.hatch, 0);
    g.fillRect(x, y, inner, h);
    g.globalAlpha = 1;
  }
  if (w > 18 && h > 10 && count) {
    g.font = `600 10px ${view.font()}`; g.textAlign = "center"; g.textBaseline = "middle";
    g.fillStyle = kind === OFFERED || kind === STAGING ? view.ink.ink : light(f.colour) ? "#000" : "#fff";
    g.fillText(count > 1 && w > 40 ? `${f.letters} ×${count}` : f.letters, x + w / 2, y + h / 2 + 0.5);
  }
}

/** A fill: plain colour, or a hatching of it. */
function pattern(g, view, colour, hatch, shift, over) {
  if (hatch === "plain") return colour;
  const key = `${colour} ${hatch}`;
  if (!view.patterns.has(key)) view.patterns.set(key, g.createPattern(hatching(colour, hatch, over), "repeat"));
  const made = view.patterns.get(key);
  made.setTransform(new DOMMatrix([1, 0, 0, 1, shift, 0]));
  return made;
}

/** Where tiles stand, and how much fits on one: bars with names and labels, bars alone, or one filling square. */
function arrange(count, width, resources) {
  const [least, most] = count <= 12 ? [185, 320] : count <= 30 ? [140, 240] : count <= 64 ? [96, 180] : count <= 250 ? [40, 80] : [13, 22];
  const gap = count <= 64 ? 8 : count <= 250 ? 5 : 2, across = Math.max(1, Math.floor((width + gap) / (least + gap)));
  const tileW = Math.min(most, Math.floor((width + gap) / across) - gap), labelled = least >= 140, named = least >= 96, bars = least > 20 ? resources : 0;
  const barH = count <= 4 ? 26 : least >= 185 ? 18 : least >= 96 ? 13 : 7, head = named ? 23 : 4, pad = named ? 8 : 3, left = labelled ? 38 : pad;
  const tileH = bars ? head + bars * (barH + 4) + (named ? 4 : 0) : tileW;
  const at = (i) => [(i % across) * (tileW + gap), Math.floor(i / across) * (tileH + gap)];
  const bar = (i, b) => { const [x, y] = at(i); return bars ? [x + left, y + head + b * (barH + 4), tileW - left - pad, barH] : [x, y, tileW, tileH]; };
  return { across, gap, tileW, tileH, bars, named, labelled, at, bar, width, height: Math.max(1, Math.ceil(count / across)) * (tileH + gap) };
}
