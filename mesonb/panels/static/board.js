// The board: agents as tiles with their tasks, coloured by framework; shares; offers in flight; pause and weights.
//
// One module without a framework. `render` is the view of a notebook widget (anywidget's contract); `mount` draws the
// same board into any element. A frame is a JSON head and a Float32Array: a row for each piece of an agent that is taken
// (agent, framework, kind, how many, then the fraction of each resource); mesonb/panels/view.py says what is in it.
// Transports, best first: a WebSocket through the Jupyter server, the widget's comm, the still picture it came with.

const [RUNNING, STAGING, UNREACHABLE, OFFERED] = [0, 1, 2, 3];
const STALE_MS = 2000, HELLO_MS = 2000, COMM_SILENT_MS = 6000, RETRY_MS = 1000, RETRY_MOST_MS = 15000, CURVE_POINTS = 240;
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

/** Draw a board into `el`; returns what takes it away again. `comm` and `first` may be missing. */
export function mount(el, { title, path, comm, first }) {
  const parts = build(el, title);
  const state = { head: null, rows: new Float32Array(), names: { agents: [], complaints: {} }, curve: [], frames: 0, focus: -1 };
  const view = new View(parts, state);
  const line = new Line(path, comm, (message, rows) => take(message, rows), () => view.status(line));
  const steer = (command) => line.ask(command).then((ack) => view.acknowledged(ack, parts.root), (why) => view.say(String(why)));

  function take(message, rows) {
    if (message.kind === "frame") {
      if (message.names) state.names = message.names;
      if (message.curve) state.curve = message.curve.slice();
      Object.assign(state, { head: message, rows, frames: state.frames + 1 });
      noteShares(state);
      view.changed();
    } else if (message.kind === "trouble") view.say(`no picture: ${message.because}`);
  }

  parts.pause.addEventListener("click", () => steer({ do: state.head?.paused ? "resume" : "pause" }));
  view.onWeight = (role, weight) => steer({ do: "weight", role, weight });
  if (first?.[0]?.kind) take(first[0], floats(first[1]));
  state.frames = 0;
  line.open();
  return () => { line.shut(); view.shut(); };
}

function noteShares(state) {
  const shares = Object.fromEntries(state.head.frameworks.map((f) => [f.name, f.share]));
  const last = state.curve.at(-1), at = state.head.at_us, span = last ? at - state.curve[0][0] : 0;
  if (last ? at - last[0] < span / CURVE_POINTS : !state.head.frameworks.length) return;
  state.curve.push([at, shares]);
  if (state.curve.length > 2 * CURVE_POINTS) state.curve = state.curve.filter((_, i, all) => i % 2 || i === all.length - 1);
}

function floats(bytes) {
  if (!bytes) return new Float32Array();
  const { buffer, byteOffset, byteLength } = bytes.buffer ? bytes : new Uint8Array(bytes);
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

// --- the line to the kernel ------------------------------------------------------------------------------------------

class Line {
  constructor(path, comm, take, changed) {
    Object.assign(this, { path, comm, take, changed, using: "still", heardAt: 0, asked: 0, pending: new Map(), retryMs: RETRY_MS });
    this.gone = false;
  }

  open() {
    this.unlisten = this.comm?.listen((message, buffer) => this.using !== "ws" && this.hear(message, floats(buffer), "comm"));
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
    ws.onopen = () => { this.retryMs = RETRY_MS; };
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

  hello() {
    if (this.comm && this.using !== "ws") { this.helloAt = performance.now(); this.comm.send({ kind: "hello" }); }
  }

  hear(message, rows, by) {
    this.using = by;
    this.heardAt = performance.now();
    if (message.kind === "ack") this.settle(message);
    else if (message.kind === "gone") { this.shut(); this.using = "still"; }
    else this.take(message, rows);
    this.changed();
  }

  tick() {
    const now = performance.now();
    if (this.using !== "ws" && this.ws?.readyState !== WebSocket.CONNECTING && now - (this.helloAt ?? 0) > HELLO_MS) this.hello();
    if (this.using === "comm" && now - this.heardAt > COMM_SILENT_MS) this.using = "still";
    this.changed();
  }

  get stale() { return performance.now() - this.heardAt > STALE_MS; }

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
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length))), new Float32Array(message.slice(4 + length))];
}

// --- the parts of the page -------------------------------------------------------------------------------------------

const STYLE = `
.mesonb { --ink: var(--jp-ui-font-color1, #212121); --soft: var(--jp-ui-font-color2, #616161); --edge: var(--jp-border-color2, #e0e0e0);
  --ground: var(--jp-layout-color1, #fff); --well: var(--jp-layout-color2, #f0f0f0); --warn: var(--jp-warn-color1, #b26a00);
  --good: var(--jp-success-color1, #2e7d32); --accent: var(--jp-brand-color1, #1976d2);
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif); color: var(--ink); background: var(--ground); border: 1px solid var(--edge);
  border-radius: 8px; padding: 10px 14px 8px; margin: 2px; container-type: inline-size; box-sizing: border-box; position: relative; overflow: hidden; }
.mesonb *, .mesonb *::before { box-sizing: border-box; }
.mesonb header { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
.mesonb h3 { margin: 0; font-size: 14px; font-weight: 600; }
.mesonb .counts { color: var(--soft); font-variant-numeric: tabular-nums; }
.mesonb .push { margin-left: auto; }
.mesonb .badge { font-size: 11px; padding: 1px 8px; border-radius: 9px; border: 1px solid var(--edge); color: var(--soft); white-space: nowrap; }
.mesonb .badge::before { content: ""; display: inline-block; width: 7px; height: 7px; border-radius: 50%; margin-right: 5px; background: currentColor; }
.mesonb .badge[data-is=live] { color: var(--good); } .mesonb .badge[data-is=stale], .mesonb .badge[data-is=paused] { color: var(--warn); border-color: currentColor; }
.mesonb button { font: inherit; color: var(--ink); background: var(--well); border: 1px solid var(--edge); border-radius: 5px; padding: 2px 14px; cursor: pointer; }
.mesonb button:hover { border-color: var(--accent); } .mesonb button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: #fff; }
.mesonb :is(button, input, canvas):focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.mesonb .totals { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 7px 0 9px; font-size: 12px; color: var(--soft); font-variant-numeric: tabular-nums; }
.mesonb .totals span { display: flex; align-items: center; gap: 7px; } .mesonb .totals b { color: var(--ink); font-weight: 600; }
.mesonb .meter { display: inline-flex; width: 110px; height: 8px; border-radius: 4px; overflow: hidden; background: var(--well); }
.mesonb .meter i { display: block; height: 100%; background: var(--soft); } .mesonb .meter i + i { background: repeating-linear-gradient(135deg, var(--soft) 0 2px, transparent 2px 5px); }
.mesonb .body { display: grid; grid-template-columns: minmax(0, 1fr); gap: 10px 18px; }
@container (min-width: 640px) { .mesonb .body { grid-template-columns: minmax(0, 1fr) minmax(330px, 36%); } }
.mesonb canvas { display: block; width: 100%; } .mesonb .agents { border-radius: 4px; }
.mesonb .scroll { max-height: 480px; overflow: auto; }
.mesonb table { border-collapse: collapse; width: 100%; font-size: 12px; font-variant-numeric: tabular-nums; margin: 0; }
.mesonb th { font-weight: 500; color: var(--soft); text-align: right; padding: 0 0 3px 8px; } .mesonb th:first-child, .mesonb td:first-child { text-align: left; padding-left: 0; }
.mesonb td { text-align: right; padding: 3px 0 3px 8px; border-top: 1px solid var(--edge); white-space: nowrap; }
.mesonb .who { display: flex; align-items: center; gap: 6px; max-width: 120px; } .mesonb .who > span:nth-child(2) { overflow: hidden; text-overflow: ellipsis; }
.mesonb .mark { flex: none; width: 22px; height: 16px; border-radius: 3px; font: 600 10px/16px var(--jp-ui-font-family, sans-serif); text-align: center; }
.mesonb .share { display: inline-flex; align-items: center; gap: 6px; } .mesonb .track { width: 44px; height: 8px; border-radius: 4px; overflow: hidden; background: var(--well); }
.mesonb .track i { display: block; height: 100%; } .mesonb abbr { text-decoration: none; }
.mesonb .roles { display: grid; gap: 3px; } .mesonb .role { font-size: 12px; font-variant-numeric: tabular-nums; } .mesonb .heads { margin-top: 10px; }
.mesonb .role { display: grid; grid-template-columns: minmax(50px, 1fr) 34px minmax(70px, 1.4fr) 62px; gap: 8px; align-items: center; }
.mesonb .role.heads { color: var(--soft); }
.mesonb .role span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mesonb input[type=range] { width: 100%; accent-color: var(--accent); margin: 0; }
.mesonb input[type=number] { width: 62px; font: inherit; color: var(--ink); background: var(--ground); border: 1px solid var(--edge); border-radius: 4px; padding: 1px 4px; }
@container (max-width: 300px) { .mesonb table :is(th, td):nth-child(n + 4) { display: none; } .mesonb .role { grid-template-columns: minmax(40px, 1fr) 30px minmax(50px, 1fr) 50px; gap: 6px; }
  .mesonb input[type=number] { width: 50px; } .mesonb .totals span { flex: 1 0 100%; flex-wrap: wrap; gap: 0 7px; } .mesonb .meter { flex: 1 0 60px; } } /* JupyterLab's sidebar: what offers came to is told in the wider board */
.mesonb figure { margin: 10px 0 0; } .mesonb figcaption { font-size: 11px; color: var(--soft); margin-bottom: 2px; }
.mesonb footer { display: flex; flex-wrap: wrap; gap: 2px 14px; margin-top: 8px; font-size: 11px; color: var(--soft); align-items: center; }
.mesonb .key::before { content: ""; display: inline-block; width: 16px; height: 9px; margin-right: 5px; border: 1px solid var(--soft); border-radius: 2px; }
.mesonb .key[data-is=running]::before { background: var(--soft); } .mesonb .key[data-is=staging]::before { background: color-mix(in srgb, var(--soft) 45%, transparent); }
.mesonb .key[data-is=offered]::before { background: repeating-linear-gradient(135deg, var(--soft) 0 1.5px, transparent 1.5px 4.5px); border-style: dashed; }
.mesonb .told { min-height: 1.4em; flex: 1 1 100%; color: var(--ink); }
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
    transport: make("span", { class: "counts push", title: "how frames come here: ws, comm, or a still picture" }),
    warn: make("button", { type: "button", class: "warn", "aria-label": "what went wrong in the master" }, "⚠"),
    pause: make("button", { type: "button", class: "pause", "aria-pressed": "false" }, "Pause"),
    totals: make("div", { class: "totals" }), agents: make("canvas", { class: "agents", role: "img", tabindex: "0" }),
    head: make("thead"), rows: make("tbody"), roles: make("div", { class: "roles" }), trouble: make("div"),
    curve: make("canvas", { role: "img", style: "height: 84px", "aria-label": "Shares of the frameworks over time" }),
    told: make("span", { class: "told", "aria-live": "polite" }),
  };
  const heads = { framework: "", tasks: "running or staging", share: "dominant share of its tasks", offers: "offers made to it", taken: "offers accepted", "not": "offers declined" };
  p.head.append(make("tr", {}, ...Object.entries(heads).map(([name, title]) => make("th", { scope: "col" }, make("abbr", { title }, name)))));
  const side = make("div", {}, make("table", { "aria-label": "Frameworks" }, p.head, p.rows), p.trouble,
    make("div", { class: "role heads" }, ...["role", "share", "weight"].map((name) => make("span", {}, name))), p.roles,
    make("figure", {}, make("figcaption", {}, "shares so far"), p.curve));
  const keys = ["running", "staging", "offered", "free"].map((kind) => make("span", { class: "key", "data-is": kind }, kind));
  p.root = make("section", { class: "mesonb", "aria-label": `Board of ${title}` }, make("style", {}, STYLE),
    make("header", {}, p.title, p.badge, p.warn, p.counts, p.transport, p.pause), p.totals,
    make("div", { class: "body" }, make("div", { class: "scroll" }, p.agents), side), make("footer", {}, ...keys, p.told));
  el.append(p.root);
  return p;
}

// --- the view --------------------------------------------------------------------------------------------------------

class View {
  constructor(parts, state) {
    Object.assign(this, { p: parts, state, patterns: new Map(), rowsOf: new Map(), rolesOf: new Map(), drawing: 0, slowAt: 0 });
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.watchSize = new ResizeObserver(() => this.changed());
    this.watchSize.observe(parts.root);
    this.watchTheme = new MutationObserver(() => { this.ink = null; this.patterns.clear(); this.changed(); });
    for (const element of [document.body, document.documentElement])
      this.watchTheme.observe(element, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "style"] });
    parts.warn.addEventListener("click", () => this.explainTrouble(""));
    parts.agents.addEventListener("pointermove", (event) => this.point(this.tileAt(event)));
    parts.agents.addEventListener("pointerleave", () => this.point(-1));
    parts.agents.addEventListener("keydown", (event) => this.walk(event));
  }

  shut() { cancelAnimationFrame(this.drawing); this.watchSize.disconnect(); this.watchTheme.disconnect(); this.p.root.remove(); }

  changed() { if (!this.drawing) this.drawing = requestAnimationFrame((at) => { this.drawing = 0; this.draw(at); }); }

  say(text) { this.p.told.textContent = text; }

  acknowledged(ack, root) {
    root.dataset.ackMs = ack.ms.toFixed(1);
    root.dataset.acks = String(Number(root.dataset.acks ?? 0) + 1);
    const { do: done, role, weight } = ack.command;
    const what = done === "weight" ? `weight of ${role} is ${weight}` : done === "pause" ? "no more offers; tasks run on" : "offers are made again";
    if (ack.ok && done !== "weight") { this.state.head.paused = done === "pause"; this.changed(); } // the next frame says so too
    this.say(ack.ok ? `${what} (answered in ${ack.ms.toFixed(0)} ms)` : ack.because);
  }

  status(line) {
    const { badge, transport, pause, root } = this.p;
    const is = line.gone ? "gone" : line.using === "still" ? "still" : line.stale ? "stale" : this.state.head?.paused ? "paused" : "live";
    if (badge.dataset.is !== is) {
      badge.dataset.is = badge.textContent = is;
      badge.title = { stale: "nothing has come for 2 s: the kernel is held up, or gone", still: "a picture of one moment: no kernel answers", gone: "what this showed is gone; run its cell again" }[is] ?? "";
    }
    transport.textContent = line.using;
    for (const control of line.gone ? root.querySelectorAll("button.pause, input") : []) control.disabled = true;
    Object.assign(root.dataset, { transport: line.using, state: is, frames: this.state.frames });
  }

  draw(at) {
    const { state, p } = this;
    if (!state.head || !p.root.isConnected) return;
    this.ink ??= this.readInk();
    this.words();
    this.table();
    this.weights();
    this.drawAgents(at);
    this.drawCurve();
    if (state.head.counts.offers && !this.still) this.changed(); // offers in flight move
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
    this.p.counts.textContent = `${many(counts.agents, "agent")}${drawn} · ${many(counts.tasks, "task")} · ${many(counts.offers, "offer")} · ${clock(head.at_us)}`;
    const pause = this.p.pause;
    pause.textContent = head.paused ? "Resume" : "Pause";
    pause.setAttribute("aria-pressed", head.paused);
    this.p.root.dataset.paused = head.paused;
    sync(this.p.totals, head.resources, () => make("span", {}, make("b"), make("span", { class: "meter" }, make("i"), make("i")), make("span")), (item, name, i) => {
      const [allocated, offered, free] = head.used[i];
      item.children[0].textContent = name;
      item.children[1].children[0].style.width = `${100 * allocated}%`;
      item.children[1].children[1].style.width = `${100 * offered}%`;
      item.children[2].textContent = `${percent(allocated)} allocated · ${percent(offered)} offered · ${percent(free)} free`;
    });
  }

  table() {
    const { head, names } = this.state;
    sync(this.p.rows, head.frameworks, () => this.tableRow(), (row, f) => {
      const [who, running, share, ...offers] = row.children, [mark, name, warn] = who.firstChild.children;
      paintMark(mark, f);
      name.textContent = f.name;
      name.title = `${f.name}, role ${f.role}${f.state ? `, ${f.state}` : ""}`;
      const complaint = names.complaints[f.name];
      warn.hidden = !complaint;
      if (complaint) warn.title = `${complaint.callback}: ${complaint.error}`;
      row.dataset.framework = f.name;
      running.textContent = f.running;
      const [track, number] = share.firstChild.children;
      Object.assign(track.firstChild.style, { width: `${100 * Math.min(f.share, 1)}%`, background: f.colour });
      number.textContent = f.share.toFixed(2);
      [f.offers_made, f.accepted, f.declined].forEach((n, i) => { offers[i].textContent = n.toLocaleString("en"); });
      row.style.opacity = f.state ? 0.6 : 1;
    });
  }

  tableRow() {
    const warn = make("button", { type: "button", class: "warn", "aria-label": "what went wrong in this framework" }, "⚠");
    const row = make("tr", {}, make("td", {}, make("div", { class: "who" }, make("span", { class: "mark", "aria-hidden": "true" }), make("span"), warn)),
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
      label.textContent = r.role === "*" ? "* (none)" : r.role;
      share.textContent = r.share.toFixed(2);
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
    const row = make("div", { class: "role" }, make("span"), make("span"), slide, number);
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

  // --- the agents ----------------------------------------------------------------------------------------------------

  drawAgents(at) {
    const { state } = this, { head } = state, agents = state.names.agents;
    const grid = (this.grid = arrange(agents.length, this.p.agents.parentElement.clientWidth, head.resources.length));
    const g = canvasOf(this.p.agents, grid.width, grid.height);
    const shift = this.still ? 0 : (at / 90) % 8;
    for (let i = 0; i < agents.length; i++) this.drawTile(g, grid, i, agents[i]);
    const filled = new Float32Array(agents.length * head.resources.length);
    for (let r = 0; r < state.rows.length; r += head.columns) this.drawPiece(g, grid, r, filled, shift);
    if (at - this.slowAt > 2000) {
      this.slowAt = at;
      this.p.agents.setAttribute("aria-label", `${agents.length} agents: ${head.frameworks.map((f) => `${f.name} runs ${f.running}, share ${percent(f.share)}`).join("; ")}. Arrow keys walk through the agents.`);
    }
  }

  drawTile(g, grid, i, [name, size]) {
    const [x, y] = grid.at(i);
    g.strokeStyle = i === this.state.focus ? this.ink.ink : this.ink.edge;
    g.lineWidth = 1;
    if (grid.bars) { g.beginPath(); g.roundRect(x + 0.5, y + 0.5, grid.tileW - 1, grid.tileH - 1, 5); g.stroke(); }
    if (grid.named) {
      g.font = `600 11px ${this.font()}`; g.fillStyle = this.ink.ink; g.textBaseline = "middle"; g.textAlign = "left";
      const wide = grid.tileW - 16, label = fit(g, name, wide);
      g.fillText(label, x + 8, y + 13);
      const used = g.measureText(label).width + 8;
      g.font = `11px ${this.font()}`; g.fillStyle = this.ink.soft;
      if (g.measureText(size).width < wide - used) g.fillText(size, x + 8 + used, y + 13);
    }
    for (let b = 0; b < grid.bars || b < 1; b++) {
      const [bx, by, bw, bh] = grid.bar(i, b);
      g.fillStyle = this.ink.well;
      g.fillRect(bx, by, bw, bh);
      if (grid.labelled) { g.font = `10px ${this.font()}`; g.fillStyle = this.ink.soft; g.textAlign = "left"; g.fillText(fit(g, this.state.head.resources[b], 28), x + 8, by + bh / 2); }
      if (!grid.bars && i === this.state.focus) g.strokeRect(x - 0.5, y - 0.5, grid.tileW + 1, grid.tileH + 1);
    }
  }

  drawPiece(g, grid, r, filled, shift) {
    const { rows, head } = this.state, R = head.resources.length, i = rows[r], kind = rows[r + 2];
    const f = head.frameworks[rows[r + 1]] ?? { colour: GREY, hatch: "plain", letters: "…" };
    for (let b = 0; b < grid.bars; b++) {
      const [bx, by, bw, bh] = grid.bar(i, b), wide = rows[r + 4 + b] * bw, x = bx + filled[i * R + b] * bw;
      filled[i * R + b] += rows[r + 4 + b];
      if (wide > 0) this.fillPiece(g, f, kind, x, by, wide, bh, shift, rows[r + 3]);
    }
    if (!grid.bars) { // a tile too small for bars: it fills from below by its fullest resource
      const [x, y, w, h] = grid.bar(i, 0);
      let most = 0;
      for (let b = 0; b < R; b++) most = Math.max(most, rows[r + 4 + b]);
      const high = most * h, below = filled[i * R] * h;
      filled[i * R] = Math.min(1, filled[i * R] + most);
      this.fillPiece(g, f, kind, x, y + Math.max(0, h - below - high), w, Math.min(high, h - below), shift, 1);
    }
  }

  fillPiece(g, f, kind, x, y, w, h, shift, count) {
    const inner = Math.max(w - (w > 5 ? 1 : 0), 0.5);
    if (kind === OFFERED) {
      g.fillStyle = this.pattern(g, f.colour, "offered", shift);
      g.fillRect(x, y, inner, h);
      if (w > 5) { g.setLineDash([3, 2]); g.strokeStyle = f.colour; g.strokeRect(x + 0.5, y + 0.5, inner - 1, h - 1); g.setLineDash([]); }
    } else {
      g.globalAlpha = kind === STAGING ? 0.5 : 1;
      g.fillStyle = kind === UNREACHABLE ? this.pattern(g, f.colour, "cross", 0, this.ink.ground) : this.pattern(g, f.colour, f.hatch, 0);
      g.fillRect(x, y, inner, h);
      g.globalAlpha = 1;
    }
    if (w > 18 && h > 10) {
      g.font = `600 10px ${this.font()}`; g.textAlign = "center"; g.textBaseline = "middle";
      g.fillStyle = kind === OFFERED || kind === STAGING ? this.ink.ink : light(f.colour) ? "#000" : "#fff";
      g.fillText(count > 1 && w > 40 ? `${f.letters} ×${count}` : f.letters, x + w / 2, y + h / 2 + 0.5);
    }
  }

  /** A fill: plain colour, or a hatching of it; an offer's stripes move by `shift`. */
  pattern(g, colour, hatch, shift, over) {
    if (hatch === "plain") return colour;
    const key = `${colour} ${hatch}`;
    if (!this.patterns.has(key)) this.patterns.set(key, g.createPattern(hatching(colour, hatch, over), "repeat"));
    const pattern = this.patterns.get(key);
    pattern.setTransform(new DOMMatrix([1, 0, 0, 1, shift, 0]));
    return pattern;
  }

  font() { return (this.fontFamily ??= getComputedStyle(this.p.root).fontFamily); }

  tileAt({ offsetX, offsetY }) {
    const { grid } = this;
    if (!grid) return -1;
    const column = Math.floor(offsetX / (grid.tileW + grid.gap)), row = Math.floor(offsetY / (grid.tileH + grid.gap));
    const i = row * grid.across + column;
    return column < grid.across && i < this.state.names.agents.length ? i : -1;
  }

  walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.grid?.across, ArrowUp: -this.grid?.across }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.point(Math.min(Math.max(this.state.focus + step, 0), this.state.names.agents.length - 1));
  }

  /** Say of one agent what it holds. */
  point(i) {
    if (i === this.state.focus) return;
    this.state.focus = i;
    this.changed();
    if (i < 0) return this.say("");
    const { rows, head, names } = this.state, kinds = ["running", "staging", "unreachable", "offered"], held = new Map();
    for (let r = 0; r < rows.length; r += head.columns) {
      if (rows[r] !== i) continue;
      const key = `${head.frameworks[rows[r + 1]]?.name ?? "others"} ${kinds[rows[r + 2]]}`;
      held.set(key, (held.get(key) ?? 0) + rows[r + 3]);
    }
    this.say(`${names.agents[i].join(": ")} · ${[...held].map(([what, n]) => `${n} × ${what}`).join(", ") || "free"}`);
  }

  // --- shares so far -------------------------------------------------------------------------------------------------

  drawCurve() {
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

function canvasOf(canvas, width, height) {
  const scale = devicePixelRatio || 1, [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; canvas.style.height = `${height}px`; }
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
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

/** Keep as many children as there are items, and bring each up to date. */
function sync(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastChild.remove();
  while (parent.children.length < items.length) parent.append(create());
  items.forEach((item, i) => update(parent.children[i], item, i));
}

function light(colour) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}

function fit(g, text, width) {
  if (g.measureText(text).width <= width) return text;
  let short = text;
  while (short.length > 1 && g.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return `${short}…`;
}

function clock(us) {
  const s = us / 1e6, two = (n) => String(Math.floor(n)).padStart(2, "0");
  return s < 60 ? `${s.toFixed(1)} s` : `${two(s / 3600)}:${two((s / 60) % 60)}:${two(s % 60)}`;
}

const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const percent = (part) => `${Math.round(100 * part)} %`;
