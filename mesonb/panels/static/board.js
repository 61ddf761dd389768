// The board: agents with their tasks, coloured by framework; shares; offers in flight; pause and weights.
//
// One module without a framework; tiles.js and heat.js, which draw the agents, past.js and fill.js are joined to it (mesonb/panels/module.py).
// `render` is the view of a notebook widget (anywidget's contract); `mount` draws the same board into any element.
// A frame is a JSON head and a buffer with the agents; mesonb/panels/wire.py says how it travels: whole, or what changed
// `since` the frame before. Rule: what has not changed is neither drawn nor written again.
// Transports, best first: a WebSocket through the Jupyter server, the widget's comm, the still picture it came with.

const WORDS_MS = 200; // figures that change faster than this cannot be read
const STORY_MS = 2000; // how old what is told of a name may be
const STALE_MS = 2000, HELLO_MS = 2000, HELLO_FRAMES = 20, COMM_SILENT_MS = 6000, RETRY_MS = 1000, RETRY_MOST_MS = 15000, CURVE_POINTS = 240;
const WAYS = { ws: "by socket", comm: "by widget", still: "a picture" };
const GREY = "#8c8c8c";
const DASHES = { plain: [], stripes: [7, 4], dots: [2, 3], cross: [8, 3, 2, 3] };

export default {
  render({ model, el }) {
    const rows = model.get("first_rows");
    const comm = {
      send: (message) => model.send(message),
      listen: (hear) => {
        const heard = (message, buffers) => hear(message, buffers && buffers[0]);
        model.on("msg:custom", heard);
        return () => model.off("msg:custom", heard);
      },
    };
    return mount(el, { title: model.get("session_id"), path: model.get("path"), comm, first: [model.get("first_head"), rows] });
  },
};

/** Draw a board into `el`; returns what takes it away again. `comm` and `first` may be missing; a `second` stands beside another. */
export function mount(el, { title, path, comm, first, second }) {
  const parts = build(el, title);
  const state = { head: null, names: { agents: [], complaints: {} }, curve: [], curved: true, have: 0, frames: 0 };
  const view = new View(parts, state);
  const line = new Line(path, comm, (message, buffer) => take(message, buffer), () => view.status(line));
  const steer = (command) => line.ask(command).then((ack) => view.acknowledged(ack, parts.root), (why) => view.say(String(why)));

  function take(message, buffer) {
    if (message.kind === "frame") {
      const { names, curve, frame, since, ...head } = message;
      if (since !== undefined && since !== state.have) return line.lost(); // what it builds on never came
      if (names) state.names = names;
      if (curve) Object.assign(state, { curve: curve.slice(), curved: true });
      Object.assign(state, { head: since === undefined ? head : merged(state.head, head), have: frame, frames: state.frames + 1 });
      line.seen = frame;
      noteShares(state);
      view.take(buffer, since === undefined);
    } else if (message.kind === "trouble") view.say(`no picture: ${message.because}`);
  }

  parts.pause.addEventListener("click", () => steer({ do: state.head?.paused ? "resume" : "pause" }));
  view.onWeight = (role, weight) => steer({ do: "weight", role, weight });
  view.onStory = (name, again = false) => {
    Object.assign(view, { told: name, toldAt: performance.now() });
    parts.story.setAttribute("aria-live", again ? "off" : "polite"); // what nobody asked for is not read out
    line.ask({ ask: "story", name }).then((ack) => view.told === name && view.tell(name, ack), (why) => view.say(String(why)));
  };
  if (first?.[0]?.kind) take(first[0], bytes(first[1]));
  Object.assign(state, { frames: 0, have: -1 }); // a comm's frames may not build on this one
  let other = null; // another moment beside this one
  const apart = () => { el.classList.toggle("mesonb-two", false); other?.(); other = null; return false; };
  const beside = () => {
    if (other) return apart();
    el.classList.add("mesonb-two");
    other = mount(el, { title, path, second: true });
    return true;
  };
  const past = new Past(line, title, (text) => view.say(text), second ? null : beside);
  parts.agents.parentElement.parentElement.append(past.root);
  line.open();
  return () => { apart(); past.shut(); line.shut(); view.shut(); };
}

function noteShares(state) {
  const shares = Object.fromEntries(state.head.frameworks.map((f) => [f.name, f.share]));
  const last = state.curve.at(-1), at = state.head.at_us, span = last ? at - state.curve[0][0] : 0;
  if (last ? at - last[0] < span / CURVE_POINTS : !state.head.frameworks.length) return;
  state.curve.push([at, shares]);
  state.curved = true;
  if (state.curve.length > 2 * CURVE_POINTS) state.curve = state.curve.filter((_, i, all) => i % 2 || i === all.length - 1);
}

/** Bring a head up to date: a JSON merge patch, in which a list of records is patched by position. */
function merged(old, patch) {
  const made = Array.isArray(old) ? old.slice() : { ...old };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete made[name];
    else made[name] = value?.constructor === Object && made[name] && typeof made[name] === "object" ? merged(made[name], value) : value;
  }
  return made;
}

function bytes(view) {
  if (!view) return new ArrayBuffer(0);
  const { buffer, byteOffset, byteLength } = view.buffer ? view : new Uint8Array(view);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

// --- the line to the kernel ------------------------------------------------------------------------------------------

class Line {
  constructor(path, comm, take, changed) {
    Object.assign(this, { path, comm, take, changed, using: "still", heardAt: 0, asked: 0, seen: 0, helloSeen: 0, pending: new Map(), retryMs: RETRY_MS, begun: performance.now(), because: "" });
    this.gone = false;
  }

  open() {
    this.unlisten = this.comm?.listen((message, buffer) => this.using !== "ws" && this.hear(message, bytes(buffer), "comm"));
    this.timer = setInterval(() => this.tick(), 500);
    this.socket() || this.hello();
  }

  shut() {
    this.gone = true;
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.ws?.close();
    this.unlisten?.();
  }

  /** Try the WebSocket; false where the page does not say where its server is. */
  socket() {
    const url = socketUrl(this.path);
    if (!url || this.gone) return false;
    const ws = (this.ws = new WebSocket(url));
    ws.binaryType = "arraybuffer";
    ws.onopen = () => { this.retryMs = RETRY_MS; this.opened?.(); };
    ws.onmessage = ({ data }) => (typeof data === "string" ? this.hear(JSON.parse(data), null, "ws") : this.hear(...unpack(data), "ws"));
    ws.onclose = () => {
      if (this.gone) return;
      this.using = "still";
      this.hello();
      this.retry = setTimeout(() => this.socket(), this.retryMs);
      this.retryMs = Math.min(2 * this.retryMs, RETRY_MOST_MS);
    };
    return true;
  }

  /** Listen to another session's frames from now on; resolves when its socket is open. */
  turn(path) {
    if (!socketUrl(path)) return Promise.reject("looking back needs the Jupyter server's half of mesonb: it was not found");
    Object.assign(this, { path, because: "" });
    if (this.ws) { this.ws.onclose = this.ws.onmessage = null; this.ws.close(); }
    this.pending.clear();
    return new Promise((resolve) => { this.opened = resolve; this.socket(); });
  }

  hello(more) {
    if (!this.comm || this.using === "ws") return;
    Object.assign(this, { helloAt: performance.now(), helloSeen: this.seen });
    this.comm.send({ kind: "hello", seen: this.seen, ...more });
  }

  /** Ask for a whole frame, on the comm that several views share; a socket has its own and loses nothing. */
  lost() {
    if (performance.now() - (this.lostAt ?? -HELLO_MS) < HELLO_MS / 4) return;
    this.lostAt = performance.now();
    this.hello({ lost: true });
  }

  hear(message, buffer, by) {
    this.using = by;
    this.heardAt = performance.now();
    if (message.kind === "ack") this.settle(message);
    else if (message.kind === "steering") this.because = message.because;
    else if (message.kind === "gone") { this.shut(); this.using = "still"; }
    else this.take(message, buffer);
    if (by === "comm" && this.seen >= this.helloSeen + HELLO_FRAMES) this.hello();
    this.changed();
  }

  tick() {
    const now = performance.now();
    if (this.using !== "ws" && this.ws?.readyState !== WebSocket.CONNECTING && now - (this.helloAt ?? 0) > HELLO_MS) this.hello();
    if (this.using === "comm" && now - this.heardAt > COMM_SILENT_MS) this.using = "still";
    this.changed();
  }

  get stale() { return performance.now() - this.heardAt > STALE_MS; }

  /** Why nothing can be steered from here, in a sentence; "" where it can. */
  get why() {
    if (this.gone) return "What this showed is gone: run its cell again.";
    if (this.using !== "still") return this.because;
    return performance.now() - Math.max(this.heardAt, this.begun) > STALE_MS ? "No kernel answers: this is the last picture. After a restart, run its cell again." : "";
  }

  /** Send a command; resolves with its acknowledgement and how long that took. */
  ask(command) {
    const id = ++this.asked, at = performance.now();
    return new Promise((resolve, reject) => {
      if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify({ id, ...command }));
      else if (this.comm && !this.gone) this.comm.send({ id, ...command });
      else return reject("nobody is listening: the kernel has gone");
      this.pending.set(id, (ack) => resolve({ ...ack, command, ms: performance.now() - at }));
    });
  }

  settle(ack) { this.pending.get(ack.id)?.(ack); this.pending.delete(ack.id); }
}

function socketUrl(path) {
  const config = document.getElementById("jupyter-config-data");
  if (!config || !path) return null;
  const base = new URL(JSON.parse(config.textContent).baseUrl ?? "/", location.href);
  base.protocol = base.protocol.replace("http", "ws");
  return new URL(path, base).href;
}

function unpack(message) {
  const length = new DataView(message).getUint32(0, true);
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length))), message.slice(4 + length)];
}

// --- the parts of the page -------------------------------------------------------------------------------------------

const STYLE = `
.mesonb { --ink: var(--jp-ui-font-color1, #212121); --soft: var(--jp-ui-font-color2, #616161); --edge: var(--jp-border-color2, #e0e0e0);
  --ground: var(--jp-layout-color1, #fff); --well: var(--jp-layout-color2, #f0f0f0); --warn: color-mix(in srgb, var(--jp-warn-color1, #f57c00) 60%, var(--ink));
  --good: color-mix(in srgb, var(--jp-success-color1, #388e3c) 75%, var(--ink)); --accent: var(--jp-brand-color1, #1976d2); --pressed: #1565c0; /* white is read on it in any theme */
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif); color: var(--ink); background: var(--ground); border: 1px solid var(--edge);
  border-radius: 8px; padding: 10px 14px 8px; margin: 2px; container-type: inline-size; box-sizing: border-box; position: relative; overflow: hidden; }
.mesonb-two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
.mesonb *, .mesonb *::before { box-sizing: border-box; }
.mesonb header { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
.mesonb h3 { margin: 0; font-size: 14px; font-weight: 600; }
.mesonb .counts { color: var(--soft); font-variant-numeric: tabular-nums; }
.mesonb .push { margin-left: auto; }
.mesonb .badge { font-size: 11px; padding: 1px 8px; border-radius: 9px; border: 1px solid var(--edge); color: var(--soft); white-space: nowrap; }
.mesonb .badge::before { content: ""; display: inline-block; width: 7px; height: 7px; border-radius: 50%; margin-right: 5px; background: currentColor; }
.mesonb .badge[data-is=live] { color: var(--good); } .mesonb .badge[data-is=stale], .mesonb .badge[data-is=paused] { color: var(--warn); border-color: currentColor; }
.mesonb button { font: inherit; color: var(--ink); background: var(--well); border: 1px solid var(--edge); border-radius: 5px; padding: 2px 14px; cursor: pointer; }
.mesonb :is(button, input, select):disabled { opacity: .5; cursor: not-allowed; border-color: var(--edge); background: none; color: var(--soft); } .mesonb .note { margin: 7px 0 0; padding: 3px 8px; border-left: 3px solid var(--warn); background: var(--well); }
.mesonb button:hover { border-color: var(--accent); } .mesonb button[aria-pressed=true] { background: var(--pressed); border-color: var(--pressed); color: #fff; }
.mesonb :is(button, input, select, canvas, pre):focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.mesonb .totals { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 7px 0 9px; font-size: 12px; color: var(--soft); font-variant-numeric: tabular-nums; }
.mesonb .totals > span { display: flex; align-items: center; gap: 7px; } .mesonb .totals b { color: var(--ink); font-weight: 600; }
.mesonb .totals b { min-width: 32px; } .mesonb .meter { display: inline-flex; width: 110px; height: 8px; border-radius: 4px; overflow: hidden; background: var(--well); }
.mesonb .meter i { display: block; height: 100%; background: var(--soft); } .mesonb .meter i + i { background: repeating-linear-gradient(135deg, var(--soft) 0 2px, transparent 2px 5px); }
.mesonb .body { display: grid; grid-template-columns: minmax(0, 1fr); gap: 10px 18px; }
@container (min-width: 700px) { .mesonb .body { grid-template-columns: minmax(0, 1fr) minmax(410px, 40%); } .mesonb .body > div { min-width: 0; overflow-x: auto; } }
.mesonb canvas { display: block; width: 100%; } .mesonb .agents { border-radius: 4px; }
.mesonb .scroll { max-height: 480px; overflow: auto; }
.mesonb table { border-collapse: collapse; width: 100%; font-size: 12px; font-variant-numeric: tabular-nums; margin: 0; }
.mesonb th { font-weight: 500; color: var(--soft); text-align: right; padding: 0 0 3px 6px; font-size: 11px; } .mesonb th:first-child, .mesonb td:first-child { text-align: left; padding-left: 0; }
.mesonb td { text-align: right; padding: 3px 0 3px 7px; border-top: 1px solid var(--edge); white-space: nowrap; }
.mesonb tr:is([data-state=suppressed], [data-state=leaving]) :is(td, .name) { color: var(--soft); font-style: italic; }
.mesonb .who { display: flex; align-items: center; gap: 6px; max-width: 110px; } .mesonb .who > .name { overflow: hidden; text-overflow: ellipsis; }
.mesonb .mark { flex: none; width: 22px; height: 16px; border-radius: 3px; font: 600 10px/16px var(--jp-ui-font-family, sans-serif); text-align: center; }
.mesonb .share { display: inline-flex; align-items: center; gap: 6px; } .mesonb .track { width: 36px; height: 8px; border-radius: 4px; overflow: hidden; background: var(--well); }
.mesonb .track i { display: block; height: 100%; } .mesonb abbr { text-decoration: none; }
.mesonb .roles { display: grid; gap: 3px; } .mesonb .role { font-size: 12px; font-variant-numeric: tabular-nums; } .mesonb .heads { margin-top: 10px; }
.mesonb .role { display: grid; grid-template-columns: minmax(50px, 1fr) 34px minmax(70px, 1.4fr) 62px; gap: 8px; align-items: center; }
.mesonb .role.heads { color: var(--soft); }
.mesonb .role span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mesonb input[type=range] { width: 100%; accent-color: var(--accent); margin: 0; }
.mesonb input[type=number] { width: 62px; font: inherit; color: var(--ink); background: var(--ground); border: 1px solid var(--edge); border-radius: 4px; padding: 1px 4px; }
@container (max-width: 300px) { .mesonb table :is(th, td):nth-child(n + 4) { display: none; } .mesonb .role { grid-template-columns: minmax(40px, 1fr) 36px minmax(44px, 1fr) 50px; gap: 6px; }
  .mesonb input[type=number] { width: 50px; } .mesonb .totals > span { flex: 1 0 100%; flex-wrap: wrap; gap: 0 7px; } .mesonb .meter { flex: 1 0 60px; } } /* JupyterLab's sidebar: what offers came to is told in the wider board */
.mesonb figure { margin: 10px 0 0; } .mesonb figcaption { font-size: 11px; color: var(--soft); margin-bottom: 2px; }
.mesonb footer { display: flex; flex-wrap: wrap; gap: 2px 14px; margin-top: 8px; font-size: 11px; color: var(--soft); align-items: center; }
.mesonb .key::before { content: ""; display: inline-block; width: 16px; height: 9px; margin-right: 5px; border: 1px solid var(--soft); border-radius: 2px; }
.mesonb .key[data-is=running]::before { background: var(--soft); } .mesonb .key[data-is=staging]::before { background: color-mix(in srgb, var(--soft) 45%, transparent); }
.mesonb .key[data-is=offered]::before { background: repeating-linear-gradient(135deg, var(--soft) 0 1.5px, transparent 1.5px 4.5px); border-style: dashed; }
.mesonb .told { min-height: 1.4em; flex: 1 1 100%; color: var(--ink); }
.mesonb [hidden] { display: none !important; }
.mesonb .tools { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; margin-top: 6px; font-size: 11px; color: var(--soft); } .mesonb .tools button { padding: 0 9px; min-width: 28px; }
.mesonb .tools .ramp { width: 90px; height: 9px; border-radius: 2px; border: 1px solid var(--edge); margin: 0 4px; display: inline-block; background: linear-gradient(90deg, var(--well), var(--soft)); }
.mesonb .past { margin-top: 8px; } .mesonb .past input[type=range] { flex: 1 1 120px; width: auto; min-width: 90px; } .mesonb .past .when { font-variant-numeric: tabular-nums; }
.mesonb .past select { font: inherit; color: var(--ink); background: var(--ground); border: 1px solid var(--edge); border-radius: 4px; } .mesonb button.cell { padding: 0 8px; font-size: 11px; }
.mesonb .story { position: relative; margin-top: 8px; padding: 8px 30px 8px 10px; background: var(--well); border-radius: 5px; font-size: 12px; max-height: 190px; overflow: auto; }
.mesonb .story ul { margin: 4px 0; padding-left: 18px; } .mesonb .story td { text-align: left; padding: 2px 10px 2px 0; border: 0; } .mesonb .story .mark { display: inline-block; } .mesonb .soft { color: var(--soft); }
.mesonb button.name { border: 0; background: none; padding: 0; text-align: left; white-space: nowrap; } .mesonb button.name:hover { text-decoration: underline; }
.mesonb button.code { border: 0; background: none; padding: 0; text-decoration: underline dotted; }
.mesonb .story .shut { position: absolute; top: 4px; right: 4px; border: 0; background: none; padding: 2px 8px; } .mesonb code { font-size: 11px; }
.mesonb .warn { border: 0; background: none; color: var(--warn); padding: 0 2px; } .mesonb pre { font-size: 11px; white-space: pre-wrap; max-height: 180px; overflow: auto; margin: 4px 0; padding: 6px; background: var(--well); color: var(--ink); }
`;

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function build(el, title) {
  const p = {
    title: make("h3", {}, title ?? "mesonb"), badge: make("span", { class: "badge", role: "status" }), counts: make("span", { class: "counts" }),
    transport: make("span", { class: "counts push", title: "how frames come here: by a socket of their own, by the widget's comm, or not at all: a still picture" }),
    warn: make("button", { type: "button", class: "warn", "aria-label": "what went wrong in the master" }, "⚠"),
    pause: make("button", { type: "button", class: "pause", "aria-pressed": "false" }, "Pause"),
    note: make("div", { class: "note", role: "status", hidden: "" }), totals: make("div", { class: "totals" }), agents: make("canvas", { class: "agents", role: "img", tabindex: "0", "data-lm-suppress-shortcuts": "true" }),
    tools: make("div", { class: "tools", hidden: "" }), story: make("div", { class: "story", role: "status", hidden: "" }),
    head: make("thead"), rows: make("tbody"), roles: make("div", { class: "roles" }), trouble: make("div"),
    curve: make("canvas", { role: "img", style: "height: 84px", "aria-label": "Shares of the frameworks over time" }),
    told: make("span", { class: "told", "aria-live": "polite" }),
  };
  const heads = { framework: "", tasks: "running or staging", share: "dominant share of its tasks", offers: "offers made to it", accepted: "offers that it accepted", declined: "offers that it declined" };
  p.head.append(make("tr", {}, ...Object.entries(heads).map(([name, title]) => make("th", { scope: "col" }, make("abbr", { title }, name)))));
  const side = make("div", {}, make("table", { "aria-label": "Frameworks" }, p.head, p.rows), p.trouble,
    make("div", { class: "role heads" }, ...["role", "share", "weight"].map((name) => make("span", {}, name))), p.roles,
    make("figure", {}, make("figcaption", {}, "shares so far"), p.curve));
  const keys = ["running", "staging", "offered", "free"].map((kind) => make("span", { class: "key", "data-is": kind }, kind));
  p.root = make("section", { class: "mesonb", "aria-label": `Board of ${title}` }, make("style", {}, STYLE),
    make("header", {}, p.title, p.badge, p.warn, p.counts, p.transport, p.pause), p.note, p.totals,
    make("div", { class: "body" }, make("div", {}, make("div", { class: "scroll" }, p.agents), p.tools, p.story), side), make("footer", {}, ...keys, p.told));
  el.append(p.root);
  return p;
}

// --- the view --------------------------------------------------------------------------------------------------------

class View {
  constructor(parts, state) {
    Object.assign(this, { p: parts, state, why: "", patterns: new Map(), drawing: 0, wordsAt: -WORDS_MS, fresh: false });
    this.motion = matchMedia("(prefers-reduced-motion: reduce)"); // asked at each drawing: it may be wished for meanwhile
    this.tiles = new Tiles(this);
    this.heat = new Heat(this);
    this.watchSize = new ResizeObserver(() => { // a scroll bar that comes makes less room as well
      const wide = `${parts.root.clientWidth} ${parts.agents.parentElement.clientWidth}`;
      if (wide !== this.wide) { this.wide = wide; this.anew(); }
    });
    for (const element of [parts.root, parts.agents.parentElement]) this.watchSize.observe(element);
    this.watchTheme = new MutationObserver(() => { this.ink = null; this.patterns.clear(); this.anew(); });
    for (const element of [document.body, document.documentElement])
      this.watchTheme.observe(element, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "style"] });
    parts.warn.addEventListener("click", () => this.explainTrouble(""));
    const { agents } = parts, here = (event) => [event.offsetX, event.offsetY];
    agents.addEventListener("pointermove", (event) => this.agents.drag?.(event) || this.point(this.agents.at(...here(event))));
    agents.addEventListener("pointerleave", () => this.point(-1));
    agents.addEventListener("pointerdown", (event) => this.agents.press?.(event));
    agents.addEventListener("pointerup", (event) => this.agents.release?.(event));
    agents.addEventListener("click", (event) => this.agents.dragged || this.ask(this.agents.at(...here(event))));
    agents.addEventListener("dblclick", (event) => this.agents.zoomBy?.(2, ...here(event)));
    agents.addEventListener("wheel", (event) => this.agents.wheel?.(event), { passive: false });
    agents.addEventListener("keydown", (event) => this.key(event));
  }

  /** What draws the agents: tiles, or a heat map. */
  get agents() { return this.state.head?.layout === "heat" ? this.heat : this.tiles; }

  take(buffer, whole) {
    this.agents.take(buffer, whole);
    this.fresh = true;
    this.changed();
  }

  /** Draw everything again: the size, or the theme, is another. */
  anew() {
    this.tiles.dirty = this.heat.dirty = null;
    Object.assign(this, { fresh: true, wordsAt: -WORDS_MS });
    this.state.curved = true;
    this.changed();
  }

  shut() { cancelAnimationFrame(this.drawing); clearTimeout(this.later); clearTimeout(this.askLater); this.watchSize.disconnect(); this.watchTheme.disconnect(); this.p.root.remove(); }

  changed() { if (!this.drawing) this.drawing = requestAnimationFrame((at) => { this.drawing = 0; this.draw(at); }); }

  changedIn(ms) { this.later ??= setTimeout(() => { this.later = undefined; this.changed(); }, ms); }

  say(text) { this.p.told.textContent = text; }

  acknowledged(ack, root) {
    root.dataset.ackMs = ack.ms.toFixed(1);
    root.dataset.acks = String(Number(root.dataset.acks ?? 0) + 1);
    const { do: done } = ack.command;
    if (ack.ok && done !== "weight") { // the next frame says so too
      this.state.head.paused = done === "pause";
      Object.assign(this, { fresh: true, wordsAt: -WORDS_MS });
      this.changed();
    }
    this.say(ack.ok ? `${ack.did} (answered in ${ack.ms.toFixed(0)} ms)` : ack.because);
  }

  status(line) {
    const { badge, transport, note, root } = this.p;
    const is = line.gone ? "gone" : line.using === "still" ? "still" : line.stale ? "stale" : line.past ? "past" : line.because ? "not live" : this.state.head?.paused ? "paused" : "live";
    if (badge.dataset.is !== is) {
      badge.dataset.is = badge.textContent = is;
      badge.title = { stale: "nothing has come for 2 s: the kernel is held up, or gone", still: "a picture of one moment: no kernel answers", gone: "what this showed is gone; run its cell again" }[is] ?? "";
    }
    write(transport, WAYS[line.using]);
    if (this.why !== line.why) this.allow(line.why);
    const answers = !line.gone && !(line.using === "still" && line.why);
    if (this.answers !== answers) this.answered(answers);
    note.hidden = !line.why || line.past;
    Object.assign(root.dataset, { transport: line.using, state: is, frames: this.state.frames });
  }

  /** Switch the controls that steer off where there is a reason, which is said, and on again where there is none. */
  allow(why) {
    this.why = why;
    write(this.p.note, why);
    for (const control of this.p.root.querySelectorAll(".pause, .role input")) this.allowed(control);
  }

  /** Switch the controls of the past off where nobody answers, and on again. */
  answered(by) {
    this.answers = by;
    for (const control of this.p.root.querySelectorAll(".past :is(button, input, select)")) control.disabled = !by;
  }

  allowed(control) {
    control.disabled = Boolean(this.why);
    control.title = this.why;
  }

  draw(at) {
    const { state, p } = this;
    if (!state.head || !p.root.isConnected) return;
    this.ink ??= this.readInk();
    if (this.fresh) {
      const waits = this.wordsAt + WORDS_MS - at;
      if (waits > 0) this.changedIn(waits);
      else this.write(at);
    }
    this.agents.draw(at);
    if (state.curved) this.drawCurve();
  }

  write(at) {
    Object.assign(this, { wordsAt: at, fresh: false });
    this.words();
    this.table();
    this.weights();
    const { head } = this.state;
    const label = `${this.agents.label()}: ${head.frameworks.map((f) => `${f.name} runs ${f.running}, share ${percent(f.share)}`).join("; ")}. ${this.agents.keys}`;
    if (at - (this.labelAt ?? -2000) >= 2000) { this.labelAt = at; this.p.agents.setAttribute("aria-label", label); }
    this.p.tools.hidden = this.agents !== this.heat;
    this.askAgain();
  }

  /** What is told of a name is asked again while frames come, for it would grow old; not under the pointer or the keyboard. */
  askAgain() {
    const { story: box } = this.p, waits = (this.toldAt ?? 0) + STORY_MS - performance.now();
    if (box.hidden || !this.told) return;
    if (waits > 0) this.askLater ??= setTimeout(() => { this.askLater = undefined; this.askAgain(); }, waits);
    else if (!box.matches(":hover, :focus-within")) this.onStory(this.told, true);
  }

  font() { return (this.fontFamily ??= getComputedStyle(this.p.root).fontFamily); }

  // --- one agent -----------------------------------------------------------------------------------------------------

  key(event) {
    if (!this.agents.key(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Say of one agent what it holds. */
  point(i) {
    if (i === this.agents.focus) return;
    this.agents.mark(i);
    this.changed();
    this.say(i < 0 ? "" : this.agents.told(i));
  }

  ask(i) { if (i >= 0) this.onStory(this.agents.name(i)); }

  /** A name that tells its story when it is clicked. */
  named(name) {
    const made = make("button", { type: "button", class: "name", title: `explain ${name}` }, name);
    made.addEventListener("click", () => this.onStory(made.textContent));
    return made;
  }

  /** A remedy that goes into a cell; it is not run. */
  remedy(code) {
    const made = make("button", { type: "button", class: "code", "aria-label": `put into a cell: ${code}`, title: "put into a cell" }, make("code", {}, code));
    made.addEventListener("click", async () => this.say(await putIntoCell(code)));
    return made;
  }

  /** Show the story of an agent, a task, a framework: why it is as it is, what could be done, what runs there. */
  tell(name, { ok, because, story }) {
    const { story: box } = this.p, shut = make("button", { type: "button", class: "shut", "aria-label": "close" }, "×");
    shut.addEventListener("click", () => { box.hidden = true; this.told = ""; });
    box.hidden = false;
    if (!ok) return box.replaceChildren(shut, because);
    const reasons = story.reasons.map(({ text, remedy, code }) => make("li", {}, text, ...(remedy ? [" → ", code ? this.remedy(code) : make("code", {}, remedy)] : [])));
    const tasks = story.tasks.map(({ task, framework, state, since, needs }) => {
      const f = this.state.head.frameworks.find((each) => each.name === framework), mark = make("span", { class: "mark" });
      if (f) paintMark(mark, f);
      return make("tr", {}, make("td", {}, mark, " ", this.named(task)), make("td", {}, `${state} for ${since}`), make("td", {}, needs));
    });
    box.replaceChildren(shut, make("div", {}, story.sentence),
      ...(tasks.length ? [make("table", { "aria-label": `Tasks of ${name}` }, make("tbody", {}, ...tasks))] : []),
      ...(story.more ? [make("div", { class: "soft" }, `and ${many(story.more, "more task")}`)] : []),
      ...(reasons.length ? [make("ul", { "aria-label": "Why no more is offered there" }, ...reasons)] : []));
  }

  readInk() {
    const style = getComputedStyle(this.p.root);
    return Object.fromEntries(["ink", "soft", "edge", "well", "ground"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  words() {
    const { head, names } = this.state, { counts } = head, trouble = names.complaints[""];
    this.p.warn.hidden = !trouble;
    if (trouble) this.p.warn.title = `${trouble.callback}: ${trouble.error}`;
    const drawn = counts.drawn < counts.agents ? ` (${counts.drawn} drawn)` : "";
    write(this.p.counts, `${many(counts.agents, "agent")}${drawn} · ${many(counts.tasks, "task")} · ${many(counts.offers, "offer")} · ${clock(head.at_us)}`);
    const pause = this.p.pause;
    write(pause, head.paused ? "Resume" : "Pause");
    pause.setAttribute("aria-pressed", head.paused);
    this.p.root.dataset.paused = head.paused;
    sync(this.p.totals, head.resources, () => make("span", {}, make("b"), make("span", { class: "meter" }, make("i"), make("i")), make("span")), (item, name, i) => {
      const [allocated, offered, free] = head.used[i];
      write(item.children[0], name);
      widen(item.children[1].children[0], allocated);
      widen(item.children[1].children[1], offered);
      write(item.children[2], `${percent(allocated)} allocated · ${percent(offered)} offered · ${percent(rest(allocated, offered, free))} free`);
    });
  }

  table() {
    const { head, names } = this.state;
    sync(this.p.rows, head.frameworks, () => this.tableRow(), (row, f) => {
      const [who, running, share, ...offers] = row.children, [mark, name, warn] = who.firstChild.children;
      if (mark.dataset.of !== `${f.colour} ${f.hatch} ${f.letters}`) { paintMark(mark, f); mark.dataset.of = `${f.colour} ${f.hatch} ${f.letters}`; }
      write(name, f.name);
      const said = `explain ${f.name}, role ${f.role}${f.state ? `, ${f.state}` : ""}`;
      if (name.title !== said) name.title = said;
      const complaint = names.complaints[f.name];
      warn.hidden = !complaint;
      if (complaint) warn.title = `${complaint.callback}: ${complaint.error}`;
      row.dataset.framework = f.name;
      write(running, short(f.running));
      const [track, number] = share.firstChild.children;
      widen(track.firstChild, Math.min(f.share, 1));
      track.firstChild.style.background = f.colour;
      write(number, f.share.toFixed(2));
      [f.offers_made, f.accepted, f.declined].forEach((n, i) => write(offers[i], short(n)));
      row.dataset.state = f.state;
    });
  }

  tableRow() {
    const warn = make("button", { type: "button", class: "warn", "aria-label": "what went wrong in this framework" }, "⚠");
    const row = make("tr", {}, make("td", {}, make("div", { class: "who" }, make("span", { class: "mark", "aria-hidden": "true" }), this.named(""), warn)),
      make("td"), make("td", {}, make("div", { class: "share" }, make("span", { class: "track" }, make("i")), make("span"))), make("td"), make("td"), make("td"));
    warn.addEventListener("click", () => this.explainTrouble(row.dataset.framework));
    return row;
  }

  explainTrouble(name) {
    const complaint = this.state.names.complaints[name], open = this.p.trouble.firstChild && this.p.trouble.dataset.name === name;
    this.p.trouble.replaceChildren();
    this.p.trouble.dataset.name = name;
    if (!open && complaint) this.p.trouble.append(make("pre", { tabindex: "0" }, `${name || "master"}: ${complaint.callback} (${complaint.times} times)\n${complaint.traceback || complaint.error}`));
  }

  weights() {
    sync(this.p.roles, this.state.head.roles, () => this.roleRow(), (row, r) => {
      const [label, share, slide, number] = row.children;
      Object.assign(row.dataset, { role: r.role, weight: r.weight });
      write(label, r.role === "*" ? "* (none)" : r.role);
      write(share, r.share.toFixed(2));
      slide.setAttribute("aria-label", `Weight of role ${r.role}, as a slider`);
      number.setAttribute("aria-label", `Weight of role ${r.role}`);
      if (row.contains(document.activeElement) && performance.now() - (row.steeredAt ?? 0) < 1500) return;
      slide.value = Math.log2(r.weight);
      slide.setAttribute("aria-valuetext", r.weight);
      if (document.activeElement !== number) number.value = r.weight;
    });
  }

  roleRow() {
    const slide = make("input", { type: "range", min: -3, max: 3, step: 0.25 }), number = make("input", { type: "number", min: 0.001, step: "any" });
    const label = make("button", { type: "button", class: "name" });
    label.addEventListener("click", () => this.onStory(row.dataset.role));
    const row = make("div", { class: "role" }, label, make("span"), slide, number);
    for (const control of [slide, number]) this.allowed(control);
    const set = (weight) => {
      row.steeredAt = performance.now();
      if (weight > 0 && weight !== Number(row.dataset.weight)) this.onWeight(row.dataset.role, weight);
    };
    slide.addEventListener("input", () => { number.value = Number((2 ** slide.value).toPrecision(3)); });
    slide.addEventListener("change", () => set(Number((2 ** slide.value).toPrecision(3))));
    number.addEventListener("change", () => { slide.value = Math.log2(number.value); set(Number(number.value)); });
    row.addEventListener("keydown", (event) => {
      event.stopPropagation(); // JupyterLab would take Enter for itself, and letters for shortcuts
      if (event.key === "Enter" && event.target === number) { number.blur(); number.focus(); }
    });
    return row;
  }

  // --- shares so far -------------------------------------------------------------------------------------------------

  drawCurve() {
    this.state.curved = false;
    const { curve, head } = this.state, canvas = this.p.curve, W = canvas.parentElement.clientWidth, H = 84, top = 6, low = H - 14;
    const g = canvasOf(canvas, W, H), from = curve[0]?.[0] ?? 0, span = Math.max((curve.at(-1)?.[0] ?? 0) - from, 1);
    const x = (at) => 20 + ((at - from) / span) * (W - 26), y = (share) => low - share * (low - top);
    g.font = `9px ${this.font()}`; g.fillStyle = this.ink.soft; g.strokeStyle = this.ink.edge; g.lineWidth = 1; g.textBaseline = "middle";
    for (const level of [0, 0.5, 1]) {
      g.beginPath(); g.moveTo(20, Math.round(y(level)) + 0.5); g.lineTo(W - 6, Math.round(y(level)) + 0.5); g.stroke();
      g.textAlign = "right"; g.fillText(level, 15, y(level));
    }
    g.fillText(clock(from + (curve.length ? span : 0)), W - 6, H - 5); g.textAlign = "left"; g.fillText(clock(from), 20, H - 5);
    for (const f of head.frameworks) {
      g.beginPath(); g.strokeStyle = f.colour; g.lineWidth = 2; g.setLineDash(DASHES[f.hatch]);
      let before = null;
      for (const [at, shares] of curve) {
        const share = shares[f.name];
        if (share !== undefined) { if (before === null) g.moveTo(x(at), y(share)); else { g.lineTo(x(at), y(before)); g.lineTo(x(at), y(share)); } }
        before = share ?? null;
      }
      g.stroke(); g.setLineDash([]);
    }
  }
}

// --- small things ----------------------------------------------------------------------------------------------------

/** Return a canvas's context, in the page's pixels; emptied, unless only some of it is drawn anew. */
function canvasOf(canvas, width, height, keep = false) {
  const scale = devicePixelRatio || 1, [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const fits = canvas.width === w && canvas.height === h;
  if (!fits) { canvas.width = w; canvas.height = h; canvas.style.height = `${height}px`; }
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  if (fits && !keep) g.clearRect(0, 0, width, height);
  return g;
}

function hatching(colour, hatch, over) {
  const tile = new OffscreenCanvas(8, 8), g = tile.getContext("2d"), offered = hatch === "offered";
  g.fillStyle = colour; g.globalAlpha = offered ? 0.16 : 1; g.fillRect(0, 0, 8, 8);
  g.globalAlpha = offered ? 0.85 : 0.75; g.strokeStyle = g.fillStyle = offered ? colour : over ?? (light(colour) ? "#000" : "#fff"); g.lineWidth = offered ? 1.6 : 1.2;
  const stroke = (...points) => { g.beginPath(); for (const [x, y, u, v] of points) { g.moveTo(x, y); g.lineTo(u, v); } g.stroke(); };
  if (hatch === "dots") { g.beginPath(); g.arc(2, 2, 1.2, 0, 7); g.arc(6, 6, 1.2, 0, 7); g.fill(); }
  else stroke([-2, 10, 10, -2], [-2, 2, 2, -2], [6, 10, 10, 6]);
  if (hatch === "cross") stroke([-2, -2, 10, 10], [-2, 6, 2, 10], [6, -2, 10, 2]);
  return tile;
}

function paintMark(mark, f) {
  mark.textContent = f.letters;
  const over = light(f.colour) ? "rgba(0,0,0,.35)" : "rgba(255,255,255,.45)", stripe = (angle) => `repeating-linear-gradient(${angle}, transparent 0 3px, ${over} 3px 4px)`;
  const images = { plain: "none", stripes: stripe("135deg"), cross: `${stripe("45deg")}, ${stripe("135deg")}`, dots: `radial-gradient(${over} 1px, transparent 1.4px)` };
  Object.assign(mark.style, { background: f.colour, color: light(f.colour) ? "#000" : "#fff" });
  Object.assign(mark.style, { backgroundImage: images[f.hatch], backgroundSize: f.hatch === "dots" ? "5px 5px" : "auto" });
}

/** Write a text where it is another: the same text, written again, has the page laid out again. */
function write(element, text) { if (element.textContent !== text) element.textContent = text; }

function widen(element, part) { const width = `${(100 * part).toFixed(1)}%`; if (element.style.width !== width) element.style.width = width; }

/** Keep as many children as there are items, and bring each up to date. */
function sync(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastChild.remove();
  while (parent.children.length < items.length) parent.append(create());
  items.forEach((item, i) => update(parent.children[i], item, i));
}

function light(colour) {
  const [r, g, b] = [1, 3, 5].map((i) => (parseInt(colour.slice(i, i + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179; // black has more contrast there than white
}

function fit(g, text, width) {
  if (g.measureText(text).width <= width) return text;
  let short = text;
  while (short.length > 1 && g.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return `${short}…`;
}

function clock(us) {
  const s = us / 1e6, two = (n) => String(Math.floor(n)).padStart(2, "0");
  return s < 60 ? `${s.toFixed(1)}\u00a0s` : `${two(s / 3600)}:${two((s / 60) % 60)}:${two(s % 60)}`;
}

const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const short = (n) => (n < 10_000 ? n.toLocaleString("en") : n.toLocaleString("en", { notation: "compact", maximumFractionDigits: n < 100_000 ? 1 : 0 }));
/** What is left of a whole when its other parts are written in whole percents: 63, 0 and 37, not 38; of nothing, nothing. */
const rest = (allocated, offered, free) => (allocated + offered + free > 0.99 ? Math.max(0, 1 - (Math.round(100 * allocated) + Math.round(100 * offered)) / 100) : free);
const percent = (part) => `${Math.round(100 * part)}\u00a0%`;
