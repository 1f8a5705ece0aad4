// The charts: the last 15 minutes of the lane, and the history of the balances.

const KEPT = 900; // samples of the last 15 minutes
const FETCH_EVERY = 300000; // ms between two looks at the history
const LINES = ["one", "two", "three", "four", "five", "six", "one", "two"];
const HEIGHT = 160;

const points = [];
const charts = new Map();
let history = {};
let days = "1";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function accounts() {
  return Object.keys(history).slice(0, LINES.length);
}

function columns(name) {
  const times = points.map((each) => each.t);
  if (name === "latency") return [times, points.map((each) => each.mean), points.map((each) => each.worst)];
  if (name !== "balance") return [times, points.map((each) => each[name])];
  const lines = accounts().map((who) => [history[who].t, history[who].cash.map(Number)]);
  return lines.length ? uPlot.join(lines) : [[]];
}

function labels(name) {
  if (name === "latency") return ["mean", "worst"];
  if (name === "balance") return accounts();
  return [name === "queue" ? "waiting" : "errors"];
}

// Outages are shaded; orders are marked by a line, and fills by one with a foot, in the colour of their account.
function drawMarks(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  accounts().forEach((who, number) => {
    for (const [from, to] of outages(history[who].marks)) {
      const [left, right] = [from, to].map((when) => plot.valToPos(when, "x", true));
      ctx.fillStyle = colour("outage");
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
    }
    ctx.fillStyle = colour(LINES[number]);
    for (const mark of history[who].marks.filter((each) => each.kind === "fill" || each.kind === "order")) {
      const at = plot.valToPos(mark.t, "x", true);
      ctx.fillRect(at - 1, bbox.top + bbox.height - 14, 2, 14);
      if (mark.kind === "fill") ctx.fillRect(at - 4, bbox.top + bbox.height - 4, 8, 4);
    }
  });
  ctx.restore();
}

function outages(marks) {
  const found = [];
  let since = null;
  for (const mark of marks) {
    if (mark.kind === "not available") since ??= mark.t;
    if (mark.kind === "available" && since !== null) {
      found.push([since, mark.t]);
      since = null;
    }
  }
  if (since !== null) found.push([since, Date.now() / 1000]);
  return found;
}

function makeChart(node, name) {
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const series = labels(name).map((label, number) => ({
    label, stroke: colour(LINES[number]), width: 1.75, spanGaps: true, points: { show: name === "balance" && undefined },
    dash: number % 2 ? [6, 3] : undefined, // not by colour alone
    fill: name === "errors" ? colour("line") : undefined,
  }));
  const isCount = name !== "balance";
  return new uPlot({
    width: node.clientWidth, height: HEIGHT, series: [{}, ...series], cursor: { y: false },
    scales: { y: { range: (_, low, high) => range(low, high, isCount) }, x: name === "balance" ? { range: lastDays } : {} },
    axes: [axis, { ...axis, size: 64 }],
    hooks: name === "balance" ? { drawAxes: [drawMarks] } : {},
  }, columns(name), node);
}

function lastDays() {
  const now = Date.now() / 1000;
  return [now - Number(days) * 86400, now];
}

function range(low, high, fromZero) {
  if (low === null || high === null || low === undefined) return [0, 1];
  if (fromZero) return [0, Math.max(1, high * 1.1)];
  const room = (high - low || Math.abs(high) || 1) * 0.1;
  return [low - room, high + room];
}

function drawAll() {
  for (const node of document.querySelectorAll("[data-chart]")) {
    const name = node.dataset.chart;
    if (charts.has(name)) charts.get(name).setData(columns(name));
    else if (name === "balance" ? accounts().length : points.length) charts.set(name, makeChart(node, name));
  }
}

function forgetCharts() {
  for (const chart of charts.values()) chart.destroy();
  charts.clear();
  drawAll();
}

function shown(amount) {
  return Number(amount).toLocaleString("en", { maximumFractionDigits: 2 });
}

// The chart in words, for who does not see it.
function tell() {
  const since = Date.now() / 1000 - Number(days) * 86400;
  const told = accounts().map((who) => {
    const { cash, marks } = history[who];
    const recent = marks.filter((each) => each.t >= since);
    const count = (kind) => recent.filter((each) => each.kind === kind).length;
    return `${who}: ${cash.length ? `from ${shown(cash[0])} to ${shown(cash[cash.length - 1])}` : "no points yet"}, `
      + `${count("not available")} outages, ${count("order")} orders, ${count("fill")} fills`;
  });
  document.getElementById("balance-told").textContent = told.join(" · ") || "No balances yet.";
}

async function fetchHistory() {
  try {
    history = await (await fetch(`/api/balances?days=${days}`)).json();
  } catch {
    return; // fetched again later
  }
  charts.get("balance")?.destroy();
  charts.delete("balance");
  tell();
  drawAll();
}

function choose(button) {
  days = button.dataset.days;
  for (const each of document.querySelectorAll("[data-days]")) each.setAttribute("aria-pressed", each === button);
  fetchHistory();
}

export function addPoint(point) {
  points.push(point);
  if (points.length > KEPT) points.splice(0, points.length - KEPT);
  drawAll();
}

export async function beginCharts() {
  try {
    points.push(...(await (await fetch("/api/history")).json()));
  } catch {
    // the charts begin now
  }
  drawAll();
  await fetchHistory();
  setInterval(fetchHistory, FETCH_EVERY);
  for (const button of document.querySelectorAll("[data-days]")) button.addEventListener("click", () => choose(button));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forgetCharts);
  new ResizeObserver(() => {
    for (const [name, chart] of charts) {
      chart.setSize({ width: document.querySelector(`[data-chart="${name}"]`).clientWidth, height: HEIGHT });
    }
  }).observe(document.querySelector(".charts"));
}
