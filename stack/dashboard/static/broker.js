// Copies of messages on the broker's page, as they pass.

import { clock } from "./app.js";
import { bytes, count } from "./figures.js";
import { watch } from "./live.js";

// How many messages the page keeps; and pixels above the end within which the reader counts as being there.
const KEPT = 300;
const NEAR = 32;

const find = (part) => document.querySelector(`[data-watch-${part}]`);
const [form, log, state] = ["form", "log", "state"].map(find);
let stop = null;
let isPaused = false;
let heldBack = [];
// When the last message passed that was taken; none yet of what is watched.
let newest = null;

function begin(kind, subject) {
  if (!subject) return;
  end();
  form.kind.value = kind;
  form.subject.value = subject;
  log.replaceChildren();
  newest = null;
  log.hidden = find("tools").hidden = state.hidden = false;
  pause(false);
  stop = watch(`traffic:${kind}:${subject}`, take);
  document.getElementById("watch").scrollIntoView({ block: "nearest" });
}

function end() {
  stop?.();
  stop = null;
  heldBack = [];
  find("tools").hidden = state.hidden = true;
}

function pause(wanted) {
  isPaused = wanted;
  find("pause").setAttribute("aria-pressed", isPaused);
  state.dataset.state = isPaused ? "warn" : "running";
  state.textContent = isPaused ? "paused" : "live";
  if (!isPaused) add(heldBack.splice(0));
}

function take({ whole, skipped, entries }) {
  // After a broken connection everything that is kept comes again; what is read stays where it is.
  if (whole && newest !== null) entries = entries.filter(({ time }) => time > newest);
  newest = Math.max(newest ?? 0, ...entries.map(({ time }) => time ?? 0));
  const missed = skipped ? [{ note: `${count(skipped)} more passed too fast to be shown.` }] : [];
  if (isPaused) heldBack = [...heldBack, ...missed, ...entries].slice(-KEPT);
  else add([...missed, ...entries]);
}

function add(entries) {
  const isNear = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  log.append(...entries.map((one) => (one.note ? make("div", "log-line", one.note) : message(one))));
  while (log.childElementCount > KEPT) log.firstElementChild.remove();
  if (isNear) log.scrollTop = log.scrollHeight;
}

function message({ time, topic, exchange, key, size, body, headers, properties }) {
  const place = exchange || "(default)";
  const when = make("time", "", clock(new Date(time * 1000)));
  const subject = make("span", "watched-key", topic || key || place);
  const summary = make("summary", "", when, subject, " ", body.split("\n", 1)[0] || "(empty)");
  const isLong = body.includes("\n") || body.length > 80;
  const facts = { ...(topic && { topic }), exchange: place, key, size: bytes(size), ...headers, ...properties };
  const list = make("dl", "kv");
  for (const [term, value] of [...Object.entries(facts), ...(isLong ? [["body", body]] : [])]) {
    list.append(make("dt", "", term), make("dd", "", value));
  }
  return make("details", "log-line watched", summary, list);
}

function make(tag, name, ...content) {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...content);
  return made;
}

form.addEventListener("change", ({ target }) => {
  if (target.name !== "kind") return;
  form.subject.value = form.kind.value === "topic" ? "#" : "";
  // The names that there are, where one is to be typed.
  form.subject.setAttribute("list", `${form.kind.value}-names`);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  begin(form.kind.value, form.subject.value.trim());
});
document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-watch]");
  if (button) begin(button.dataset.watch, button.dataset.subject);
});
find("stop").addEventListener("click", end);
find("clear").addEventListener("click", () => log.replaceChildren());
find("pause").addEventListener("click", () => pause(!isPaused));
