// The charts of a function's figures: the past, where the store has it, and then the server's points.

import { clock, send } from "./app.js";
import { bytes, count, milliseconds, rate } from "./figures.js";
import { timeChart } from "./chart.js";
import { watch } from "./live.js";

// Seconds that points are kept, and the least time that a chart shows.
const KEPT = 1800;
const SPAN = 120;
const HEIGHT = 170;

const name = document.querySelector("[data-function]").dataset.function;
const cores = (value) => (value == null ? "–" : value.toFixed(2));
const whole = (value) => (value == null ? "–" : Number.isInteger(value) ? count(value) : "");

const CHARTS = {
  rate: {
    format: rate,
    now: ({ rate: all }) => rate(all),
    series: [
      ["rate", "handled", "--accent", true],
      ["failure_rate", "failed", "--bad"],
    ],
  },
  time: {
    format: milliseconds,
    now: ({ p50, p99 }) => (p50 == null ? "no events" : `${milliseconds(p50)} · ${milliseconds(p99)}`),
    series: [
      ["p50", "p50", "--accent"],
      ["p99", "p99", "--warn"],
    ],
  },
  flight: {
    format: whole,
    now: ({ in_flight: some }) => whole(some),
    series: [["in_flight", "in flight", "--accent", true]],
  },
  memory: { format: bytes, now: ({ memory }) => bytes(memory), series: [["memory", "memory", "--accent", true]] },
  cpu: { format: cores, now: ({ cpu }) => cores(cpu), series: [["cpu", "cores", "--accent", true]] },
  replicas: { format: whole, now: ({ ready }) => whole(ready), series: [["ready", "ready", "--ok", true]] },
};
const charts = new Map();
let points = [];

function makeCharts() {
  for (const host of document.querySelectorAll("[data-chart]")) {
    const { series, format } = CHARTS[host.dataset.chart];
    const lines = series.map(([, label, colour, fill = false]) => ({ label, colour, fill }));
    charts.set(host.dataset.chart, timeChart(host, { series: lines, height: HEIGHT, format, min: 0, seconds: SPAN }));
  }
}

function draw() {
  const times = points.map((point) => point.time);
  document.querySelector("[data-begin]").textContent = `at ${clock(new Date(times[0] * 1000))}`;
  for (const [key, chart] of charts) {
    const { series, now } = CHARTS[key];
    chart.set([times, ...series.map(([field]) => points.map((point) => point[field] ?? null))]);
    document.querySelector(`[data-now="${key}"]`).textContent = now(points.at(-1));
  }
}

/** Add points; those of the past come before the first that is known. */
function add(entries) {
  const [first, last] = [points[0]?.time ?? Infinity, points.at(-1)?.time ?? 0];
  const sorted = [...entries.filter(({ time }) => time < first && time <= last), ...points];
  sorted.push(...entries.filter(({ time }) => time > last));
  points = sorted.filter(({ time }) => time > sorted.at(-1).time - KEPT);
  if (points.length) draw();
}

makeCharts();
watch(`metrics:${name}`, ({ entries }) => add(entries));
const past = document.querySelector("[data-past]")?.dataset.past;
// Charts without a past are what there is where the store is away.
if (past) send("GET", past).then(async (answer) => add((await answer.json()).entries), () => {});
