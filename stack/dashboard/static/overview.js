// The overview as it lives: rates and states change in place; a part whose make-up changed is fetched again.

import { bytes, count, rate } from "./app.js";
import { watch } from "./live.js";

const parts = {
  troubles: () => [latest.stack?.problems, each(latest.functions, (one) => [one.state, one.dead])],
  map: () => [
    Object.keys(latest.functions ?? {}),
    latest.broker?.queues.map((queue) => [queue.name, queue.functions]),
    latest.broker?.bindings,
  ],
  events: () => [latest.history?.slice(0, 12)],
};
const latest = {};
const seen = {};
const isComplete = "complete" in document.querySelector("[data-overview]").dataset;

const each = (functions, describe) => Object.entries(functions ?? {}).map(([name, one]) => [name, ...describe(one)]);
const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

for (const topic of ["stack", "functions", "broker", "history"]) {
  watch(topic, (value) => {
    latest[topic] = value;
    if (Object.keys(latest).length < 4) return;
    refresh();
    show();
  });
}

async function refresh() {
  for (const [name, describe] of Object.entries(parts)) {
    const now = JSON.stringify(describe());
    const isNew = seen[name] !== undefined ? seen[name] !== now : !isComplete;
    seen[name] = now;
    if (isNew) await fetchPart(name);
  }
}

async function fetchPart(name) {
  const response = await fetch(`/overview/${name}`);
  if (!response.ok) return;
  const place = document.querySelector(`[data-part="${name}"]`);
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  const scroll = place.firstElementChild?.scrollTop ?? 0;
  place.innerHTML = await response.text();
  place.firstElementChild?.scrollTo?.(0, scroll);
  if (focus) place.querySelector(`[data-name="${CSS.escape(focus)}"]`)?.focus();
  show();
  document.dispatchEvent(new CustomEvent("htmx:load"));
}

// --- Figures --------------------------------------------------------------------------------------------------------

function show() {
  const functions = Object.values(latest.functions ?? {});
  const queues = latest.broker?.queues ?? [];
  const ready = functions.filter((one) => one.state === "ready").length;
  tell("ready", `${ready} of ${functions.length}`);
  tell("rate", rate(sum(functions.map((one) => one.rate))));
  tell(
    "failures",
    rate(sum(functions.map((one) => one.failure_rate))),
    sum(functions.map((one) => one.failure_rate)) > 0 && "error",
  );
  tell("waiting", count(sum(queues.filter((queue) => !queue.name.endsWith(".dead")).map((queue) => queue.messages))));
  tell("memory", bytes(sum((latest.stack?.services ?? []).map((one) => one.memory))));
  showMap(queues);
}

function tell(name, text, level) {
  const place = document.querySelector(`[data-stat="${name}"]`);
  place.textContent = text;
  place.parentElement.dataset.level = level || "";
}

function showMap(queues) {
  const meters = new Map();
  for (const one of latest.broker?.exchanges ?? []) meters.set(`exchange-in:${one.name}`, one.in_rate);
  for (const one of queues)
    meters.set(`queue-in:${one.name}`, one.publish_rate).set(`queue-out:${one.name}`, one.deliver_rate);
  for (const place of document.querySelectorAll("[data-part='map'] [data-meter]"))
    showMeter(place, meters.get(place.dataset.meter));
  const byName = new Map(queues.map((queue) => [queue.name, queue]));
  for (const node of document.querySelectorAll(".map-node")) showNode(node, byName);
}

function showMeter(place, value) {
  if (!place.dataset.meter) return;
  if (place.classList.contains("map-edge")) place.classList.toggle("busy", value > 0);
  else place.textContent = place.tagName === "text" && !value ? "" : rate(value);
}

function showNode(node, queues) {
  const { kind, name } = node.dataset;
  const queue = kind === "queue" || kind === "output" ? queues.get(name) : null;
  const own = latest.functions?.[name];
  if (kind === "function" && own) {
    node.dataset.state = own.state;
    say(
      node,
      own.state === "ready"
        ? [own.rate ? rate(own.rate) : "idle", own.failure_rate && `${rate(own.failure_rate)} fail`]
        : [own.state],
    );
  } else if (queue) {
    const isStuck = kind === "queue" && queue.messages > 0 && !queue.consumers;
    node.dataset.state = isStuck ? "warn" : "";
    say(node, [
      `${count(queue.messages)} waiting`,
      isStuck && "nobody consumes",
      kind === "output" && queue.publish_rate && `in ${rate(queue.publish_rate)}`,
    ]);
  }
}

function say(node, words) {
  const text = words.filter(Boolean).join(" · ");
  const place = node.querySelector(".sub");
  if (place.textContent === text) return;
  place.textContent = text;
  const { kind, name, state } = node.dataset;
  node.setAttribute(
    "aria-label",
    [`${kind[0].toUpperCase()}${kind.slice(1)} ${name}`, state, text].filter(Boolean).join(", "),
  );
}

// --- Map or table ---------------------------------------------------------------------------------------------------

const map = document.querySelector("[data-map]");
map.addEventListener("click", (event) => {
  const button = event.target.closest("[data-show]");
  if (!button) return;
  map.dataset.view = button.dataset.show;
  for (const one of map.querySelectorAll("[data-show]")) one.setAttribute("aria-pressed", String(one === button));
});
if (matchMedia("(max-width: 48rem)").matches) map.querySelector('[data-show="table"]').click();
