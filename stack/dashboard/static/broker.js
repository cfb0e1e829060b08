// The broker's page: tables that follow what RabbitMQ holds, and copies of messages as they pass.

import { bytes, count, rate } from "./app.js";
import { watch } from "./live.js";
import { addCell, element, keepRows, write } from "./rows.js";

// How many watched messages the page keeps; and pixels above the end within which the reader counts as being there.
const KEPT = 300;
const NEAR = 32;

const find = (selector) => document.querySelector(selector);
const body = (name) => find(`[data-rows="${name}"]`);
const name = (exchange) => exchange || "(default)";

// --- Tables ---------------------------------------------------------------------------------------------------------

let latest = null;

find("[data-show-unused]").addEventListener("change", () => latest && showExchanges(latest));

function showStats(queues) {
  const sum = (field) => queues.reduce((total, queue) => total + queue[field], 0);
  const texts = {
    messages: count(sum("ready")),
    unacked: count(sum("unacked")),
    in: rate(sum("publish_rate")),
    out: rate(sum("deliver_rate")),
    consumers: count(sum("consumers")),
  };
  for (const [stat, text] of Object.entries(texts)) find(`[data-stat="${stat}"]`).textContent = text;
}

function showQueues(queues) {
  keepRows(body("queues"), queues, { key: (queue) => queue.name, make: makeQueue, fill: fillQueue });
  find('[data-count="queues"]').textContent = queues.length;
}

function makeQueue(row, queue) {
  const head = addCell(row, "head", { tag: "th" });
  head.append(element("span", queue.name, { class: "mono" }));
  if (queue.exclusive) head.append(" ", element("span", "exclusive", { class: "tag" }));
  else if (!queue.durable)
    head.append(
      " ",
      element("span", "transient", { class: "tag", title: "It is gone after a restart of the broker." }),
    );
  const labels = { ready: "Waiting", unacked: "In hand", in: "In", out: "Out" };
  for (const [part, label] of Object.entries(labels)) addCell(row, part, { className: "num", label });
  addCell(row, "consumers", { label: "Consumers" });
  const actions = addCell(row, "actions", { className: "actions" });
  actions.append(
    button("Watch", `Watch ${queue.name}`, () => begin("queue", queue.name)),
    " ",
    button("Peek", `Look into ${queue.name}`, () => openPeek(queue.name)),
  );
}

function fillQueue(row, queue) {
  write(row, {
    ready: count(queue.ready),
    unacked: count(queue.unacked),
    in: rate(queue.publish_rate),
    out: rate(queue.deliver_rate),
  });
  const cell = row.querySelector('[data-part="consumers"]');
  const state = JSON.stringify([queue.functions, queue.others]);
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  const links = queue.functions.map((one) => element("a", one, { href: `/functions/${encodeURIComponent(one)}/logs` }));
  const others = queue.others
    ? [element("span", `${queue.others} other${queue.others > 1 ? "s" : ""}`, { class: "muted" })]
    : [];
  const all = [...links, ...others].flatMap((one, place) => (place ? [", ", one] : [one]));
  cell.replaceChildren(
    ...(all.length ? all : [element("span", "none", { class: queue.ready ? "text-warn" : "muted" })]),
  );
}

function showExchanges({ exchanges, bindings }) {
  const used = new Set(bindings.map((binding) => binding.source));
  const showsAll = find("[data-show-unused]").checked;
  const isUsed = (one) =>
    used.has(one.name) || one.in_rate || one.out_rate || (one.name && !one.name.startsWith("amq."));
  const shown = exchanges.filter((one) => showsAll || isUsed(one));
  keepRows(body("exchanges"), shown, { key: (one) => name(one.name), make: makeExchange, fill: fillExchange });
  find('[data-count="exchanges"]').textContent = shown.length;
}

function makeExchange(row, exchange) {
  const head = addCell(row, "head", { tag: "th" });
  head.append(element("span", name(exchange.name), { class: "mono" }));
  addCell(row, "type", { label: "Type" }).textContent = exchange.type;
  for (const [part, label] of [
    ["in", "In"],
    ["out", "Out"],
  ])
    addCell(row, part, { className: "num", label });
  const actions = addCell(row, "actions", { className: "actions" });
  if (exchange.name && exchange.type !== "headers")
    actions.append(button("Watch", `Watch ${exchange.name}`, () => begin("exchange", exchange.name)));
}

function fillExchange(row, exchange) {
  write(row, { in: rate(exchange.in_rate), out: rate(exchange.out_rate) });
}

function showBindings(bindings) {
  const key = (one) => JSON.stringify([one.source, one.key, one.destination]);
  keepRows(body("bindings"), bindings, { key, make: makeBinding, fill: () => {} });
  find('[data-count="bindings"]').textContent = bindings.length;
}

function makeBinding(row, binding) {
  const type = binding.destination_type === "queue" ? "" : ` (${binding.destination_type})`;
  const texts = { From: binding.source, Key: binding.key, To: binding.destination + type };
  for (const [label, text] of Object.entries(texts))
    addCell(row, "text", { label }).append(element("span", text, { class: "mono" }));
}

function button(text, label, act) {
  const made = element("button", text, { type: "button", class: "btn small", "aria-label": label });
  made.addEventListener("click", act);
  return made;
}

// --- Watching -------------------------------------------------------------------------------------------------------

const form = find("[data-watch-form]");
const log = find("[data-watch-log]");
const state = find("[data-watch-state]");
let stop = null;
let isPaused = false;
let heldBack = [];
let offered = "";

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
  offerNames(latest);
}

/** Offer the names that there are, where one is to be typed. */
function offerNames(broker) {
  if (!broker) return;
  const exchanges = broker.exchanges.map((one) => one.name).filter(Boolean);
  const names = { topic: [], queue: broker.queues.map((one) => one.name), exchange: exchanges }[form.kind.value];
  const wanted = JSON.stringify([names, exchanges]);
  if (offered === wanted) return;
  offered = wanted;
  find("#watch-names").replaceChildren(...names.map((one) => new Option(one, one)));
  find("#exchange-names").replaceChildren(...exchanges.map((one) => new Option(one, one)));
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

// --- The stream -----------------------------------------------------------------------------------------------------

watch("broker", (broker) => {
  latest = broker;
  find("[data-broker-problem]").hidden = broker.reachable;
  find("[data-problem-text]").textContent = broker.problem;
  const most = find("[data-most]");
  most.hidden =
    Math.max(broker.queues.length, broker.exchanges.length, broker.bindings.length) < Number(most.dataset.most);
  showStats(broker.queues);
  showQueues(broker.queues);
  showExchanges(broker);
  showBindings(broker.bindings);
  offerNames(broker);
});
