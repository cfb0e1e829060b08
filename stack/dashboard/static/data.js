// The page of readings: which series and time are shown stands in the address, so that it can be kept and sent on.

import { send } from "./app.js";
import { followFingers } from "./fingers.js";
import { duration, historyChart, lineStyle, moment, number } from "./history.js";

const HOUR = 3600;
// Seconds: the shortest and the longest time that a chart shows, and the least and most between two looks at the right edge.
const SHORTEST = 10;
const LONGEST = 20 * 365 * 86_400;
const SOONEST = 2;
const LATEST = 60;
// Looks in the time of a step, since it is seen only after its end.
const LOOKS = 3;
const TREE_SECONDS = 5;
// Pixels for each value of a line.
const SPACING = 2;
// What the table has of each line; the first is the last value, or that below the pointer.
const COLUMNS = ["Value", "Min", "Mean", "Max"];

// What is offered for the word that is being typed in a query.
const COMPLETIONS = 12;
const FUNCTIONS =
  "avg sum min max count topk quantile rate increase delta deriv avg_over_time min_over_time max_over_time " +
  "sum_over_time count_over_time quantile_over_time last_over_time changes histogram_quantile";

const find = (selector) => document.querySelector(selector);
const host = find("[data-history]");
const tree = find("#series");
const problem = find("[data-problem]");
const state = readAddress();
// Whether somebody has chosen what is shown, be it nothing.
let isChosen = state.queries.length > 0;
let shown = { start: 0, end: 0, times: [], lines: [] };
let chart = null;
let count = -1;
let asking = null;
let next = 0;

function readAddress() {
  const fields = new URLSearchParams(location.search);
  const [from, to, since] = ["from", "to", "since"].map((name) => Number(fields.get(name)) || 0);
  return { queries: fields.getAll("q"), ...(from && to ? { from, to, since: 0 } : { since: since || HOUR }) };
}

function fields() {
  const { queries, since, from, to } = state;
  const time = since ? { since } : { from: from.toFixed(3), to: to.toFixed(3) };
  return new URLSearchParams([...queries.map((query) => ["q", query]), ...Object.entries(time)]);
}

const countPoints = () => Math.round(host.clientWidth / SPACING);

// --- The chart ------------------------------------------------------------------------------------------------------

/** Fetch what is to be shown and draw it; while it is live, again and again. */
async function draw() {
  clearTimeout(next);
  asking?.abort();
  const mine = (asking = new AbortController());
  host.setAttribute("aria-busy", "true");
  try {
    if (state.queries.length) {
      const answer = await send("GET", `/data/chart?${fields()}&points=${countPoints()}`, undefined, mine.signal);
      show(await answer.json());
    } else showNothing();
    say("");
  } catch (error) {
    if (mine.signal.aborted) return;
    say(error.message);
  }
  if (mine !== asking) return;
  host.setAttribute("aria-busy", "false");
  if (state.since) next = setTimeout(redraw, Math.min(LATEST, Math.max(SOONEST, (shown.step ?? 0) / LOOKS)) * 1000);
}

function showNothing() {
  const end = state.to ?? Date.now() / 1000;
  show({ start: state.from ?? end - state.since, end, times: [], lines: [], found: 0 });
}

/** Draw again what is live, unless it is not seen, or held. */
function redraw() {
  if (!document.hidden && state.since && !fingers.isOn()) draw();
}

function say(text) {
  problem.hidden = !text;
  problem.querySelector(".message").textContent = text;
}

function show(found) {
  shown = found;
  if (found.lines.length !== count) {
    chart?.close();
    count = found.lines.length;
    chart = historyChart(host, count, { onSelect: zoom, onMove: (place) => fillFigures(place) });
  }
  chart.set(found);
  find("[data-chart-step]").textContent = found.lines.length ? `a value each ${duration(found.step)}` : "";
  const more = found.found > found.lines.length ? `${found.lines.length} of ${found.found} series are drawn. ` : "";
  const none = state.queries.length && !found.lines.length ? "There are no readings in this time. " : "";
  find("[data-note]").textContent = more + none + (state.queries.length ? "" : "Choose a series.");
  host.dataset.drawn = found.lines.length;
  if (found.lines.length && !performance.getEntriesByName("drawn").length) performance.mark("drawn");
  fillRows();
}

function fillRows() {
  const rows = shown.lines.map(({ title }, place) => {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    const text = document.createElement("span");
    const swatch = document.createElement("span");
    name.scope = "row";
    swatch.className = "swatch";
    swatch.dataset.dashed = lineStyle(place).dash.length > 0;
    swatch.style.color = `var(${lineStyle(place).colour})`;
    text.append(swatch, ` ${title}`);
    name.append(text);
    name.className = "mono";
    row.append(name);
    for (const column of COLUMNS) {
      const cell = document.createElement("td");
      cell.className = "num";
      cell.dataset.label = column;
      row.append(cell);
    }
    return row;
  });
  find("[data-figures]").replaceChildren(...rows);
  fillFigures(chart.place());
}

/** Write the figures of each line: at a place in the data, or its last. */
function fillFigures(place) {
  find("[data-at]").textContent = place == null ? "Last" : moment(shown.times[place]);
  const rows = find("[data-figures]").children;
  shown.lines.forEach(({ mean, low, high, last, average }, at) => {
    const known = mean.filter((value) => value != null);
    const [lows, highs] = [low, high].map((some) => (some.length ? some.filter((value) => value != null) : known));
    const value = place == null ? (last ?? known.at(-1)) : mean[place];
    // What is calculated has a value for each step, and no readings to take the mean of.
    const middle = average ?? known.reduce((sum, one) => sum + one, 0) / known.length;
    const figures = known.length ? [value, Math.min(...lows), middle, Math.max(...highs)] : [last, null, average, null];
    figures.forEach((figure, column) => {
      if (rows[at]) rows[at].children[column + 1].textContent = number(figure);
    });
  });
}

// --- What is chosen -------------------------------------------------------------------------------------------------

function change(fresh) {
  isChosen ||= "queries" in fresh;
  Object.assign(state, fresh);
  history.replaceState(null, "", `?${fields()}`);
  find("[data-csv]").href = `/data/csv?${fields()}&points=${countPoints()}`;
  for (const radio of document.querySelectorAll('[name="since"]')) radio.checked = Number(radio.value) === state.since;
  showQueries();
  markTree();
  return draw();
}

function showQueries() {
  const chips = state.queries.map((query) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "btn small quiet mono query";
    chip.textContent = `${query.replace(/^\{__name__="([\w:]+)",(.*)\}$/, "$1{$2}")} ×`;
    chip.setAttribute("aria-label", `Take ${query} away`);
    chip.addEventListener("click", () => change({ queries: state.queries.filter((one) => one !== query) }));
    return chip;
  });
  find("[data-queries]").replaceChildren(...chips);
}

function markTree() {
  for (const box of tree.querySelectorAll('[name="q"]')) box.checked = state.queries.includes(box.value);
}

find("#series-own")?.addEventListener("change", () => (isChosen = true));
tree.addEventListener("change", ({ target: { checked, value } }) => {
  const others = state.queries.filter((query) => query !== value);
  change({ queries: checked ? [...others, value] : others });
});
find("[data-query-form]").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = event.target.query.value.trim();
  if (query && !state.queries.includes(query)) change({ queries: [...state.queries, query] });
  event.target.reset();
});
find("[data-query-form]").query.addEventListener("input", ({ target: { value } }) => {
  const [word] = value.match(/[\w:]*$/);
  const before = value.slice(0, value.length - word.length);
  const metrics = [...tree.querySelectorAll(".metric > input")].map((box) => box.value);
  const meant = word ? [...metrics, ...FUNCTIONS.split(" ")].filter((name) => name.startsWith(word) && name !== word) : [];
  find("#completions").replaceChildren(...meant.slice(0, COMPLETIONS).map((name) => new Option(before + name)));
});
document.addEventListener("change", ({ target }) => {
  if (target.name === "since") change(live(Number(target.value)));
});

// --- Time -----------------------------------------------------------------------------------------------------------

/** Return what is to be shown, as [start, end]; what is drawn follows when it has come. */
function chosenSpan() {
  const now = Date.now() / 1000;
  return state.since ? [now - state.since, now] : [state.from, state.to];
}

const live = (since) => ({ since, from: undefined, to: undefined });

/** Show a time; one that ends now or later goes on with it. */
function zoom(from, to) {
  const [now, span] = [Date.now() / 1000, Math.min(LONGEST, Math.max(SHORTEST, to - from))];
  const begin = Math.max(1, from);
  change(to >= now ? live(span) : { since: 0, from: begin, to: Math.min(now, begin + span) });
}

const MOVES = {
  earlier: (start, end) => [start - (end - start) / 2, end - (end - start) / 2],
  later: (start, end) => [start + (end - start) / 2, end + (end - start) / 2],
  in: (start, end) => [start + (end - start) / 4, end - (end - start) / 4],
  out: (start, end) => [Math.max(1, start - (end - start) / 2), end + (end - start) / 2],
};
const KEYS = { ArrowLeft: "earlier", ArrowRight: "later", "+": "in", "=": "in", "-": "out" };

const move = (name) => zoom(...MOVES[name](...chosenSpan()));

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-move]");
  if (button) move(button.dataset.move);
});
host.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const [start, end] = chosenSpan();
  if (event.key === "Home") change(live(end - start));
  else if (KEYS[event.key]) move(KEYS[event.key]);
  else return;
  event.preventDefault();
});
const fingers = followFingers(host, {
  plot: () => find(".u-over"),
  span: chosenSpan,
  onMove: (from, to) => chart.view(from, to),
  onEnd: zoom,
  onCancel: draw,
});

// --- The tree -------------------------------------------------------------------------------------------------------

function look() {
  if (!document.hidden) tree.dispatchEvent(new Event("look"));
}

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target !== tree) return;
  const first = tree.querySelector('[name="q"]');
  if (first && !isChosen) change({ queries: [first.value] });
  else markTree();
});
document.addEventListener("visibilitychange", () => {
  redraw();
  look();
});

await change({});
look();
setInterval(look, TREE_SECONDS * 1000);
