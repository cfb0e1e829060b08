// Trying a function: a call over HTTP, or a message into one of its queues; and events that are kept to do it again.

import { bytes, milliseconds, send } from "./app.js";
import { watch } from "./live.js";
import { bodyView, encode } from "./body_view.js";
import { RecordReader, logLine, readRecord } from "./log_line.js";
import { manageEvents } from "./saved_events.js";

// How long the log is watched for what a message brings about, in milliseconds.
const WATCHED = 30_000;
const TYPES = { text: "text/plain", json: "application/json" };

const page = document.querySelector("[data-test]");
const find = (selector) => document.querySelector(selector);
const functionName = find("[data-function]").dataset.function;
const base = `/functions/${encodeURIComponent(functionName)}/test`;

if (page) start();

function start() {
  const { ways, events } = JSON.parse(page.dataset.test);
  const form = find("#test-form");
  const showBodyOf = bodyView(page, functionName);
  let file = null;
  let watching = null;

  const way = () => ways.find((one) => one.trigger === (find("#test-way")?.value ?? ways[0].trigger));
  const isHttp = () => way().kind === "http";
  const bodyKind = () => form.elements["body-kind"].value;

  // --- The form ---------------------------------------------------------------------------------------------------

  function showWay() {
    const { address, address_name: addressName, exchange, hint } = way();
    for (const part of page.querySelectorAll("[data-for]")) part.hidden = (part.dataset.for === "http") !== isHttp();
    find("[data-send-text]").textContent = isHttp() ? "Send" : "Publish";
    find("#answer-title").textContent = isHttp() ? "Response" : "What follows";
    if (isHttp()) return showBody();
    find("[data-address-label]").textContent = addressName;
    find("#test-address").value ||= address;
    find("#test-address").disabled = !exchange;
    find("[data-address-hint]").textContent = hint;
    showBody();
  }

  function showBody() {
    const hasBody = !isHttp() || !["GET", "HEAD"].includes(find("#test-method").value);
    find("[data-body]").hidden = !hasBody;
    find("#test-body").hidden = bodyKind() === "file";
    find("#test-file").hidden = bodyKind() !== "file";
    checkBody();
  }

  function checkBody() {
    const text = find("#test-body").value;
    let problem = "";
    if (bodyKind() === "json" && text.trim()) {
      try {
        JSON.parse(text);
      } catch (error) {
        problem = `No JSON: ${error.message}`;
      }
    }
    find("[data-body-error]").textContent = problem;
    find("[data-body]").classList.toggle("has-error", Boolean(problem));
  }

  function addHeader(name = "", value = "") {
    const row = document.createElement("div");
    row.className = "header-row";
    row.append(
      makeInput("Name of the header", name, "Name"),
      makeInput("Value of the header", value, "Value"),
      makeRemover(row),
    );
    find("[data-headers]").append(row);
    return row;
  }

  function readHeaders() {
    const pairs = [...page.querySelectorAll(".header-row")].map((row) =>
      [...row.querySelectorAll("input")].map((one) => one.value.trim()),
    );
    return Object.fromEntries(pairs.filter(([name]) => name));
  }

  async function readBody() {
    if (find("[data-body]").hidden) return "";
    if (bodyKind() !== "file") return encode(new TextEncoder().encode(find("#test-body").value));
    return file ? encode(new Uint8Array(await file.arrayBuffer())) : "";
  }

  for (const one of form.elements["body-kind"]) {
    one.addEventListener("change", () => {
      if (TYPES[one.value]) find("#test-type").value = TYPES[one.value];
      showBody();
    });
  }
  find("#test-way")?.addEventListener("change", () => {
    find("#test-address").value = "";
    showWay();
  });
  find("#test-method").addEventListener("change", showBody);
  find("#test-body").addEventListener("input", checkBody);
  find("#test-file").addEventListener("change", (event) => {
    [file] = event.target.files;
    if (file) find("#test-type").value = file.type || "application/octet-stream";
  });
  find("[data-add-header]").addEventListener("click", () => addHeader().querySelector("input").focus());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  function load(event) {
    const attributes = Object.fromEntries(
      Object.entries(event.attributes ?? {}).map(([key, value]) => [key.toLowerCase(), value]),
    );
    const trigger = event.triggerKind === "http" ? "" : event.triggerName;
    if (find("#test-way") && ways.some((one) => one.trigger === trigger)) find("#test-way").value = trigger;
    if (attributes.method) find("#test-method").value = String(attributes.method).toUpperCase();
    find(trigger ? "#test-address" : "#test-path").value = attributes.path ?? "";
    find("[data-headers]").replaceChildren();
    let type = "";
    for (const [name, value] of Object.entries(attributes.headers ?? {})) {
      if (name.toLowerCase() === "content-type") type = String(value);
      else addHeader(name, String(value));
    }
    find("#test-body").value = event.body;
    find("#test-type").value = type;
    form.elements["body-kind"].value = type.includes("json") ? "json" : "text";
    showWay();
  }

  /** Return what the form says as an event that can be kept. */
  function read() {
    if (bodyKind() === "file") throw new Error("A file cannot be kept with an event: choose Text or JSON.");
    const type = find("#test-type").value.trim();
    const headers = type ? { "Content-Type": type, ...readHeaders() } : readHeaders();
    const path = isHttp()
      ? { method: find("#test-method").value, path: find("#test-path").value }
      : { path: find("#test-address").value };
    return {
      triggerName: way().trigger,
      triggerKind: way().kind,
      body: find("#test-body").value,
      attributes: { ...path, headers },
    };
  }

  // --- Sending ----------------------------------------------------------------------------------------------------

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("[data-send]");
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    find("[data-outcome]").replaceChildren(makeElement("span", "spinner"), isHttp() ? "Waiting" : "Publishing");
    try {
      const wish = {
        headers: readHeaders(),
        body: await readBody(),
        contentType: find("[data-body]").hidden ? "" : find("#test-type").value.trim(),
      };
      await (isHttp() ? callFunction(wish) : publish(wish));
    } catch (error) {
      show("[data-problem]");
      find("[data-problem-text]").textContent = error.message;
      find("[data-outcome]").replaceChildren();
    } finally {
      button.removeAttribute("aria-busy");
    }
  });

  async function callFunction(wish) {
    stopWatching();
    const answer = await send("POST", `${base}/call`, {
      ...wish,
      method: find("#test-method").value,
      path: find("#test-path").value,
      logLevel: find("#test-level").value,
    });
    show("[data-result]");
    showOutcome(answer);
    showBodyOf(answer);
    find("[data-header-count]").textContent = answer.headers.length;
    find("[data-answer-headers]").replaceChildren(
      ...answer.headers.flatMap(([name, value]) => [makeText("dt", name), makeText("dd", value)]),
    );
    showLogs(answer.logs);
  }

  async function publish(wish) {
    const { trigger } = way();
    // The log may tell of the message before the answer does that it was sent.
    watchLog(Date.now() / 1000);
    try {
      await send("POST", `${base}/message`, { ...wish, trigger, path: find("#test-address").value });
    } catch (error) {
      stopWatching();
      throw error;
    }
    show("[data-result]", { isMessage: true });
    find("[data-outcome]").replaceChildren(makeBadge("ok", "Published"));
  }

  function show(selector, { isMessage = false } = {}) {
    for (const one of ["[data-empty]", "[data-problem]", "[data-result]"]) find(one).hidden = one !== selector;
    for (const one of ["[data-body-part]", "[data-headers-part]"]) find(one).hidden = isMessage;
    find("[data-log-title]").textContent = isMessage ? "The function’s log since then" : "Log of this call";
  }

  function showOutcome({ status, reason, seconds, size }) {
    const level = status < 300 ? "ok" : status < 500 ? "warn" : "error";
    find("[data-outcome]").replaceChildren(
      makeBadge(level, `${status} ${reason}`),
      makeText("span", milliseconds(seconds * 1000)),
      makeText("span", bytes(size), "muted"),
    );
  }

  function showLogs(logs) {
    const lines = (logs ?? []).map((record) => logLine(readRecord(record)));
    if (!lines.length) lines.push(makeText("span", explainLogs(logs), "muted"));
    find("[data-log]").replaceChildren(...lines);
  }

  function explainLogs(logs) {
    if (!find("#test-level").value) return "The log was not asked for.";
    return logs
      ? "It logged nothing at this level."
      : "No log came back: it is longer than 4 kB, or the function never got the call. The Logs tab has all lines.";
  }

  /** Show what the function logs from a time on: which lines are due to the message alone, nobody can tell. */
  function watchLog(start) {
    stopWatching();
    const log = find("[data-log]");
    log.replaceChildren(makeText("span", "Waiting for what it logs", "muted"));
    const reader = new RecordReader();
    const lines = new Map();
    let latest = start;
    const stop = watch(`logs:${functionName}`, ({ entries }) => {
      for (const entry of entries) {
        if (entry.time <= latest) continue;
        latest = entry.time;
        const { record } = reader.read(entry);
        lines.set(record, logLine(record));
      }
      if (lines.size) log.replaceChildren(...lines.values());
    });
    const patience = setTimeout(() => stopWatching(), WATCHED);
    watching = () => {
      stop();
      clearTimeout(patience);
      if (!lines.size) log.replaceChildren(makeText("span", "It has logged nothing since.", "muted"));
    };
  }

  function stopWatching() {
    watching?.();
    watching = null;
  }

  find("#test-type").value = TYPES[bodyKind()] ?? "";
  manageEvents({ events, base, read, load });
  showWay();
}

// --- Elements ---------------------------------------------------------------------------------------------------------

function makeElement(tag, className = "") {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

function makeText(tag, text, className = "") {
  const made = makeElement(tag, className);
  made.textContent = text;
  return made;
}

function makeBadge(state, text) {
  const made = makeText("span", text, "badge");
  made.dataset.state = state;
  return made;
}

function makeInput(label, value, placeholder) {
  const made = makeElement("input", "input-small mono");
  made.setAttribute("aria-label", label);
  made.value = value;
  made.placeholder = placeholder;
  made.autocomplete = "off";
  return made;
}

function makeRemover(row) {
  const made = makeText("button", "×", "btn small quiet icon-only");
  made.type = "button";
  made.setAttribute("aria-label", "Remove this header");
  made.addEventListener("click", () => row.remove());
  return made;
}
