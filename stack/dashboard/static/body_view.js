// The body of an answer: JSON with indents, its text as it is, or its bytes; always as text, never as a page.

import { bytes } from "./app.js";

const HEX_BYTES = 4096;
const SUFFIXES = {
  "application/json": ".json",
  "text/plain": ".txt",
  "text/html": ".html",
  "text/csv": ".csv",
  "image/png": ".png",
  "image/jpeg": ".jpg",
};

/** Return how to show an answer {body (base64), headers, size} in the page; files that are kept begin with a name. */
export function bodyView(page, name) {
  const find = (selector) => page.querySelector(selector);
  const buttons = [...page.querySelectorAll("[data-view]")];
  let shown = null;

  function show({ body, headers, size }) {
    const content = Uint8Array.from(atob(body), (one) => one.charCodeAt(0));
    const type = headers.find(([header]) => header.toLowerCase() === "content-type")?.[1] ?? "";
    const text = decode(content);
    if (shown) URL.revokeObjectURL(shown.address);
    // As bytes and not by its own type: a page of a function must never become a page of the dashboard.
    const address = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
    shown = { content, text, pretty: text === null ? null : prettify(text), size, address };
    const link = find("[data-download]");
    link.href = address;
    link.download = `${name}${SUFFIXES[type.split(";")[0].trim()] ?? ".bin"}`;
    find('[data-view="text"]').disabled = text === null;
    find('[data-view="pretty"]').hidden = shown.pretty === null;
    view(text === null ? "hex" : shown.pretty === null ? "text" : "pretty");
  }

  function view(kind) {
    const { content, text, pretty, size } = shown;
    find("#answer-body").textContent = { pretty, text, hex: dump(content.subarray(0, HEX_BYTES)) }[kind];
    find("#answer-body").hidden = !size;
    find("[data-body-note]").textContent = explain(shown, kind);
    find("[data-body-note]").hidden = !find("[data-body-note]").textContent;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.view === kind));
  }

  for (const button of buttons) button.addEventListener("click", () => view(button.dataset.view));
  return show;
}

function explain({ content, text, size }, kind) {
  const notes = [];
  if (!size) notes.push("The body is empty.");
  if (text === null) notes.push("The body is no text.");
  if (kind === "hex" && size > HEX_BYTES) notes.push(`The first ${HEX_BYTES} of ${size} bytes.`);
  if (content.length < size) notes.push(`Only the first ${bytes(content.length)} are shown.`);
  return notes.join(" ");
}

/** Return bytes as base64. */
export function encode(content) {
  let text = "";
  for (let place = 0; place < content.length; place += 0x8000)
    text += String.fromCharCode(...content.subarray(place, place + 0x8000));
  return btoa(text);
}

/** Return bytes as text; null if they are none. */
function decode(content) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return null;
  }
}

/** Return JSON with indents; null if it is none. */
function prettify(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return null;
  }
}

function dump(content) {
  const rows = [];
  for (let place = 0; place < content.length; place += 16) {
    const row = [...content.subarray(place, place + 16)];
    const numbers = row.map((one) => one.toString(16).padStart(2, "0")).join(" ");
    const characters = row.map((one) => (one >= 32 && one < 127 ? String.fromCharCode(one) : ".")).join("");
    rows.push(`${place.toString(16).padStart(8, "0")}  ${numbers.padEnd(47)}  ${characters}`);
  }
  return rows.join("\n");
}
