// What every page needs: changes that carry the CSRF token, the theme switch, dialogs, toasts, figures in words.

const token = () => document.querySelector('meta[name="csrf-token"]').content;

// --- Requests -------------------------------------------------------------------------------------------------------

/** Send a change to the server; `body` is sent as JSON. Returns the answer's JSON or text, throws an Error that says why not. */
export async function send(method, address, body, more = {}) {
  const headers = { "X-CSRF-Token": token(), Accept: "application/json", ...more };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(address, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(explain(text, response.status));
  return text && response.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : text;
}

function explain(text, status) {
  try {
    const answer = JSON.parse(text);
    if (answer.error) return answer.error;
  } catch {
    // No JSON.
  }
  // A page's error is HTML with the message in an alert.
  const alert = new DOMParser().parseFromString(text, "text/html").querySelector('[role="alert"]');
  const words = alert ? alert.textContent.trim() : text.startsWith("<") ? "" : text.trim();
  return words || `The dashboard answered ${status}.`;
}

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = token();
});
document.addEventListener("htmx:responseError", (event) => {
  const { responseText, status } = event.detail.xhr;
  toast(explain(responseText, status), "error");
});
document.addEventListener("htmx:sendError", () => toast("The dashboard does not answer.", "error"));

// A response says something by the header HX-Trigger: {"toast": {"text": …, "level": …}}.
document.addEventListener("toast", (event) => toast(event.detail.text ?? event.detail.value, event.detail.level));

// --- Toasts ---------------------------------------------------------------------------------------------------------

const TOAST_SECONDS = { error: 12, warn: 8 };

/** Say something in the corner; level is info, ok, warn or error. */
export function toast(text, level = "info") {
  const message = document.createElement("div");
  message.className = "toast";
  message.dataset.level = level;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn quiet small icon-only";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  close.addEventListener("click", () => message.remove());
  message.append(words, close);
  document.querySelector("[data-toasts]").append(message);
  setTimeout(() => message.remove(), (TOAST_SECONDS[level] ?? 5) * 1000);
}

// --- Dialogs --------------------------------------------------------------------------------------------------------

/** Ask a question; resolves to whether the user goes on. */
export function confirm(question, { yes = "Go on", danger = false } = {}) {
  const dialog = document.querySelector("[data-confirm-dialog]");
  dialog.querySelector("h2").textContent = question;
  const button = dialog.querySelector("[data-confirm-yes]");
  button.textContent = yes;
  button.className = danger ? "btn danger" : "btn primary";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const wishes = (element) => ({ yes: element.dataset.confirmYes, danger: element.classList.contains("danger") });

document.addEventListener("htmx:confirm", async (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  if (await confirm(event.detail.question, wishes(event.detail.elt))) event.detail.issueRequest(true);
});

document.addEventListener("submit", async (event) => {
  const asker = event.submitter?.dataset.confirm ? event.submitter : event.target;
  const question = asker.dataset?.confirm;
  if (!question || asker.dataset.confirmed) return;
  event.preventDefault();
  if (!(await confirm(question, wishes(asker)))) return;
  asker.dataset.confirmed = "yes";
  event.target.requestSubmit(event.submitter);
  delete asker.dataset.confirmed;
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open-dialog]");
  if (opener) document.getElementById(opener.dataset.openDialog).showModal();
  if (event.target.closest("[data-close-dialog]")) event.target.closest("dialog").close();
  if (event.target.matches("dialog.dialog")) event.target.close();
  const copier = event.target.closest("[data-copy]");
  if (copier) copy(copier);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-items")) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source ? (source.value ?? source.textContent) : button.dataset.copy);
  toast("Copied.", "ok");
}

// --- Theme ----------------------------------------------------------------------------------------------------------

const THEMES = { auto: "as the system", light: "light", dark: "dark" };

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? "auto";
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  button.setAttribute("aria-label", `Colours: ${THEMES[theme]}`);
  for (const icon of button.querySelectorAll("[data-theme-icon]")) icon.hidden = icon.dataset.themeIcon !== theme;
}

function switchTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % names.length];
  if (next === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
  }
  showTheme();
  document.dispatchEvent(new CustomEvent("theme"));
}

document.querySelector("[data-theme-switch]")?.addEventListener("click", switchTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  document.dispatchEvent(new CustomEvent("theme")),
);
showTheme();

/** Return what a colour of the design is now, for canvases; `name` is one of app.css, as "--accent". */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// --- Words and figures ----------------------------------------------------------------------------------------------

/** Say how many a second. */
export function rate(value) {
  if (value == null) return "–";
  if (value === 0) return "0/s";
  return value < 0.1 ? "<0.1/s" : `${value < 10 ? value.toFixed(1) : count(Math.round(value))}/s`;
}

/** Say how many bytes. */
export function bytes(value) {
  if (value == null) return "–";
  const units = ["B", "kB", "MB", "GB"];
  let power = 0;
  let rest = value;
  while (rest >= 1000 && power < units.length - 1) {
    rest /= 1000;
    power += 1;
  }
  return `${rest < 10 && power ? rest.toFixed(1) : Math.round(rest)} ${units[power]}`;
}

/** Say how many milliseconds. */
export function milliseconds(value) {
  if (value == null) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** Say how many, with thin spaces between thousands. */
export function count(value) {
  return value == null ? "–" : String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
}

/** Say how long ago a time was; it is seconds since 1970, or a text that Date reads. */
export function ago(time) {
  if (time == null || time === "") return "–";
  const seconds = Math.max(0, (Date.now() - (typeof time === "number" ? time * 1000 : Date.parse(time))) / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** Keep every <time data-ago datetime="…"> of the page right, and each <time data-clock> in the reader's time. */
function refreshTimes() {
  for (const time of document.querySelectorAll("time[data-clock]:empty")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hourCycle: "h23" });
  }
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}
for (const event of ["htmx:load", "htmx:sseMessage"]) document.addEventListener(event, refreshTimes);
setInterval(refreshTimes, 5000);
refreshTimes();

/** Make an element with a text and attributes. */
export function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(text);
  return made;
}
