// Live parts: one stream of server-sent events a page. htmx's sse extension puts parts of the page, as HTML, in their
// places (sse-swap); what scripts draw comes as JSON by `watch`. The stream rests while the page is hidden.

// Milliseconds: before a hidden page lets go of its stream, before a lost stream is told, and between two tries.
const HIDDEN_PATIENCE = 15_000;
const LOST_PATIENCE = 1_000;
const FIRST_RETRY = 1_000;
const LAST_RETRY = 15_000;

// How many listen to each name.
const names = new Map();

let stream = null;
let retry = FIRST_RETRY;
let opening = 0;
let hiding = 0;
let telling = 0;
let retrying = 0;

/** What htmx and `watch` listen to: it outlives the connections, of which each asks for what is listened to. */
class LiveSource extends EventTarget {
  addEventListener(name, listener) {
    super.addEventListener(name, listener);
    names.set(name, (names.get(name) ?? 0) + 1);
    if (names.get(name) === 1) openSoon();
  }

  removeEventListener(name, listener) {
    super.removeEventListener(name, listener);
    names.set(name, names.get(name) - 1);
    if (names.get(name)) return;
    names.delete(name);
    openSoon();
  }

  close() {}
}

const source = new LiveSource();
htmx.createEventSource = () => source;

/** Listen to a topic, whose values come as JSON; returns how to stop. */
export function watch(topic, show) {
  // Nothing is known yet where the first look failed; the next one may not.
  const listener = ({ data }) => data !== "null" && show(JSON.parse(data));
  source.addEventListener(topic, listener);
  return () => source.removeEventListener(topic, listener);
}

function openSoon() {
  clearTimeout(opening);
  // A tab that was opened behind this one waits until it is seen: browsers keep six connections to a server and no more.
  opening = setTimeout(() => (document.hidden ? close() : open()));
}

function open() {
  close();
  stream = new EventSource(`/live?topics=${[...names.keys()].map(encodeURIComponent).join(",")}`);
  stream.addEventListener("open", note);
  stream.addEventListener("error", lose);
  const forward = ({ type, data }) => source.dispatchEvent(new MessageEvent(type, { data }));
  for (const name of names.keys()) stream.addEventListener(name, forward);
}

function close() {
  clearTimeout(retrying);
  stream?.close();
  stream = null;
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
  for (const place of document.querySelectorAll("[data-live-login]")) {
    place.hidden = !isLoggedOut;
    // Back to what is shown, which the address of some pages says.
    place.querySelector("a").href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  }
}

function show(isConnected) {
  document.querySelector("[data-live-banner]").hidden = isConnected;
  document.documentElement.dataset.live = isConnected ? "on" : "off";
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(close, HIDDEN_PATIENCE);
  else if (!stream) open();
});
// A page kept for the Back button holds no stream.
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", (event) => event.persisted && open());

// --- What a new part leaves as it is --------------------------------------------------------------------------------

// What somebody types stays, and scripts own what `data-keep` names: an attribute, or `all` that is within. What is open
// stays open, and what is closed is opened only where it says `data-opens`.
const TYPED = ["value", "checked", "selected"];
Object.assign(Idiomorph.defaults.callbacks, {
  beforeNodeMorphed: (old, fresh) => {
    if (!(old instanceof Element)) return true;
    // The time is the same, and its words are the page's.
    if (old.matches("time:is([data-ago], [data-clock])") && old.dateTime === fresh.dateTime) return false;
    return !old.matches("[data-keep=all]");
  },
  beforeAttributeUpdated: (name, element, change) => {
    // What waits for another answer waits on.
    if (name === "inert") return false;
    if (name === "open") return change === "update" && element.matches("[data-opens]");
    return element.dataset.keep !== name && !(TYPED.includes(name) && element.matches("input, option, textarea"));
  },
});
