// Keeps the page that the server rendered up to date. Text only ever goes in as text.

const OLD_AFTER = 4000; // ms without a message after which the page says that it is old
const POLL_EVERY = 3000; // ms, while there is no stream
const COME_BACK = 5000; // ms until a closed stream is tried again
const KEPT = 900; // samples of the charts
const GLYPHS = { good: "✓", warn: "!", bad: "✕", plain: "·" };

const cells = new Map();
for (const node of document.querySelectorAll("[data-cell]")) cells.set(node.dataset.cell, node);
const arrived = new Map(); // when each cell's age was told
let heard = performance.now();
let link = "static";

// ---- what the server says ------------------------------------------------------------------

function take(message, by) {
  heard = performance.now();
  if (message.shape !== document.body.dataset.shape) {
    location.reload();
    return;
  }
  for (const [name, cell] of Object.entries(message.cells)) showCell(name, cell);
  for (const [name, rows] of Object.entries(message.rows)) showRows(name, rows);
  if (message.point) addPoint(message.point);
  showLink(by);
  tick();
}

function showCell(name, cell) {
  const node = cells.get(name);
  if (!node) return;
  node.dataset.state = cell.s;
  for (const other of document.querySelectorAll(`[data-follows="${CSS.escape(name)}"]`)) other.dataset.state = cell.s;
  const glyph = node.querySelector(":scope > .glyph");
  if (glyph) glyph.textContent = GLYPHS[cell.s] ?? "";
  node.dataset.text = cell.t;
  setOrDrop(node, "age", cell.age);
  setOrDrop(node, "due", cell.due);
  arrived.set(node, performance.now());
  const meter = node.parentElement.querySelector(":scope > meter");
  if (meter && cell.part !== undefined) meter.value = cell.part;
  if (cell.age === undefined && cell.due === undefined) setText(node, cell.t);
}

function setOrDrop(node, name, value) {
  if (value === undefined) delete node.dataset[name];
  else node.dataset[name] = value;
}

function setText(node, text) {
  const place = node.querySelector(":scope > .text");
  if (place.textContent !== text) place.textContent = text; // a screen reader hears only real changes
}

function showRows(name, rows) {
  const body = document.querySelector(`tbody[data-rows="${CSS.escape(name)}"]`);
  if (!body) return;
  body.replaceChildren(...rows.map({ events: eventRow, orders: markedRow, gates: markedRow, drift: markedRow, push: markedRow }[name] ?? assetRow));
}

function eventRow([when, state, kind, text]) {
  const row = part("tr", "", "row");
  row.dataset.state = state;
  const time = part("td", "time", "cell", new Date(when).toLocaleTimeString());
  row.append(time, marked(state, kind), part("td", "text", "cell", text));
  return row;
}

function markedRow([state, word, ...texts]) {
  const row = part("tr", "", "row");
  row.dataset.state = state;
  row.append(marked(state, word), ...texts.map((each) => part("td", "", "cell", each)));
  return row;
}

function marked(state, word) {
  const made = part("td", "kind", "cell");
  const glyph = part("span", "glyph", null, GLYPHS[state] ?? "");
  glyph.setAttribute("aria-hidden", "true");
  made.append(glyph, word);
  return made;
}

function assetRow([name, ...amounts]) {
  const row = part("tr", "", "row");
  const head = part("th", "", "rowheader", name);
  head.scope = "row";
  row.append(head, ...amounts.map((each) => part("td", "number", "cell", each)));
  return row;
}

function part(tag, className, role, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (role) made.setAttribute("role", role);
  if (text !== undefined) made.textContent = text;
  return made;
}

// ---- ages tick -----------------------------------------------------------------------------

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function tick() {
  const now = performance.now();
  for (const node of cells.values()) {
    const passed = (now - (arrived.get(node) ?? 0)) / 1000;
    if (node.dataset.age !== undefined) {
      const age = span(Number(node.dataset.age) + passed);
      const words = [node.dataset.text, age, node.dataset.old === undefined ? "" : "old"];
      setText(node, words.filter(Boolean).join(" "));
    } else if (node.dataset.due !== undefined) {
      const due = Number(node.dataset.due) - passed;
      setText(node, due >= 1 ? `in ${span(due)}` : "now");
    }
  }
  const silent = now - heard;
  if (silent > OLD_AFTER) showLink("lost");
  const banner = document.getElementById("connection");
  const isLost = link === "lost";
  if (isLost) banner.textContent = `Disconnected. What you see is ${span(silent / 1000)} old.`;
  if (banner.hidden === isLost) banner.hidden = !isLost;
}

// ---- the link ------------------------------------------------------------------------------

const WORDS = { live: "live", polling: "asking every few seconds", lost: "disconnected" };

function showLink(now) {
  if (link === now) return;
  link = now;
  document.body.dataset.link = now;
  const shown = document.getElementById("link");
  shown.dataset.link = now;
  shown.textContent = WORDS[now];
}

let polling;

function listen() {
  const stream = new EventSource("/api/events");
  stream.onopen = () => {
    clearInterval(polling);
    polling = undefined;
  };
  stream.onmessage = (event) => take(JSON.parse(event.data), "live");
  stream.onerror = () => {
    polling ??= setInterval(poll, POLL_EVERY);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, COME_BACK);
  };
}

async function poll() {
  try {
    const reply = await fetch("/api/state", { signal: AbortSignal.timeout(POLL_EVERY) });
    if (reply.ok && polling !== undefined) take(await reply.json(), "polling");
  } catch {
    // the next tick says that the page is old
  }
}

// ---- charts --------------------------------------------------------------------------------

const points = [];
const charts = new Map();
const LINES = ["one", "two", "three", "four", "five", "six", "one", "two"];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function addPoint(point) {
  points.push(point);
  if (points.length > KEPT) points.splice(0, points.length - KEPT);
  drawAll();
}

function columns(name) {
  const times = points.map((each) => each.t);
  if (name === "latency") return [times, points.map((each) => each.mean), points.map((each) => each.worst)];
  if (name !== "cash") return [times, points.map((each) => each[name])];
  return [times, ...accounts().map((who) => points.map((each) => (who in each.cash ? Number(each.cash[who]) : null)))];
}

function accounts() {
  return document.body.dataset.shape.split(" ").filter(Boolean).slice(0, LINES.length);
}

function labels(name) {
  if (name === "latency") return ["mean", "worst"];
  if (name === "cash") return accounts();
  return [name === "queue" ? "waiting" : "errors"];
}

function makeChart(node, name) {
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const series = labels(name).map((label, number) => ({
    label, stroke: colour(LINES[number]), width: 1.75, spanGaps: true, points: { show: false },
    dash: number % 2 ? [6, 3] : undefined, // not by colour alone
    fill: name === "errors" ? colour("line") : undefined,
  }));
  const isCount = name === "queue" || name === "errors";
  return new uPlot({
    width: node.clientWidth, height: 160, series: [{}, ...series], cursor: { y: false },
    scales: { y: { range: (_, low, high) => range(low, high, isCount || name === "latency") } },
    axes: [axis, { ...axis, size: 64 }],
  }, columns(name), node);
}

function range(low, high, fromZero) {
  if (low === null || high === null) return [0, 1];
  if (fromZero) return [0, Math.max(1, high * 1.1)];
  const room = (high - low || Math.abs(high) || 1) * 0.1;
  return [low - room, high + room];
}

function drawAll() {
  for (const node of document.querySelectorAll("[data-chart]")) {
    const name = node.dataset.chart;
    if (charts.has(name)) charts.get(name).setData(columns(name));
    else if (points.length) charts.set(name, makeChart(node, name));
  }
}

function forgetCharts() {
  for (const chart of charts.values()) chart.destroy();
  charts.clear();
  drawAll();
}

async function begin() {
  for (const node of cells.values()) {
    node.dataset.text = node.dataset.age === undefined ? "" : node.dataset.text ?? "";
    arrived.set(node, performance.now());
  }
  showLink("polling");
  try {
    points.push(...(await (await fetch("/api/history")).json()));
  } catch {
    // the charts begin now
  }
  drawAll();
  listen();
  setInterval(tick, 1000);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forgetCharts);
  new ResizeObserver(() => {
    for (const [name, chart] of charts) {
      chart.setSize({ width: document.querySelector(`[data-chart="${name}"]`).clientWidth, height: 160 });
    }
  }).observe(document.querySelector(".charts"));
}

begin();
