// Rows of a table that follow a list: each keeps its place in the page for as long as its item is there, so that a
// focus or a selection stays.

/** Make the rows of a <tbody> follow a list; `make(row, item)` furnishes a new row, `fill(row, item)` brings it up to date. */
export function keepRows(body, items, { key, make = () => {}, fill }) {
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  items.forEach((item, place) => {
    const name = key(item);
    const row = old.get(name) ?? newRow(name, item, make);
    old.delete(name);
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
    fill(row, item);
  });
  for (const row of old.values()) row.remove();
}

function newRow(name, item, make) {
  const row = document.createElement("tr");
  row.dataset.key = name;
  make(row, item);
  return row;
}

/** Add a cell to a row; its `part` is the name by which `write` finds it, its `label` what a phone shows beside it. */
export function addCell(row, part, { className = "", tag = "td", label = "" } = {}) {
  const cell = document.createElement(tag);
  if (tag === "th") cell.scope = "row";
  if (label) cell.dataset.label = label;
  if (className) cell.className = className;
  cell.dataset.part = part;
  row.append(cell);
  return cell;
}

/** Write texts into the parts of an element, where they differ. */
export function write(element, texts) {
  for (const [part, text] of Object.entries(texts)) {
    const target = element.querySelector(`[data-part="${part}"]`);
    if (target.textContent !== String(text)) target.textContent = text;
  }
}

/** Make an element with a text and attributes. */
export function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(text);
  return made;
}
