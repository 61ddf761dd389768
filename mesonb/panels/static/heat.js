// Heat: a large cluster as a map, one cell an agent. Joined to board.js, whose names it uses, and those of tiles.js.
//
// The buffer is uint32: one number an agent, or pairs of place and number where agents changed (mesonb/panels/heat.py): the
// framework that holds most of it, how full it is, how much is offered. The whole map is one small image, of which the part
// in view is drawn; where cells are large enough they fill from below, as small tiles do, and get names.

const MAP_H = 400, CELL_MOST = 96, CELL_FILLS = 9, CELL_NAMED = 56, DRAG_PX = 4;

class Heat {
  keys = "Plus and minus zoom, zero shows all, arrow keys walk through the agents, Enter tells the story of one.";

  constructor(view) {
    Object.assign(this, { view, cells: new Uint32Array(), dirty: null, focus: -1, zoom: 1, left: 0, top: 0, held: null, dragged: false });
    const button = (label, name, act) => {
      const made = make("button", { type: "button", "aria-label": name, title: name }, label);
      made.addEventListener("click", act);
      return made;
    };
    const middle = () => [this.width / 2, this.height / 2];
    view.p.tools.append(button("−", "Zoom out", () => this.zoomBy(0.5, ...middle())), button("+", "Zoom in", () => this.zoomBy(2, ...middle())),
      button("All", "Show all agents", () => this.all()), make("span", { class: "push" }, "free", make("span", { class: "ramp" }), "full; the colour is whose most of it is"));
  }

  get state() { return this.view.state; }

  label() { return `${many(this.cells.length, "agent")} as a heat map`; }

  take(buffer, whole) {
    const numbers = new Uint32Array(buffer);
    if (whole) {
      if (numbers.length !== this.cells.length) this.focus = -1;
      Object.assign(this, { cells: numbers, dirty: null });
    } else for (let r = 0; r < numbers.length; r += 2) {
      this.cells[numbers[r]] = numbers[r + 1];
      this.dirty?.push(numbers[r]);
    }
  }

  mark(i) { this.focus = i; }

  // --- drawing -------------------------------------------------------------------------------------------------------

  draw() {
    const { view } = this;
    if (this.dirty === null) this.arrange();
    this.paint(this.dirty);
    this.dirty = [];
    const g = canvasOf(view.p.agents, this.width, this.height), size = this.size;
    g.imageSmoothingEnabled = false;
    if (size >= CELL_FILLS) this.drawCells(g, size);
    else g.drawImage(this.image, this.left, this.top, this.width / size, this.height / size, 0, 0, this.width, this.height);
    if (this.focus >= 0) this.drawFocus(g, size);
    Object.assign(view.p.root.dataset, { zoom: this.zoom.toFixed(2), cells: this.cells.length });
    view.p.agents.style.cursor = this.held ? "grabbing" : this.zoom > 1 ? "grab" : "crosshair";
  }

  /** Find how many cells stand in a row, so that the map is as wide as there is room and not too high. */
  arrange() {
    const count = Math.max(this.cells.length, 1), width = Math.max(this.view.p.agents.parentElement.clientWidth, 1);
    const across = Math.ceil(Math.sqrt((count * width) / MAP_H)), down = Math.ceil(count / across);
    const middle = this.zoom > 1 ? this.at(this.width / 2, this.height / 2) : -1;
    if (across !== this.across || down !== this.down) this.image = new OffscreenCanvas(across, down);
    Object.assign(this, { across, down, width, height: Math.round((width / across) * down) });
    if (middle >= 0) this.look((middle % across) + 0.5 - width / this.size / 2, Math.floor(middle / across) + 0.5 - this.height / this.size / 2);
    this.pixels = new ImageData(across, down);
    this.dots = new Uint32Array(this.pixels.data.buffer);
    const well = rgb(this.view.ink.well);
    this.shades = this.state.head.frameworks.map((f) => shades(rgb(f.colour), well));
    this.others = shades(rgb(GREY), well);
  }

  /** How large a cell is on the page. */
  get size() { return (this.width / this.across) * this.zoom; }

  /** Colour the cells in a list, or all of them: one look into a table each. */
  paint(which) {
    const { cells, dots, shades, others } = this;
    const dot = (i) => { const cell = cells[i]; dots[i] = (shades[cell & 255] ?? others)[DEPTHS[(cell >>> 8) & 0xffff]]; };
    if (which) for (const i of which) dot(i);
    else for (let i = 0; i < cells.length; i++) dot(i);
    this.image.getContext("2d").putImageData(this.pixels, 0, 0);
  }

  drawCells(g, size) {
    const { cells, across, view } = this, { ink } = view, gap = size > 16 ? 2 : 1, inner = size - gap;
    const named = size >= CELL_NAMED, top = Math.floor(this.top), left = Math.floor(this.left);
    for (let row = top; row < Math.min(this.down, this.top + this.height / size); row++) {
      for (let column = left; column < Math.min(across, this.left + this.width / size); column++) {
        const i = row * across + column;
        if (i >= cells.length) return;
        const x = (column - this.left) * size, y = (row - this.top) * size, cell = cells[i], f = this.state.head.frameworks[cell & 255] ?? OTHERS;
        const filled = (((cell >> 8) & 255) / 255) * inner, offered = Math.min((((cell >> 16) & 255) / 255) * inner, inner - filled);
        g.fillStyle = ink.well;
        g.fillRect(x, y, inner, inner);
        if (filled) fillPiece(g, view, f, RUNNING, x, y + inner - filled, inner, filled, 0, 0);
        if (offered) fillPiece(g, view, f, OFFERED, x, y + inner - filled - offered, inner, offered, 0, 0);
        if (named) this.drawName(g, i, f, x, y, inner, filled);
      }
    }
  }

  drawName(g, i, f, x, y, inner, filled) {
    const { ink } = this.view, text = fit(g, this.name(i), inner - 6);
    g.font = `10px ${this.view.font()}`; g.textAlign = "center"; g.textBaseline = "middle";
    const wide = g.measureText(text).width + 6;
    g.globalAlpha = 0.82; g.fillStyle = ink.ground; g.fillRect(x + (inner - wide) / 2, y + inner / 2 - 8, wide, 15); g.globalAlpha = 1;
    g.fillStyle = ink.ink;
    g.fillText(text, x + inner / 2, y + inner / 2);
    if (filled > 16) { g.font = `600 10px ${this.view.font()}`; g.fillStyle = light(f.colour) ? "#000" : "#fff"; g.fillText(f.letters, x + inner / 2, y + inner - 8); }
  }

  drawFocus(g, size) {
    const x = ((this.focus % this.across) - this.left) * size, y = (Math.floor(this.focus / this.across) - this.top) * size, box = Math.max(size, 7);
    g.lineWidth = 2; g.strokeStyle = this.view.ink.ground; g.strokeRect(x + (size - box) / 2 - 2, y + (size - box) / 2 - 2, box + 4, box + 4);
    g.lineWidth = 1.5; g.strokeStyle = this.view.ink.ink; g.strokeRect(x + (size - box) / 2 - 1, y + (size - box) / 2 - 1, box + 2, box + 2);
  }

  // --- zoom ----------------------------------------------------------------------------------------------------------

  /** Zoom, and keep what is under a point where it is. */
  zoomBy(times, x, y) {
    const before = this.size, most = Math.max(1, (CELL_MOST * this.across) / this.width);
    const [column, row] = [this.left + x / before, this.top + y / before];
    this.zoom = Math.min(most, Math.max(1, this.zoom * times));
    this.look(column - x / this.size, row - y / this.size);
  }

  all() { this.zoom = 1; this.look(0, 0); }

  look(left, top) {
    this.left = Math.max(0, Math.min(left, this.across - this.width / this.size));
    this.top = Math.max(0, Math.min(top, this.down - this.height / this.size));
    this.view.changed();
  }

  wheel(event) {
    if (document.activeElement !== this.view.p.agents && !event.ctrlKey && !event.metaKey) { // the page scrolls
      this.view.point(-1);
      return this.view.say("To zoom with the wheel, click the map first, or hold Ctrl.");
    }
    if (event.deltaY > 0 && this.zoom <= 1 && !event.ctrlKey) return; // all is shown: the page scrolls on
    event.preventDefault();
    event.stopPropagation();
    this.zoomBy(Math.exp(-Math.max(-60, Math.min(60, event.deltaY * (event.deltaMode ? 30 : 1))) / 150), event.offsetX, event.offsetY);
  }

  press(event) {
    this.held = { x: event.offsetX, y: event.offsetY, left: this.left, top: this.top };
    this.dragged = false;
    event.target.setPointerCapture(event.pointerId);
  }

  /** Drag, where the map is held; else false. */
  drag({ offsetX, offsetY }) {
    const { held } = this;
    if (!held) return false;
    this.dragged ||= Math.hypot(offsetX - held.x, offsetY - held.y) > DRAG_PX;
    if (this.dragged) this.look(held.left - (offsetX - held.x) / this.size, held.top - (offsetY - held.y) / this.size);
    return this.dragged;
  }

  release() { this.held = null; this.view.changed(); }

  key({ key }) {
    const middle = this.focus >= 0 ? this.place(this.focus) : [this.width / 2, this.height / 2];
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.across, ArrowUp: -this.across }[key];
    if (step) this.walk(Math.min(Math.max(this.focus + step, 0), this.cells.length - 1));
    else if (key === "+" || key === "=") this.zoomBy(1.5, ...middle);
    else if (key === "-") this.zoomBy(1 / 1.5, ...middle);
    else if (key === "0") this.all();
    else if (key === "Enter") this.view.ask(this.focus);
    else return false;
    return true;
  }

  /** Where the middle of a cell is on the map. */
  place(i) { return [((i % this.across) + 0.5 - this.left) * this.size, (Math.floor(i / this.across) + 0.5 - this.top) * this.size]; }

  walk(i) {
    this.view.point(i);
    const [x, y] = this.place(i), out = (at, room) => Math.min(0, at - this.size) + Math.max(0, at + this.size - room);
    this.look(this.left + out(x, this.width) / this.size, this.top + out(y, this.height) / this.size);
  }

  // --- one agent -----------------------------------------------------------------------------------------------------

  at(x, y) {
    const column = Math.floor(this.left + x / this.size), row = Math.floor(this.top + y / this.size), i = row * this.across + column;
    return column >= 0 && column < this.across && i >= 0 && i < this.cells.length ? i : -1;
  }

  name(i) { return nth(this.state.names.agents.runs, i, ([prefix, first], n) => (first === null ? prefix : `${prefix}${first + n}`), 2); }

  told(i) {
    const { sizes, sized } = this.state.names.agents, cell = this.cells[i], part = (shift) => percent(((cell >> shift) & 255) / 255);
    const size = nth(sized, i, ([which]) => sizes[which], 1), holder = (this.state.head.frameworks[cell & 255] ?? OTHERS).name;
    const holds = cell >> 8 ? `${part(8)} filled, ${part(16)} offered, most of it ${holder}'s` : "free";
    return `${this.name(i)}: ${size} · ${holds}`;
  }
}

/** Return what stands at a place in a list of runs; `length` says where in a run its length is. */
function nth(runs, place, read, length) {
  for (const run of runs) {
    if (place < run[length]) return read(run, place);
    place -= run[length];
  }
  return "";
}

/** How deep a cell's colour is (0..255), by what is filled and, in the higher byte, what is offered. */
const DEPTHS = Uint8Array.from({ length: 65536 }, (_, part) => (part ? Math.min(255, Math.round(255 * (0.16 + ((part & 255) + 0.35 * (part >> 8)) / 300))) : 0));

/** A colour at each depth over what is under it, as dots of an image (its bytes are red, green, blue, opacity). */
function shades(colour, under) {
  const made = new Uint8ClampedArray(1024);
  for (let depth = 0; depth < 256; depth++) made.set([...under.map((u, c) => u + (colour[c] - u) * (depth / 255)), 255], 4 * depth);
  return new Uint32Array(made.buffer);
}

function rgb(colour) {
  const canvas = (rgb.canvas ??= new OffscreenCanvas(1, 1)), g = canvas.getContext("2d", { willReadFrequently: true });
  g.clearRect(0, 0, 1, 1);
  g.fillStyle = colour;
  g.fillRect(0, 0, 1, 1);
  return [...g.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}
