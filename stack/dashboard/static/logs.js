// The live log of a function: all replicas, filtered, paused and followed as the reader likes, and never more than fits.

import { count, send, toast } from "./app.js";
import { watch } from "./live.js";
import { RecordReader, logLine } from "./log_line.js";

// How many records are kept, and how many of them are shown at once.
const KEPT = 10_000;
const SHOWN = 3000;
// Pixels above the end within which the reader counts as being there.
const NEAR = 32;
const LEVELS = ["debug", "info", "warn", "error"];

const find = (id) => document.getElementById(`log-${id}`);
const log = document.getElementById("log");
const name = document.querySelector("[data-function]").dataset.function;
const base = `/functions/${encodeURIComponent(name)}/logs`;

const reader = new RecordReader();
const elements = new Map();
const replicas = new Set();
let records = [];
let newest = new Map();
let shown = 0;
let waiting = [];
let skipped = 0;
let isPaused = false;
let isFollowing = true;
let isDrawing = false;

// --- What comes -----------------------------------------------------------------------------------------------------

/** Take entries of the server; those that were taken before are passed over, such as after a broken connection. */
function take(entries) {
  for (const entry of entries) {
    if (entry.time <= (newest.get(entry.container) ?? 0)) continue;
    newest.set(entry.container, entry.time);
    if (!replicas.has(entry.container)) addReplica(entry.container);
    const { record, isNew } = reader.read(entry);
    if (isNew) records.push(record);
    if (isNew || elements.has(record)) waiting.push(record);
  }
  if (records.length > KEPT) records = records.slice(-KEPT);
  if (isPaused) tell();
  else draw();
}

function addReplica(container) {
  replicas.add(container);
  const text = container.replace(/^.*-(\d+)$/, "Replica $1");
  find("replica").append(new Option(text, container));
  if (replicas.size === 2) {
    find("replica").hidden = false;
    redraw();
  }
}

// --- What is shown --------------------------------------------------------------------------------------------------

function isWanted({ level, text, container }) {
  const [least, words, replica] = [find("level").value, find("filter").value.toLowerCase(), find("replica").value];
  if (least && LEVELS.indexOf(level) < LEVELS.indexOf(least)) return false;
  return (!replica || container === replica) && text.toLowerCase().includes(words);
}

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const fresh = new Set(waiting.splice(0).slice(-SHOWN));
    const lines = [];
    for (const record of fresh) {
      const known = elements.get(record);
      if (known) known.replaceWith(makeLine(record));
      else if (isWanted(record)) lines.push(makeLine(record));
    }
    log.append(...lines);
    shown += lines.length;
    while (shown > SHOWN) {
      log.firstElementChild.remove();
      shown -= 1;
    }
    if (fresh.size > 100 || elements.size > 2 * SHOWN) forgetElements();
    if (isFollowing) log.scrollTop = log.scrollHeight;
    tell();
  });
}

function makeLine(record) {
  const line = logLine(record, { origin: replicas.size > 1 });
  line.record = record;
  mark(line.querySelector(".text"), record.text);
  elements.set(record, line);
  return line;
}

/** Mark the words that are looked for. */
function mark(part, text) {
  const words = find("filter").value.toLowerCase();
  if (!words) return;
  const pieces = [];
  const lower = text.toLowerCase();
  let place = 0;
  for (let next = lower.indexOf(words); next >= 0; next = lower.indexOf(words, place)) {
    const found = document.createElement("mark");
    found.textContent = text.slice(next, next + words.length);
    pieces.push(text.slice(place, next), found);
    place = next + words.length;
  }
  part.replaceChildren(...pieces, text.slice(place));
}

function forgetElements() {
  for (const [record, line] of elements) if (!line.isConnected) elements.delete(record);
}

function redraw() {
  log.replaceChildren();
  elements.clear();
  shown = 0;
  waiting = records.filter(isWanted).slice(-SHOWN);
  draw();
}

function tell() {
  const fresh = isPaused ? new Set(waiting.filter((record) => !elements.has(record))).size : 0;
  const parts = [
    records.length ? `${count(records.length)} ${records.length === 1 ? "record" : "records"}` : "Nothing logged yet",
  ];
  if (records.length && shown !== records.length) parts.push(`${count(shown)} shown`);
  if (replicas.size > 1) parts.push(`${replicas.size} containers`);
  if (skipped) parts.push(`${count(skipped)} lines came too fast to be shown; look back for them`);
  find("count").textContent = parts.join(" · ");
  find("note").textContent = isPaused ? `Paused; ${count(fresh)} new` : "";
  find("latest").hidden = isFollowing;
}

// --- What the reader does -------------------------------------------------------------------------------------------

function pause(wish) {
  isPaused = wish;
  const button = find("pause");
  button.setAttribute("aria-pressed", String(isPaused));
  button.querySelector("span").textContent = isPaused ? "Resume" : "Pause";
  log.setAttribute("aria-live", isPaused ? "off" : "polite");
  if (isPaused) tell();
  else draw();
}

function clear() {
  records = [];
  waiting = [];
  skipped = 0;
  reader.forget();
  redraw();
}

async function lookBack() {
  const query = find("history").value;
  find("download").href = `${base}/text?${query}`;
  log.setAttribute("aria-busy", "true");
  try {
    const { entries } = await send("GET", `${base}/lines?${query}`);
    newest = new Map();
    clear();
    take(entries);
  } catch (error) {
    toast(error.message, "error");
  } finally {
    log.removeAttribute("aria-busy");
  }
}

log.addEventListener("scroll", () => {
  isFollowing = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  find("latest").hidden = isFollowing;
});
find("latest").addEventListener("click", () => {
  isFollowing = true;
  log.scrollTop = log.scrollHeight;
  log.focus();
});
find("pause").addEventListener("click", () => pause(!isPaused));
find("clear").addEventListener("click", clear);
find("wrap").addEventListener("click", ({ currentTarget }) => {
  const isWrapped = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", String(isWrapped));
  log.classList.toggle("unwrapped", !isWrapped);
});
find("history").addEventListener("change", lookBack);
for (const id of ["level", "replica"]) find(id).addEventListener("change", redraw);
let typing = 0;
find("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(redraw, 120);
});

watch(`logs:${name}`, ({ whole, skipped: missed = 0, entries }) => {
  log.removeAttribute("aria-busy");
  if (!whole) skipped += missed;
  take(entries);
});
