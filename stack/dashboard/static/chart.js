// Charts over time: uPlot in the design's colours. The page loads vendor/uplot/uPlot.iife.min.js and its sheet before.

/** Return what a colour of the design is now; `name` is one of app.css, as "--accent". */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Return what charts have of the design: `axis`, `font()` of it, and `translucent(name)`, a colour to fill with. */
export function themed() {
  return {
    axis: {
      stroke: () => colour("--muted"),
      grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { show: false },
    },
    font: () => `12px ${getComputedStyle(document.body).fontFamily}`,
    translucent: (name) => colour(name).replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)"),
  };
}

/**
 * Make a chart in an element of class `chart`.
 *
 * A series is {label, colour, fill, points}: `colour` names one of app.css, as "--accent"; `fill` colours the space below;
 * `points` shows dots. `format` says a value in words; `threshold` is {value, colour}, a dashed line that stays in sight.
 * Returns set(data), where data is [times, values of the first series, …], times in seconds since 1970, and close().
 */
export function timeChart(host, { series, height = 240, format = String, threshold, min, seconds }) {
  const { axis, font, translucent } = themed();
  const surface = () => colour("--surface");
  const chart = new uPlot(
    {
      width: host.clientWidth,
      height,
      cursor: { y: false, points: { size: 7 } },
      legend: { live: true },
      padding: [12, 32, 0, 0],
      scales: {
        x: { range: (_, low, high) => stretch(low, high, seconds) },
        y: { range: (_, low, high) => frame(low, high, min, threshold?.value) },
      },
      axes: [
        { ...axis, font: font(), space: 80, values: (_, ticks) => ticks.map(clock) },
        { ...axis, font: font(), size: 64, values: (_, ticks) => ticks.map(format) },
      ],
      series: [{ label: "Time", value: (_, time) => (time == null ? "–" : clock(time)) }, ...series.map(plan)],
      hooks: { draw: threshold ? [(drawn) => drawThreshold(drawn, threshold)] : [] },
    },
    [[], ...series.map(() => [])],
    host,
  );

  function plan({ label, colour: name = "--accent", fill = false, points = false }) {
    return {
      label,
      stroke: () => colour(name),
      fill: fill ? () => translucent(name) : undefined,
      width: 1.75,
      points: { show: points, size: 5, fill: surface },
      spanGaps: true,
      value: (_, value) => (value == null ? "–" : format(value)),
    };
  }

  const fit = new ResizeObserver(() => host.clientWidth && chart.setSize({ width: host.clientWidth, height }));
  fit.observe(host);
  // A legend's colours are set once; the lines take theirs at each drawing.
  const repaint = () => {
    const [, ...rows] = host.querySelectorAll(".u-legend .u-series");
    rows.forEach((row, place) => {
      row.querySelector(".u-marker").style.borderColor = colour(series[place].colour ?? "--accent");
    });
    chart.redraw(false);
  };
  document.addEventListener("theme", repaint);

  return {
    set: (data) => chart.setData(data),
    close: () => {
      fit.disconnect();
      document.removeEventListener("theme", repaint);
      chart.destroy();
    },
  };
}

function clock(time) {
  return new Date(time * 1000).toLocaleTimeString([], { hourCycle: "h23" });
}

/** Show so many seconds at least, up to the latest. */
function stretch(low, high, seconds = 10) {
  const end = high ?? Date.now() / 1000;
  return [Math.min(low ?? end, end - seconds), end];
}

/** Return the lowest and the highest value of an axis on which all of these have room. */
export function frame(low, high, min, threshold) {
  const values = [low, high, min, threshold].filter((value) => value != null);
  if (!values.length) return [0, 1];
  const [bottom, top] = [Math.min(...values), Math.max(...values)];
  const room = (top - bottom || Math.abs(top) || 1) * 0.1;
  return [bottom === min ? bottom : bottom - room, top + room];
}

function drawThreshold(chart, { value, colour: name = "--bad" }) {
  const { ctx, bbox } = chart;
  const y = Math.round(chart.valToPos(value, "y", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = colour(name);
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}
