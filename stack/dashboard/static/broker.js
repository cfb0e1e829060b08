// The broker's page: copies of messages as they pass, and what its dialogs need.

import { bytes, count, element } from "./app.js";
import { watch } from "./live.js";

// How many watched messages the page keeps; and pixels above the end within which the reader counts as being there.
const KEPT = 300;
const NEAR = 32;

const find = (selector) => document.querySelector(selector);
const name = (exchange) => exchange || "(default)";

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.watch) begin(button.dataset.watch, button.dataset.subject);
  if (button?.dataset.peek) openPeek(button.dataset.peek);
});

// --- Watching -------------------------------------------------------------------------------------------------------

const form = find("[data-watch-form]");
const log = find("[data-watch-log]");
const state = find("[data-watch-state]");
let stop = null;
let isPaused = false;
let heldBack = [];

form.addEventListener("change", (event) => {
  if (event.target.name !== "kind") return;
  showKind();
  form.subject.value = form.kind.value === "topic" ? "#" : "";
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  begin(form.kind.value, form.subject.value.trim());
});
find("[data-watch-stop]").addEventListener("click", end);
find("[data-watch-clear]").addEventListener("click", () => log.replaceChildren());
find("[data-watch-pause]").addEventListener("click", (event) => {
  isPaused = !isPaused;
  event.currentTarget.setAttribute("aria-pressed", isPaused);
  tell();
  if (!isPaused) add(heldBack.splice(0));
});

function begin(kind, subject) {
  if (!subject) return;
  end();
  form.kind.value = kind;
  form.subject.value = subject;
  showKind();
  log.replaceChildren();
  log.hidden = find("[data-watch-tools]").hidden = state.hidden = false;
  tell();
  stop = watch(`traffic:${kind}:${subject}`, take);
  find("#watch").scrollIntoView({ block: "nearest" });
}

function end() {
  stop?.();
  stop = null;
  isPaused = false;
  heldBack = [];
  find("[data-watch-pause]").setAttribute("aria-pressed", "false");
  find("[data-watch-tools]").hidden = state.hidden = true;
}

function tell() {
  state.dataset.state = isPaused ? "warn" : "running";
  state.textContent = isPaused ? "paused" : "live";
}

function take(update) {
  if (!update) return;
  const { whole, skipped, entries } = update;
  // After a broken connection everything that is kept comes again.
  if (whole) log.replaceChildren();
  const missed = skipped ? [{ note: `${count(skipped)} more passed too fast to be shown.` }] : [];
  if (isPaused) heldBack = [...heldBack, ...missed, ...entries].slice(-KEPT);
  else add([...missed, ...entries]);
}

function add(entries) {
  const isNear = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  log.append(...entries.map((entry) => (entry.note ? note(entry.note) : message(entry))));
  while (log.childElementCount > KEPT) log.firstElementChild.remove();
  if (isNear) log.scrollTop = log.scrollHeight;
}

function note(text) {
  return element("div", text, { class: "log-line", "data-level": "debug" });
}

function message({ time, topic, exchange, key, size, body: text, headers, properties }) {
  const when = new Date(time * 1000);
  const details = element("details", "", { class: "log-line watched" });
  const summary = element("summary", element("time", when.toLocaleTimeString(), { datetime: when.toISOString() }));
  summary.append(
    element("span", topic || key || name(exchange), { class: "watched-key" }),
    " ",
    element("span", text.split("\n", 1)[0] || "(empty)"),
  );
  const list = element("dl", "", { class: "kv" });
  const facts = [
    ...(topic ? [["topic", topic]] : []),
    ["exchange", name(exchange)],
    ["key", key],
    ["size", bytes(size)],
    ...Object.entries(headers),
    ...Object.entries(properties),
  ];
  for (const [term, value] of facts) list.append(element("dt", term), element("dd", value));
  if (text.includes("\n") || text.length > 80) list.append(element("dt", "body"), element("dd", text));
  details.append(summary, list);
  return details;
}

function showKind() {
  for (const hint of document.querySelectorAll("[data-watch-hint]"))
    hint.hidden = hint.dataset.watchHint !== form.kind.value;
  // The names that there are, where one is to be typed.
  form.subject.setAttribute("list", `${form.kind.value}-names`);
}

// --- Dialogs --------------------------------------------------------------------------------------------------------

for (const chooser of document.querySelectorAll("[data-protocol]")) {
  chooser.addEventListener("click", () => {
    for (const one of document.querySelectorAll("[data-protocol]")) one.setAttribute("aria-pressed", one === chooser);
    for (const one of document.querySelectorAll("[data-publish]"))
      one.hidden = one.dataset.publish !== chooser.dataset.protocol;
    find("#published").replaceChildren();
  });
}

function openPeek(queue) {
  find("[data-peek-name]").textContent = queue;
  find("[data-peek-queue]").value = queue;
  find("#peeked").replaceChildren();
  find("#peek").showModal();
}
