// The demo as it goes on: counts, a chart of the readings, and the lines of feedback.

import { count, milliseconds } from "./app.js";
import { timeChart } from "./chart.js";
import { watch } from "./live.js";

const COLOURS = ["--accent", "--busy", "--ok", "--warn", "--muted", "--text"];
const LEVELS = { deploying: "busy", playing: "busy", done: "ok", failed: "error" };

const place = (name) => document.querySelector(`[data-${name}]`);
const host = place("demo-chart");

let chart = null;
let drawn = "";

watch("demo", (scene) => {
  const isRunning = scene.phase === "deploying" || scene.phase === "playing";
  show("start", !isRunning);
  show("stop", scene.phase === "playing");
  place("demo-dot").dataset.level = scene.lost ? "error" : (LEVELS[scene.phase] ?? "");
  place("demo-message").textContent = describe(scene);
  place("threshold").textContent = scene.threshold;
  tell("sent", scene.total ? `${count(scene.sent)} of ${count(scene.total)}` : "0");
  tell("handled", count(scene.handled));
  tell(
    "lost",
    scene.phase === "playing" ? "–" : count(scene.lost),
    scene.lost ? "error" : scene.phase === "done" ? "ok" : "",
  );
  tell("alerts", count(scene.alert_count));
  tell("p50", milliseconds(scene.p50));
  tell("p99", milliseconds(scene.p99));
  draw(scene);
  list("answers", scene.answers, (one) => [one.sensor, `${one.value} °C`, one.function, milliseconds(one.latency)]);
  list("alerts", scene.alerts, (one) => [
    one.sensor,
    one.state,
    `${one.average.toFixed(1)} °C`,
    new Date(one.time * 1000).toLocaleTimeString([], { hourCycle: "h23" }),
  ]);
});

function describe(scene) {
  if (scene.message) return scene.message;
  if (scene.phase === "playing")
    return scene.sent < scene.total ? "Sending." : "All is sent; waiting for the last answers.";
  return scene.phase === "deploying" ? "Getting ready." : "Nothing is sent yet.";
}

/** Show or hide a button; the focus goes from one to the other. */
function show(name, isShown) {
  const button = place(`demo-${name}`);
  const hadFocus = !button.hidden && button === document.activeElement;
  button.hidden = !isShown;
  if (hadFocus && !isShown) (name === "start" ? place("demo-message") : place("demo-start")).focus();
}

function tell(name, text, level = "") {
  const dd = document.querySelector(`[data-stat="${name}"]`);
  dd.textContent = text;
  dd.parentElement.dataset.level = level;
}

/** Draw a line for each sensor; another set of sensors, or another threshold, is another chart. */
function draw({ points, threshold }) {
  const sensors = [...new Set(points.map(([, sensor]) => sensor))].sort();
  const key = JSON.stringify([sensors, threshold]);
  if (key !== drawn) {
    chart?.close();
    const series = sensors.map((label, number) => ({ label, colour: COLOURS[number % COLOURS.length], points: true }));
    const format = (value) => `${Number(value.toFixed(1))} °C`;
    chart = timeChart(host, { series, height: 260, format, threshold: { value: threshold }, seconds: 15 });
    drawn = key;
  }
  const times = points.map(([time]) => time);
  chart.set([times, ...sensors.map((sensor) => points.map(([, of, value]) => (of === sensor ? value : undefined)))]);
}

function list(name, entries, describeRow) {
  document.querySelector(`[data-empty="${name}"]`).hidden = entries.length > 0;
  const rows = entries.map((entry) => {
    const row = document.createElement("tr");
    const cells = describeRow(entry).map((text, column) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (column % 2 || (name === "alerts" && column > 1)) cell.className = "num";
      return cell;
    });
    if (name === "alerts") cells[1].className = entry.state === "normal" ? "text-ok" : "text-bad";
    row.append(...cells);
    return row;
  });
  place(`demo-${name}`).replaceChildren(...rows);
}
