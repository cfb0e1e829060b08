// The chart of the demo's readings; all else is a live part of the page.

import { timeChart } from "./chart.js";
import { watch } from "./live.js";

const COLOURS = ["--accent", "--busy", "--ok", "--warn", "--muted", "--text"];

const host = document.querySelector("[data-demo-chart]");

let chart = null;
let drawn = "";

watch("demo", draw);

// The button that was pressed goes: the focus is on the message, or on what can be pressed next.
document.addEventListener("htmx:sseMessage", () => {
  const pressed = document.activeElement;
  if (!pressed.hidden) return;
  const start = document.querySelector("[data-demo-start]");
  (start.hidden ? document.getElementById("demo-message") : start).focus();
});

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
