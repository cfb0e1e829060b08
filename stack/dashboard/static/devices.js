// The devices' page: who is connected, the last value of each topic, and the simulator.

import { ago, bytes, count, sparkline, svgElement } from "./app.js";
import { watch } from "./live.js";
import { addCell, element, keepRows, write } from "./rows.js";

const find = (selector) => document.querySelector(selector);
const time = (seconds) => new Date(seconds * 1000).toISOString();

let latest = null;

function show(part, items, rows) {
  keepRows(find(`[data-rows="${part}"]`), items, rows);
  find(`[data-count="${part}"]`).textContent = items.length;
  find(`[data-full="${part}"]`).hidden = !items.length;
  find(`[data-empty="${part}"]`).hidden = items.length > 0;
}

// --- Topics ---------------------------------------------------------------------------------------------------------

function makeTopic(row, [name, { topic, sensor, protocol }]) {
  const head = addCell(row, "topic", { tag: "th" });
  head.append(element("span", topic, { class: "mono" }));
  if (sensor) head.append(" ", element("span", sensor, { class: "tag" }));
  addCell(row, "protocol", { label: "Over" }).textContent = protocol;
  addCell(row, "value", { className: "mono last-value", label: "Value" });
  addCell(row, "chart", { label: "Of late" }).append(
    svgElement("svg", { class: "spark", role: "img", "aria-label": `The last values of ${name}` }),
  );
  addCell(row, "when", { className: "nowrap", label: "When" }).append(element("time", "", { "data-ago": "" }));
}

function fillTopic(row, [, { value, time: when, points }]) {
  write(row, { value });
  sparkline(
    row.querySelector("svg"),
    points.map(([, number]) => number),
  );
  fillTime(row.querySelector("time"), when);
}

// --- Connections ----------------------------------------------------------------------------------------------------

function showConnections() {
  const showsOwn = find("[data-show-own]").checked;
  const shown = latest.connections.filter((one) => showsOwn || !one.is_own);
  const order = (one) => `${one.connected ? 0 : 1} ${one.client || one.function || one.peer}`;
  shown.sort((one, other) => order(one).localeCompare(order(other)));
  show("connections", shown, { key: (one) => one.name, make: makeConnection, fill: fillConnection });
}

function makeConnection(row, connection) {
  const head = addCell(row, "head", { tag: "th" });
  const client = connection.client
    ? element("span", connection.client, { class: "mono" })
    : element("span", "no name", { class: "muted" });
  head.append(client);
  if (connection.function)
    head.append(
      " ",
      element("a", connection.function, {
        class: "tag",
        href: `/functions/${encodeURIComponent(connection.function)}/logs`,
      }),
    );
  addCell(row, "protocol", { className: "nowrap", label: "Over" }).textContent = connection.protocol.replace(
    / ([\d-]+)$/,
    (_, version) => ` ${connection.protocol.startsWith("MQTT") ? version.replaceAll("-", ".") : version}`,
  );
  addCell(row, "user", { label: "User" }).textContent = connection.user;
  addCell(row, "peer", { className: "mono", label: "From" }).textContent = connection.peer;
  const since = addCell(row, "since", { className: "nowrap", label: "Connected" });
  since.append(element("time", "", { "data-ago": "" }));
  fillTime(since.firstChild, connection.since);
  addCell(row, "seen", { className: "nowrap", label: "Last seen" });
  for (const [part, label] of [
    ["sends", "Sends"],
    ["receives", "Receives"],
  ])
    addCell(row, part, { className: "num", label });
}

function fillConnection(row, connection) {
  write(row, { sends: speed(connection.receive_rate), receives: speed(connection.send_rate) });
  row.classList.toggle("gone", !connection.connected);
  const cell = row.querySelector('[data-part="seen"]');
  if (connection.last_seen == null) {
    if (!cell.textContent)
      cell.append(element("span", "–", { class: "muted", title: "Nothing came from it since this page is open." }));
    return;
  }
  if (!cell.querySelector("time")) cell.replaceChildren(element("time", "", { "data-ago": "" }));
  fillTime(cell.firstChild, connection.last_seen);
}

function speed(rate) {
  return rate ? `${bytes(rate)}/s` : "–";
}

function fillTime(target, seconds) {
  target.dateTime = time(seconds);
  const text = ago(seconds);
  if (target.textContent !== text) target.textContent = text;
  target.title = new Date(seconds * 1000).toLocaleString();
}

// --- Refused logins -------------------------------------------------------------------------------------------------

function makeRefusal(row, refusal) {
  const head = addCell(row, "user", { tag: "th" });
  head.append(
    refusal.user ? element("span", refusal.user, { class: "mono" }) : element("span", "no name", { class: "muted" }),
  );
  if (refusal.function)
    head.append(
      " ",
      element("a", refusal.function, { class: "tag", href: `/functions/${encodeURIComponent(refusal.function)}/logs` }),
    );
  addCell(row, "protocol", { label: "Over" }).textContent = refusal.protocol;
  addCell(row, "host", { className: "mono", label: "From" }).textContent = refusal.host;
  addCell(row, "times", { className: "num", label: "Times" });
  addCell(row, "last", { className: "nowrap", label: "Last" });
}

function fillRefusal(row, { count: times, last }) {
  write(row, { times: count(times) });
  const cell = row.querySelector('[data-part="last"]');
  if (last == null) {
    if (!cell.textContent) cell.append(element("span", "–", { class: "muted", title: "Before this page was open." }));
    return;
  }
  if (!cell.querySelector("time")) cell.replaceChildren(element("time", "", { "data-ago": "" }));
  fillTime(cell.firstChild, last);
}

// --- Simulator ------------------------------------------------------------------------------------------------------

function showSimulator(simulator) {
  const form = find("[data-simulator-form]");
  for (const input of form.querySelectorAll("input")) input.disabled = simulator.running;
  find("[data-simulator-start]").hidden = simulator.running;
  find("[data-simulator-stop]").hidden = !simulator.running;
  const badge = find("[data-simulator-state]");
  badge.dataset.state = simulator.problem ? "error" : simulator.running ? "running" : "off";
  badge.textContent = simulator.running ? "running" : "off";
  find("[data-simulator-line]").textContent = tell(simulator);
  if (!simulator.running) return;
  form.elements.protocol.value = simulator.protocol;
  form.elements.sensors.value = simulator.sensors;
  form.elements.rate.value = simulator.rate;
}

function tell({ running, sent, unheard, problem, since }) {
  if (problem) return problem;
  if (since == null) return "";
  const lost = unheard ? `, ${count(unheard)} of them reached no queue` : "";
  return `${count(sent)} reading${sent === 1 ? "" : "s"} sent${lost}${running ? ` since ${new Date(since * 1000).toLocaleTimeString()}` : ""}`;
}

// --- The stream -----------------------------------------------------------------------------------------------------

watch("devices", (devices) => {
  latest = devices;
  find("[data-devices-problem]").hidden = devices.reachable;
  find("[data-problem-text]").textContent = devices.problem;
  show("topics", Object.entries(devices.topics), { key: ([topic]) => topic, make: makeTopic, fill: fillTopic });
  showConnections();
  show("refusals", devices.refusals, {
    key: ({ user, host, protocol }) => `${protocol} ${host} ${user}`,
    make: makeRefusal,
    fill: fillRefusal,
  });
  find("[data-refusals]").hidden = !devices.refusals.length;
});
find("[data-show-own]").addEventListener("change", () => latest && showConnections());
watch("simulator", showSimulator);
