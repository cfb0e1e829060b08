// Live parts: one stream of server-sent events a page. Each event is a topic with its latest value as JSON, and becomes
// a CustomEvent `live:TOPIC` on the document. The stream rests while nobody looks at the page.

// Milliseconds: before a hidden page lets go of its stream, before a lost stream is told, and between two tries.
const HIDDEN_PATIENCE = 15_000;
const LOST_PATIENCE = 1_000;
const FIRST_RETRY = 1_000;
const LAST_RETRY = 15_000;

const topics = new Set(document.body.dataset.liveTopics?.split(/[\s,]+/).filter(Boolean));
const latest = new Map();

let stream = null;
let retry = FIRST_RETRY;
let hiding = 0;
let telling = 0;
let retrying = 0;

/** Listen to a topic, now and whenever it changes; returns how to stop. Adds the topic to the page's stream. */
export function watch(topic, show) {
  const listener = (event) => show(event.detail);
  document.addEventListener(`live:${topic}`, listener);
  if (latest.has(topic)) show(latest.get(topic));
  const isOwn = !topics.has(topic);
  if (isOwn) {
    topics.add(topic);
    if (stream) open();
  }
  return () => {
    document.removeEventListener(`live:${topic}`, listener);
    if (isOwn) leave(topic);
  };
}

function leave(topic) {
  topics.delete(topic);
  latest.delete(topic);
  if (stream) open();
}

function open() {
  close();
  if (!topics.size) return;
  stream = new EventSource(`/live?topics=${[...topics].map(encodeURIComponent).join(",")}`);
  stream.addEventListener("open", note);
  stream.addEventListener("error", lose);
  for (const topic of topics) stream.addEventListener(topic, (event) => tell(topic, JSON.parse(event.data)));
}

function close() {
  clearTimeout(retrying);
  stream?.close();
  stream = null;
}

function tell(topic, value) {
  // Nothing is known yet, since the first look failed; the next one may not.
  if (value === null) return;
  latest.set(topic, value);
  document.dispatchEvent(new CustomEvent(`live:${topic}`, { detail: value }));
}

function note() {
  retry = FIRST_RETRY;
  clearTimeout(telling);
  telling = 0;
  show(true);
}

function lose() {
  telling ||= setTimeout(() => show(false), LOST_PATIENCE);
  if (stream?.readyState !== EventSource.CLOSED) return;
  // The server refused: the browser gives up, and so we try again ourselves.
  clearTimeout(retrying);
  retrying = setTimeout(tryAgain, retry);
  retry = Math.min(retry * 2, LAST_RETRY);
}

/** Open the stream again, and see whether it is the login that is missing. */
async function tryAgain() {
  open();
  const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
  const isLoggedOut = answer?.type === "opaqueredirect";
  for (const place of document.querySelectorAll("[data-live-lost]")) place.hidden = isLoggedOut;
  for (const place of document.querySelectorAll("[data-live-login]")) place.hidden = !isLoggedOut;
}

function show(isConnected) {
  const banner = document.querySelector("[data-live-banner]");
  if (banner) banner.hidden = isConnected;
  document.documentElement.dataset.live = isConnected ? "on" : "off";
  document.dispatchEvent(new CustomEvent("live", { detail: isConnected }));
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(close, HIDDEN_PATIENCE);
  else if (!stream) open();
});
// A page kept for the Back button holds no stream.
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", (event) => event.persisted && open());

open();
