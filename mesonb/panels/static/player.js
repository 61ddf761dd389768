// Plays an exported run: looks up the rows of a moment, and draws them. Nothing is computed here that a kernel could
// have computed, nothing is loaded, and all words are set as text, never as markup.
'use strict';
const run = JSON.parse(document.getElementById('data').textContent);
const [AGENT, LANE, FRAMEWORK, BEGUN, RUNNING, ENDED, STATE, TASK, WHY] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const MARKED = { killed: '✕', failed: '△', lost: '◇' };
const LEFT = 92, RIGHT = 24, AXIS = 18, LINES = 10;
const by = id => document.getElementById(id);
const slider = by('at'), play = by('play'), tasks = by('tasks'), shares = by('shares');
let at = 0, last = null;

// -- small things ------------------------------------------------------------------------------------------------------

const clock = ms => `${(ms / 1000).toFixed(ms < 60000 ? 2 : 1)} s`;
const ink = () => getComputedStyle(document.body).color;
const x = (ms, width) => LEFT + (width - LEFT - RIGHT) * ms / Math.max(run.ends_ms, 1);
const dark = colour => [1, 3, 5].map(n => (parseInt(colour.slice(n, n + 2), 16) / 255) ** 2.2)
  .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0) <= 0.179; // white has more contrast there than black

/** The last place in a sorted list whose value is not beyond `value`; -1 where all are. */
function place(list, value, key = item => item) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(list[middle]) <= value) low = middle + 1; else high = middle;
  }
  return low - 1;
}

/** A canvas's context at the screen's own resolution, empty. */
function paper(canvas, height) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  return [context, width];
}

const patterns = new Map();
/** A framework's colour with its hatching: no eighth framework looks like the first. */
function fill(context, { colour, hatch }) {
  if (hatch === 'plain') return colour;
  const key = colour + hatch;
  if (!patterns.has(key)) {
    const tile = new OffscreenCanvas(6, 6), pen = tile.getContext('2d');
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 6, 6);
    pen.strokeStyle = pen.fillStyle = '#0008';
    pen.beginPath();
    if (hatch === 'dots') pen.arc(3, 3, 1.2, 0, 7);
    if (hatch !== 'dots') { pen.moveTo(0, 6); pen.lineTo(6, 0); }
    if (hatch === 'cross') { pen.moveTo(0, 0); pen.lineTo(6, 6); }
    if (hatch === 'dots') pen.fill(); else pen.stroke();
    patterns.set(key, context.createPattern(tile, 'repeat'));
  }
  return patterns.get(key);
}

const rough = Math.max(run.ends_ms, 1) / 8, power = 10 ** Math.floor(Math.log10(rough));
const tick = [1, 2, 5, 10].find(times => times * power >= rough) * power;

function axis(context, width, height) {
  context.fillStyle = ink();
  context.textAlign = 'center';
  for (let ms = 0; ms <= run.ends_ms; ms += tick) context.fillText(`${+(ms / 1000).toPrecision(6)} s`, x(ms, width), height - AXIS / 2);
}

function cursor(context, width, height) {
  context.strokeStyle = ink();
  context.setLineDash([3, 3]);
  context.strokeRect(x(at, width), 0, 0, height - AXIS);
  context.setLineDash([]);
}

// -- tasks -------------------------------------------------------------------------------------------------------------

const laneHeight = Math.max(3, Math.min(13, 420 / Math.max(run.agents.reduce((sum, agent) => sum + Math.max(agent[1], 2), 0), 1)));
const tops = [];
run.agents.reduce((top, [, lanes]) => { tops.push(top); return top + Math.max(lanes, 2) * laneHeight + 5; }, 0);
const tasksHeight = run.agents.length ? tops.at(-1) + Math.max(run.agents.at(-1)[1], 2) * laneHeight + 5 + AXIS : 40;

const rectangle = (bar, width) => {
  const end = bar[ENDED] < 0 || bar[ENDED] > at ? at : bar[ENDED];
  const left = x(bar[BEGUN], width);
  return [left, tops[bar[AGENT]] + bar[LANE] * laneHeight, Math.max(x(end, width) - left - 0.5, 1), laneHeight - 1];
};

function drawTasks() {
  const [context, width] = paper(tasks, tasksHeight);
  context.textAlign = 'left';
  context.fillStyle = ink();
  run.agents.forEach(([name, lanes], number) => {
    context.fillText(name.slice(0, 14), 0, tops[number] + Math.max(lanes, 2) * laneHeight / 2, LEFT - 6);
  });
  const until = place(run.bars, at, bar => bar[BEGUN]);
  for (let number = 0; number <= until; number += 1) drawBar(context, run.bars[number], width);
  for (let number = 0; number <= until; number += 1) drawEnd(context, run.bars[number], width);
  axis(context, width, tasksHeight);
  cursor(context, width, tasksHeight);
}

function drawBar(context, bar, width) {
  const mark = run.frameworks[bar[FRAMEWORK]], [left, top, wide, high] = rectangle(bar, width);
  context.globalAlpha = bar[RUNNING] < 0 || bar[RUNNING] > at ? 0.4 : 1;
  context.fillStyle = fill(context, mark);
  context.fillRect(left, top, wide, high);
  context.globalAlpha = 1;
  context.textAlign = 'left';
  if (wide > 16 && high >= 9) {
    context.fillStyle = dark(mark.colour) ? '#fff' : '#000';
    context.fillText(mark.letters, left + 3, top + high / 2 + 0.5);
  }
}

/** Mark an end that a task did not choose, above all bars. */
function drawEnd(context, bar, width) {
  if (bar[STATE] in MARKED && bar[ENDED] >= 0 && bar[ENDED] <= at) {
    const [left, top, wide, high] = rectangle(bar, width);
    context.textAlign = 'center';
    context.font = 'bold 14px system-ui, sans-serif';
    context.lineWidth = 3;
    context.strokeStyle = getComputedStyle(document.body).backgroundColor;
    context.strokeText(MARKED[bar[STATE]], left + wide, top + high / 2);
    context.fillStyle = ink();
    context.fillText(MARKED[bar[STATE]], left + wide, top + high / 2);
    context.font = '11px system-ui, sans-serif';
    context.lineWidth = 1;
  }
}

function tell(event) {
  const { left, top } = tasks.getBoundingClientRect(), [px, py] = [event.clientX - left, event.clientY - top];
  const bar = run.bars.findLast(each => {
    const [bx, by_, wide, high] = rectangle(each, tasks.clientWidth);
    return each[BEGUN] <= at && px >= bx && px <= bx + wide && py >= by_ && py <= by_ + high;
  });
  if (!bar) return;
  const over = bar[ENDED] >= 0 && bar[ENDED] <= at;
  const ended = over ? `${bar[STATE]} at ${clock(bar[ENDED])} after ${clock(bar[ENDED] - bar[BEGUN])}` : 'lives at this moment';
  by('told').textContent = `${bar[TASK]} of ${run.frameworks[bar[FRAMEWORK]].name} on ${run.agents[bar[AGENT]][0]}: launched at `
    + `${clock(bar[BEGUN])}, ${ended}${over && bar[WHY] ? ` – ${bar[WHY]}` : ''}`;
}

// -- shares ------------------------------------------------------------------------------------------------------------

const DASHES = { plain: [], stripes: [6, 3], dots: [2, 2], cross: [8, 3, 2, 3] };

function drawShares() {
  const height = 190, [context, width] = paper(shares, height), high = height - AXIS - 10;
  const y = share => 8 + high * (1 - share), until = place(run.moments, at);
  context.textAlign = 'right';
  for (const share of [0, 0.5, 1]) {
    context.strokeStyle = '#8886';
    context.strokeRect(LEFT, y(share), width - LEFT - RIGHT, 0);
    context.fillStyle = ink();
    context.fillText(share.toFixed(1), LEFT - 6, y(share));
  }
  run.shares.forEach((line, number) => {
    const { colour, hatch } = run.frameworks[number];
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.setLineDash(DASHES[hatch]);
    context.beginPath();
    for (let n = 0, pen = false; n <= until; n += 1) {
      if (line[n] == null) { pen = false; continue; }
      if (pen) context.lineTo(x(run.moments[n], width), y(line[n - 1] ?? line[n]));
      context[pen ? 'lineTo' : 'moveTo'](x(run.moments[n], width), y(line[n]));
      pen = true;
    }
    context.stroke();
    context.setLineDash([]);
  });
  context.lineWidth = 1;
  axis(context, width, height);
  cursor(context, width, height);
}

// -- words -------------------------------------------------------------------------------------------------------------

const add = (parent, kind, text = '') => Object.assign(parent.appendChild(document.createElement(kind)), { textContent: text });

function drawTable() {
  const table = by('frameworks'), moment = Math.max(0, place(run.moments, at));
  table.replaceChildren();
  const head = add(table, 'tr');
  for (const name of ['framework', 'share', ...run.counted]) add(head, 'th', name).scope = 'col';
  run.frameworks.forEach((framework, number) => {
    const counts = run.counts[number][moment];
    if (!counts?.length) return;
    const row = add(table, 'tr'), cell = add(row, 'td');
    const chip = add(cell, 'span', framework.letters);
    chip.className = 'chip';
    chip.style.cssText = `background: ${framework.colour}; color: ${dark(framework.colour) ? '#fff' : '#000'}`;
    cell.append(` ${framework.name}`);
    add(row, 'td', (run.shares[number][moment] ?? 0).toFixed(2));
    for (const count of counts) add(row, 'td', count || '–');
  });
}

function drawLines() {
  const until = place(run.lines, at, line => line[0]), list = by('lines');
  list.replaceChildren();
  for (let n = until; n > until - LINES && n >= 0; n -= 1) {
    const [ms, call, followed] = run.lines[n], item = add(list, 'li', `${clock(ms).padStart(9)}  `);
    add(item, 'b', call);
    item.append(followed ? `  →  ${followed}` : '');
  }
}

// -- moving about ------------------------------------------------------------------------------------------------------

function show(ms) {
  at = Math.min(Math.max(ms, 0), run.ends_ms);
  slider.value = at;
  by('clock').textContent = `${clock(at)} of ${clock(run.ends_ms)}`;
  slider.setAttribute('aria-valuetext', clock(at));
  document.body.dataset.at = at;
  drawTasks();
  drawShares();
  drawTable();
  drawLines();
}

function frame(now) {
  if (last === null) return;
  const next = at + (now - last) * Number(by('speed').value);
  last = now;
  show(next);
  if (at >= run.ends_ms) stop(); else requestAnimationFrame(frame);
}

function stop() {
  last = null;
  play.textContent = 'Play';
}

play.onclick = () => {
  if (last !== null) return stop();
  if (at >= run.ends_ms) at = 0;
  play.textContent = 'Pause';
  last = performance.now();
  requestAnimationFrame(frame);
};
slider.oninput = () => show(Number(slider.value));
slider.onchange = () => history.replaceState(null, '', `#t=${(at / 1000).toFixed(3)}`);
tasks.onmousemove = tell;
for (const canvas of [tasks, shares]) {
  canvas.onclick = event => {
    const { left, width } = canvas.getBoundingClientRect();
    show((event.clientX - left - LEFT) / (width - LEFT - RIGHT) * run.ends_ms);
  };
}
tasks.onkeydown = event => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(at + step * run.ends_ms / 100);
};
const left = Object.entries(run.left_out).filter(([, count]) => count).map(([what, count]) => `${count.toLocaleString()} ${what}`);
if (left.length) by('about').textContent += ` · not in this page: ${left.join(', ')}`;
slider.max = run.ends_ms;
slider.step = Math.max(run.ends_ms / 2000, 0.1);
window.onresize = () => show(at);
matchMedia('(prefers-color-scheme: dark)').onchange = () => show(at);
const asked = /[#&]t=([\d.]+)/.exec(location.hash);
show(asked ? Number(asked[1]) * 1000 : run.ends_ms);
