// Cells and rows, as the service sends them, put into the page. Text only ever goes in as text.

export const GLYPHS = { good: "✓", warn: "!", bad: "✕", plain: "·", old: "✓" };

export function part(tag, className, role, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (role) made.setAttribute("role", role);
  if (text !== undefined) made.textContent = text;
  return made;
}

// ---- times ---------------------------------------------------------------------------------

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function utc(when) {
  return `${when.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export function localTime(iso) {
  const when = new Date(iso);
  const isToday = when.toDateString() === new Date().toDateString();
  return isToday ? when.toLocaleTimeString() : `${when.toLocaleDateString()} ${when.toLocaleTimeString()}`;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text; // a screen reader hears only real changes
}

// What ticks is counted from the moment at which it was told.
function tickingSince(node) {
  node.told ??= performance.now();
  return (performance.now() - node.told) / 1000;
}

export function tickAll(root = document) {
  for (const node of root.querySelectorAll("[data-age]")) {
    setText(node, span(Number(node.dataset.age) + tickingSince(node)));
  }
  for (const node of root.querySelectorAll("[data-due]")) {
    const due = Number(node.dataset.due) - tickingSince(node);
    setText(node, due >= 1 ? `in ${span(due)}` : "now");
  }
}

export function showLocalTimes(root = document) {
  for (const node of root.querySelectorAll("time[datetime]")) setText(node, localTime(node.dateTime));
}

// ---- pieces --------------------------------------------------------------------------------

function exactly(text, exact) {
  const made = part("data", "", null, text);
  made.value = exact;
  made.title = exact;
  return made;
}

function makePiece(piece) {
  if (typeof piece === "string") return document.createTextNode(piece);
  if (piece.age !== undefined || piece.due !== undefined) {
    const made = part("span");
    if (piece.silent) made.setAttribute("aria-hidden", "true");
    if (piece.age !== undefined) made.dataset.age = piece.age;
    else made.dataset.due = piece.due;
    return made;
  }
  if (piece.at !== undefined) {
    const made = part("time", "", null, localTime(piece.at));
    made.dateTime = piece.at;
    made.title = utc(new Date(piece.at));
    return made;
  }
  if (piece.n !== undefined) return exactly(piece.n, piece.x);
  if (piece.w !== undefined) {
    const currency = document.body.dataset.currency;
    const [text, exact] = piece.w[currency] ?? ["unknown", ""];
    return exactly(`${text} ${currency}`, `${exact} ${currency}`);
  }
  if (piece.b !== undefined) return part("strong", "", null, piece.b);
  const link = part("a", "act", null, piece.a);
  if (piece.h.startsWith("/") && !piece.h.startsWith("//")) link.href = piece.h;
  link.setAttribute("aria-label", piece.l);
  return link;
}

// Ages and times that only moved on are changed in place, so that nobody hears or loses the whole cell.
function sameShape(pieces, nodes) {
  return pieces.length === nodes.length && pieces.every((piece, number) => {
    const node = nodes[number];
    if (typeof piece === "string") return node.nodeType === Node.TEXT_NODE && node.data === piece;
    return node.nodeType === Node.ELEMENT_NODE && (piece.age !== undefined ? "age" in node.dataset : piece.due !== undefined && "due" in node.dataset);
  });
}

function fill(text, pieces) {
  if (sameShape(pieces, text.childNodes)) {
    pieces.forEach((piece, number) => {
      const node = text.childNodes[number];
      if (piece.age !== undefined) [node.dataset.age, node.told] = [piece.age, performance.now()];
      if (piece.due !== undefined) [node.dataset.due, node.told] = [piece.due, performance.now()];
    });
  } else {
    text.replaceChildren(...pieces.map(makePiece));
  }
  tickAll(text);
}

export function showCell(node, cell) {
  node.dataset.state = cell.s;
  const glyph = node.querySelector(":scope > .glyph");
  if (glyph) setText(glyph, GLYPHS[cell.s] ?? "");
  const meter = node.querySelector(":scope > meter");
  if (meter && cell.part !== undefined) meter.value = cell.part;
  fill(node.querySelector(":scope > .text"), cell.p);
}

// ---- rows ----------------------------------------------------------------------------------

function makeCell(column, cell) {
  const heads = column.dataset.heads !== undefined;
  const made = part(heads ? "th" : "td", column.className, heads ? "rowheader" : "cell");
  if (heads) made.scope = "row";
  made.dataset.label = column.textContent;
  if (cell.part !== undefined) {
    const meter = part("meter");
    Object.assign(meter, { min: 0, max: 1, low: 0.1, high: 0.3, optimum: 1 });
    meter.setAttribute("aria-label", cell.p.filter((each) => typeof each === "string").join(""));
    made.append(meter);
  }
  if (column.dataset.marked !== undefined) {
    const glyph = part("span", "glyph");
    glyph.setAttribute("aria-hidden", "true");
    made.append(glyph);
  }
  made.append(part("span", "text"));
  return made;
}

function makeRow(columns, told) {
  const row = part("tr", "", "row");
  row.dataset.key = told.k;
  row.append(...told.c.slice(0, columns.length).map((each, place) => makeCell(columns[place], each)));
  return row;
}

function showRow(row, told) {
  row.dataset.state = told.s;
  for (const [name, value] of Object.entries(told.d ?? {})) row.dataset[name] = value;
  [...row.cells].forEach((node, place) => told.c[place] && showCell(node, told.c[place]));
}

// The rows that have changed, without those of their cells that have not; `keys` are those of all rows, in order, where others are there than before.
export function changeRows(body, rows, keys) {
  const columns = body.parentElement.querySelectorAll("thead th");
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  for (const told of rows) {
    if (!known.has(told.k)) known.set(told.k, makeRow(columns, told));
    showRow(known.get(told.k), told);
  }
  if (!keys) return;
  keys.forEach((key, number) => {
    const row = known.get(key);
    known.delete(key);
    if (body.rows[number] !== row) body.insertBefore(row, body.rows[number] ?? null);
  });
  for (const row of known.values()) row.remove();
}

export function showRows(body, rows) {
  changeRows(body, rows, rows.map((each) => each.k));
}
