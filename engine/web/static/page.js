// Keeps the page that the server rendered up to date.

import { beginAlarms, lose, showState } from "./alarm.js";
import { addPoint, beginCharts } from "./charts.js";
import { beginFilter, filterEvents } from "./filter.js";
import { changeRows, showCell, showLocalTimes, showRows, span, tickAll } from "./pieces.js";

const OLD_AFTER = 4000; // ms without a message after which the page says that it is old
const POLL_EVERY = 3000; // ms, while there is no stream
const COME_BACK = 5000; // ms until a closed stream is tried again

let heard = performance.now();
let link = "static";

// ---- what the server says ------------------------------------------------------------------

function take(message, by) {
  heard = performance.now();
  if (message.shape !== document.body.dataset.shape) {
    location.reload();
    return;
  }
  for (const [name, cell] of Object.entries(message.cells)) showNamed(name, cell);
  for (const [name, rows] of Object.entries(message.rows)) withTable(name, (body) => showRows(body, rows));
  for (const [name, told] of Object.entries(message.changed ?? {})) {
    withTable(name, (body) => changeRows(body, told.rows, told.keys));
  }
  if (message.rows.events || message.changed?.events) filterEvents();
  if (message.point) addPoint(message.point);
  showState(message.state, message.title);
  showLink(by);
  tick();
}

function withTable(name, show) {
  const body = document.querySelector(`tbody[data-rows="${CSS.escape(name)}"]`);
  if (body) show(body);
}

function showNamed(name, cell) {
  const node = document.querySelector(`[data-cell="${CSS.escape(name)}"]`);
  if (!node) return;
  showCell(node, cell);
  for (const other of document.querySelectorAll(`[data-follows="${CSS.escape(name)}"]`)) other.dataset.state = cell.s;
  const folded = document.querySelector(`[data-opens="${CSS.escape(name)}"]`);
  if (folded && cell.s === "warn") folded.open = true;
}

function tick() {
  const silent = performance.now() - heard;
  const banner = document.getElementById("connection");
  if (silent > OLD_AFTER) {
    showLink("lost");
    lose();
  }
  const isLost = link === "lost";
  if (isLost) banner.textContent = `Disconnected. What you see is ${span(silent / 1000)} old.`;
  tickAll(); // what is known grows older all the same
  if (banner.hidden === isLost) banner.hidden = !isLost;
}

// ---- the link ------------------------------------------------------------------------------

const WORDS = { live: "connected", polling: "asking every few seconds", lost: "disconnected" };

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

async function begin() {
  showLink("polling");
  showLocalTimes();
  document.getElementById("clock").textContent = "times are this browser's; hover for UTC";
  document.getElementById("currency").addEventListener("change", (event) => event.target.form.submit());
  beginAlarms();
  beginFilter();
  listen();
  setInterval(tick, 1000);
  await beginCharts();
}

begin();
