// Charts of readings over any time: lines with the band between lowest and highest, zoomed by dragging. The page loads
// vendor/uplot/uPlot.iife.min.js and its sheet before.

import { colour, frame, themed } from "./chart.js";

const COLOURS = ["--accent", "--warn", "--busy", "--ok", "--bad"];
// Lines beyond the colours have dashes.
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];
const DAY = 86_400;
const YEAR = 300 * DAY;
const UNITS = [
  ["d", DAY],
  ["h", 3600],
  ["min", 60],
];
// Steps without a value after which a line ends, as often as there usually are between two.
const GAP = 4;
const HEIGHT = 320;

/** Return how a line of a chart is drawn, by its place: {colour, dash}. */
export function lineStyle(place) {
  return { colour: COLOURS[place % COLOURS.length], dash: DASHES[Math.floor(place / COLOURS.length) % DASHES.length] };
}

/**
 * Make a chart of so many lines in an element of class `chart`.
 *
 * `onSelect(from, to)` is told what somebody dragged over, and `onMove(place)` the place in the data below the pointer, or
 * null. Returns set({start, end, times, lines}), as the server describes them, view(from, to), which moves what is drawn,
 * place(), the one below the pointer, and close().
 */
export function historyChart(host, count, { onSelect, onMove }) {
  const { axis, font, translucent } = themed();
  let span = [0, 1];
  const places = Array.from({ length: count }, (_, place) => place);
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  const chart = new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false } },
      legend: { show: false },
      padding: [12, 24, 0, 0],
      scales: { x: { range: () => span }, y: { range: (_, low, high) => frame(low, high) } },
      axes: [
        { ...axis, font: font(), size: 36, space: 80, values: (_, ticks) => tickTimes(ticks) },
        { ...axis, font: font(), size: 64, values: (_, ticks) => ticks.map(number) },
      ],
      series: [{}, ...places.flatMap((place) => [line(place), edge, edge])],
      bands: places.map((place) => ({
        series: [3 * place + 2, 3 * place + 3],
        fill: () => translucent(lineStyle(place).colour),
      })),
      hooks: { setSelect: [select], setCursor: [({ cursor }) => onMove(cursor.idx ?? null)] },
    },
    [[], ...places.flatMap(() => [[], [], []])],
    host,
  );

  function line(place) {
    const style = lineStyle(place);
    return { stroke: () => colour(style.colour), dash: style.dash, width: 1.75, points: { size: 5 } };
  }

  function select({ select: { left, width } }) {
    if (width < 4) return;
    const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    onSelect(from, to);
  }

  const fit = new ResizeObserver(() => host.clientWidth && chart.setSize({ width: host.clientWidth, height: HEIGHT }));
  fit.observe(host);
  const repaint = () => chart.redraw(false);
  document.addEventListener("theme", repaint);

  return {
    set: ({ start, end, times, lines }) => {
      span = [start, end];
      chart.setData([times, ...lines.flatMap(({ mean, high, low }) => [mean, high, low].map(join))]);
    },
    place: () => (chart.cursor.left >= 0 && chart.data[0].length ? chart.posToIdx(chart.cursor.left) : null),
    view: (from, to) => {
      span = [from, to];
      chart.setScale("x", { min: from, max: to });
    },
    close: () => {
      fit.disconnect();
      document.removeEventListener("theme", repaint);
      chart.destroy();
    },
  };
}

/** Write a value in few digits. */
export function number(value) {
  return value == null ? "–" : String(Number(value.toPrecision(6)));
}

/** Write how long seconds are. */
export function duration(seconds) {
  for (const [unit, size] of UNITS) if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  return `${seconds} s`;
}

/** Write a time, with the day. */
export function moment(time) {
  return new Date(time * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
}

/** Return values of which few that are missing, as between readings that come more seldom than a step, break no line. */
function join(values) {
  const gaps = [];
  let last = -1;
  values.forEach((value, place) => {
    if (value == null) return;
    if (last >= 0) gaps.push(place - last);
    last = place;
  });
  const usual = gaps.sort((a, b) => a - b)[gaps.length >> 1] ?? 1;
  const joined = [...values];
  for (let place = 0; place < joined.length; place++) {
    if (joined[place] != null) continue;
    let end = place;
    while (end < joined.length && joined[end] == null) end++;
    // uPlot draws over what is undefined, and nothing where there is null.
    if (end - place < GAP * usual) joined.fill(undefined, place, end);
    place = end;
  }
  return joined;
}

function tickTimes(ticks) {
  const apart = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  return ticks.map((time) => {
    const date = new Date(time * 1000);
    const isMidnight = !date.getHours() && !date.getMinutes() && !date.getSeconds();
    if (ticks.at(-1) - ticks[0] > YEAR) return date.toLocaleDateString([], { month: "short", year: "numeric" });
    if (apart >= DAY || isMidnight) return date.toLocaleDateString([], { day: "numeric", month: "short" });
    const options = { hour: "2-digit", minute: "2-digit", second: apart < 60 ? "2-digit" : undefined, hourCycle: "h23" };
    return date.toLocaleTimeString([], options);
  });
}
