// The chart of the demo's readings, and before there are any, of what the store has of its topic; all else is a live part
// of the page.

import { send } from "./app.js";
import { timeChart } from "./chart.js";
import { watch } from "./live.js";

const COLOURS = ["--accent", "--busy", "--ok", "--warn", "--muted", "--text"];

const host = document.querySelector("[data-demo-chart]");

let chart = null;
let drawn = "";
let told = null;
let past = [];

watch("demo", (demo) => draw((told = demo)));
if (host.dataset.past) send("GET", host.dataset.past).then(showPast, () => {});

async function showPast(answer) {
  const { times, lines } = await answer.json();
  const points = lines.flatMap(({ title, labels, mean }) =>
    mean.map((value, place) => [times[place], labels.sensor ?? title, value]),
  );
  past = points.filter(([, , value]) => value != null).sort(([one], [other]) => one - other);
  if (told) draw(told);
}

// The button that was pressed goes: the focus is on the message, or on what can be pressed next.
document.addEventListener("htmx:sseMessage", () => {
  const pressed = document.activeElement;
  if (!pressed.hidden) return;
  const start = document.querySelector("[data-demo-start]");
  (start.hidden ? document.getElementById("demo-message") : start).focus();
});

/** Draw a line for each sensor; another set of sensors, or another threshold, is another chart. */
function draw({ points: own, threshold }) {
  const points = own.length ? own : past;
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
