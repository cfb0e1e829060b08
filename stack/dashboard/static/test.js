// Trying a function: rows of headers, and what it logs when a message was published.

import { watch } from "./live.js";
import { logLine } from "./log_line.js";

// How long the log is watched for what a message brings about, in milliseconds.
const WATCHED = 30_000;

const TYPES = { text: "text/plain", json: "application/json" };

const form = () => document.getElementById("test-form");
let stop = () => {};

document.addEventListener("click", ({ target }) => {
  target.closest("[data-remove-header]")?.parentElement.remove();
  if (!target.closest("[data-add-header]")) return;
  const row = form().querySelector("template[data-header]").content.firstElementChild.cloneNode(true);
  form().querySelector("[data-headers]").append(row);
  row.querySelector("input").focus();
});
document.addEventListener("change", ({ target }) => {
  if (target.name === "kind") form().elements.content_type.value = TYPES[target.value] ?? "";
});
document.addEventListener("keydown", ({ key, ctrlKey, metaKey, repeat }) => {
  if (key !== "Enter" || !(ctrlKey || metaKey) || !form().contains(document.activeElement)) return;
  if (!repeat && !form().classList.contains("htmx-request")) form().requestSubmit();
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target?.id !== "test-answer") return;
  stop();
  const log = detail.target.querySelector("[data-since]");
  if (log) watchLog(log);
});

function watchLog(log) {
  const lines = new Map();
  const records = new Map();
  const end = watch(`logs:${form().dataset.name}`, ({ whole, entries }) => {
    // A stream that was opened again begins with all that is kept.
    if (whole) [lines, records].forEach((one) => one.clear());
    for (const entry of entries) {
      if (entry.time <= Number(log.dataset.since)) continue;
      const known = records.get(entry.record);
      const record = known ? { ...known, text: `${known.text}\n${entry.text}` } : entry;
      records.set(entry.record, record);
      lines.set(entry.record, logLine(record));
    }
    if (lines.size) log.replaceChildren(...lines.values());
  });
  const patience = setTimeout(() => {
    end();
    if (!lines.size) log.textContent = "It has logged nothing since.";
  }, WATCHED);
  stop = () => {
    end();
    clearTimeout(patience);
  };
}
