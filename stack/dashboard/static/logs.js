// The live log of a function: all replicas, filtered, paused and followed as the reader likes, and never more than fits.

import { send, toast } from "./app.js";
import { count } from "./figures.js";
import { watch } from "./live.js";
import { logLine } from "./log_line.js";

// How many records are kept, and how many of them are shown at once.
const KEPT = 10_000;
const SHOWN = 3000;
// Pixels above the end within which the reader counts as being there.
const NEAR = 32;
const LEVELS = ["debug", "info", "warn", "error"];

const find = (id) => document.getElementById(`log-${id}`);
const log = document.getElementById("log");
const { base, name } = log.dataset;

// Records by their keys, each with its `line` where it is shown; those of `waiting` are new, or have more text.
const records = new Map();
const waiting = new Set();
const replicas = new Set();
let newest = new Map();
let skipped = 0;
let isPaused = false;
let isFollowing = true;
let isDrawing = false;

/** Take entries of the server; those that were taken before are passed over, such as after a broken connection. */
function take(entries) {
  for (const entry of entries) {
    if (entry.time <= (newest.get(entry.container) ?? 0)) continue;
    newest.set(entry.container, entry.time);
    if (!replicas.has(entry.container)) addReplica(entry.container);
    const known = records.get(entry.record);
    if (known) known.text += `\n${entry.text}`;
    else records.set(entry.record, entry);
    waiting.add(known ?? entry);
  }
  for (const key of [...records.keys()].slice(0, Math.max(records.size - KEPT, 0))) records.delete(key);
  draw();
}

function addReplica(container) {
  replicas.add(container);
  find("replica").append(new Option(container.replace(/^.*-(\d+)$/, "Replica $1"), container));
  if (replicas.size !== 2) return;
  find("replica").hidden = false;
  redraw();
}

function isWanted({ level, text, container }) {
  const [least, words, replica] = [find("level").value, find("filter").value.toLowerCase(), find("replica").value];
  if (least && LEVELS.indexOf(level) < LEVELS.indexOf(least)) return false;
  return (!replica || container === replica) && text.toLowerCase().includes(words);
}

function draw() {
  if (isPaused) return tell();
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const lines = [];
    for (const record of [...waiting].slice(-SHOWN)) {
      const old = record.line?.isConnected && record.line;
      if (!old && !isWanted(record)) continue;
      record.line = logLine(record, { origin: replicas.size > 1 });
      mark(record.line.querySelector(".text"), record.text);
      if (old) old.replaceWith(record.line);
      else lines.push(record.line);
    }
    waiting.clear();
    log.append(...lines);
    while (log.childElementCount > SHOWN) log.firstElementChild.remove();
    if (isFollowing) log.scrollTop = log.scrollHeight;
    tell();
  });
}

/** Mark the words that are looked for. */
function mark(part, text) {
  const words = find("filter").value.toLowerCase();
  if (!words) return;
  const pieces = text.split(new RegExp(`(${words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")})`, "i"));
  const marks = pieces.map((piece, at) =>
    at % 2 ? Object.assign(document.createElement("mark"), { textContent: piece }) : piece,
  );
  part.replaceChildren(...marks);
}

function redraw() {
  log.replaceChildren();
  waiting.clear();
  for (const record of [...records.values()].filter(isWanted).slice(-SHOWN)) waiting.add(record);
  draw();
}

function tell() {
  const shown = log.childElementCount;
  const parts = [records.size ? `${count(records.size)} record${records.size === 1 ? "" : "s"}` : "Nothing logged yet"];
  if (records.size && shown !== records.size) parts.push(`${count(shown)} shown`);
  if (replicas.size > 1) parts.push(`${replicas.size} containers`);
  if (skipped) parts.push(`${count(skipped)} lines came too fast to be shown; look back for them`);
  find("count").textContent = parts.join(" · ");
  const fresh = [...waiting].filter((record) => !record.line).length;
  find("note").textContent = isPaused ? `Paused; ${count(fresh)} new` : "";
  find("latest").hidden = isFollowing;
}

function clear() {
  records.clear();
  skipped = 0;
  redraw();
}

async function lookBack() {
  const query = find("history").value;
  find("download").href = `${base}/text?${query}`;
  log.setAttribute("aria-busy", "true");
  try {
    const { entries } = await (await send("GET", `${base}/lines?${query}`)).json();
    newest = new Map();
    clear();
    take(entries);
  } catch (error) {
    toast(error.message, "error");
  } finally {
    log.removeAttribute("aria-busy");
  }
}

// --- What the reader does -------------------------------------------------------------------------------------------

/** Turn a button on or off; returns which it is now. */
function toggle(button) {
  const isOn = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", isOn);
  return isOn;
}

log.addEventListener("scroll", () => {
  isFollowing = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  find("latest").hidden = isFollowing;
});
find("latest").addEventListener("click", () => {
  log.scrollTop = log.scrollHeight;
  log.focus();
});
find("pause").addEventListener("click", ({ currentTarget }) => {
  isPaused = toggle(currentTarget);
  currentTarget.querySelector("span").textContent = isPaused ? "Resume" : "Pause";
  log.setAttribute("aria-live", isPaused ? "off" : "polite");
  draw();
});
find("clear").addEventListener("click", clear);
find("wrap").addEventListener("click", ({ currentTarget }) =>
  log.classList.toggle("unwrapped", !toggle(currentTarget)),
);
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
