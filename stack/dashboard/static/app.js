// What every page needs: the CSRF token, questions, dialogs, menus, toasts, the theme, times in words.

// --- Requests -------------------------------------------------------------------------------------------------------

const AWAY = "No answer came from the dashboard.";
const tellSilence = (verb) => (/^get$/i.test(verb) ? AWAY : `${AWAY} See whether it was done, then try again.`);

const TOKEN = "X-CSRF-Token";
const token = document.querySelector('meta[name="csrf-token"]');

/** Take over the token that an answer brings: after a login in another tab that of the page holds no more. */
function renew(fresh) {
  if (fresh) token.content = fresh;
}

/** Send a request to the server; returns the answer, throws an Error that says why not, with its `status`. */
export async function send(method, address, body, signal) {
  const headers = { [TOKEN]: token.content, Accept: "application/json" };
  const response = await fetch(address, { method, headers, body, signal, redirect: "manual" }).catch(() => {
    throw new Error(tellSilence(method));
  });
  if (response.type === "opaqueredirect") throw new Error("You are logged out. Log in in another tab, then try again.");
  if (response.ok) return response;
  renew(response.headers.get(TOKEN));
  throw Object.assign(new Error(explain(await response.text(), response.status)), { status: response.status });
}

function explain(text, status) {
  if (text.startsWith("{")) return JSON.parse(text).error;
  // A page's error is HTML with the message in an alert.
  const alert = new DOMParser().parseFromString(text, "text/html").querySelector('[role="alert"]');
  const words = alert?.textContent.trim() ?? (text.startsWith("<") ? "" : text.trim());
  return words || `The dashboard answered ${status}.`;
}

document.addEventListener("htmx:configRequest", ({ detail }) => {
  detail.headers[TOKEN] = token.content;
});
document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  renew(xhr.getResponseHeader(TOKEN));
  toast(explain(xhr.responseText, xhr.status), "error");
});
// What the page looks at by itself is looked at again; that the dashboard does not answer is told at its top.
const PRESSED = ["click", "submit", "change", "input", "toggle"];
document.addEventListener("htmx:sendError", ({ detail: { requestConfig } }) => {
  const { triggeringEvent, verb } = requestConfig;
  if (!triggeringEvent || PRESSED.includes(triggeringEvent.type)) toast(tellSilence(verb), "error");
});

// --- Toasts ---------------------------------------------------------------------------------------------------------

const toasts = document.querySelector("[data-toasts]");

/** Have them seen: a dialog that is open covers all that is not within it. */
function placeToasts() {
  const host = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (toasts.parentElement !== host) host.append(toasts);
}

document.addEventListener("close", placeToasts, true);
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.contains(toasts)) document.body.append(toasts);
});
document.addEventListener("htmx:afterSettle", () => toasts.childElementCount && placeToasts());

const TOAST_SECONDS = { error: 12, warn: 8 };

/** Say something in the corner, once at a time; level is info, ok, warn or error. */
export function toast(text, level = "info") {
  placeToasts();
  [...toasts.children].find((one) => one.querySelector("span").textContent === text)?.remove();
  const message = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  message.dataset.level = level;
  message.querySelector("span").textContent = text;
  message.querySelector("button").addEventListener("click", () => message.remove());
  toasts.append(message);
  setTimeout(() => message.remove(), (TOAST_SECONDS[level] ?? 5) * 1000);
}

// A response says something by the header HX-Trigger: {"toast": {"text": …, "level": …}}.
document.addEventListener("toast", ({ detail }) => toast(detail.text, detail.level));

// --- Dialogs and menus ----------------------------------------------------------------------------------------------

// The status of an answer that says what is wrong with a form.
const UNPROCESSABLE = 422;

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

// What a button does is not done once more by a double click, or by a second press while it is under way; what a closed
// dialog shows is not looked at again; and a menu is asked for when it is opened, and again where no answer came.
const underWay = new WeakSet();
const isPressed = (event) => ["click", "submit"].includes(event?.type);
const hasMenu = (elt) => elt.matches("details.menu") && (!elt.open || elt.querySelector(".menu-items").childElementCount);
document.addEventListener("htmx:beforeSend", ({ detail }) => underWay.add(detail.requestConfig.elt));
document.addEventListener("htmx:afterRequest", ({ detail }) => underWay.delete(detail.requestConfig.elt));
document.addEventListener("htmx:confirm", (event) => {
  const { elt, triggeringEvent, verb } = event.detail;
  // Two pages on is what two quick clicks on "next" mean.
  const isAgain = (verb !== "get" && triggeringEvent?.detail > 1) || underWay.has(elt);
  const isVain = isPressed(triggeringEvent) ? isAgain : elt.closest("dialog:not([open])") || hasMenu(elt);
  if (!isVain) return;
  event.preventDefault();
  event.stopImmediatePropagation();
});

document.addEventListener("htmx:confirm", async (event) => {
  const { question, elt, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  const [yes, danger] = [elt.dataset.confirmYes, elt.matches(".danger, [data-danger]")];
  if (await confirm(question, { yes, danger })) issueRequest(true);
});

// What is put into a dialog is shown; what is sent from one that says so closes it. What a closed one asked for by
// itself comes too late: it would open it again under the hand of who closed it.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { elt, triggeringEvent } = event.detail.requestConfig;
  if (!isPressed(triggeringEvent) && elt.closest("dialog:not([open])")) event.detail.shouldSwap = false;
});
// Of two that were asked for one after the other the last is shown, whichever comes first.
let asked = null;
document.addEventListener("htmx:beforeSend", ({ detail: { requestConfig, target, xhr } }) => {
  if (requestConfig.verb !== "get" || !target.matches("dialog")) return;
  asked?.abort();
  asked = xhr;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  const dialog = detail.target?.closest("dialog");
  if (dialog && !dialog.open) dialog.showModal();
});
// How often each dialog was closed, and, when a request was sent, its own.
const closings = new WeakMap();
const sentAfter = new WeakMap();
const countClosings = (elt) => closings.get(elt.closest("dialog")) ?? 0;
document.addEventListener("close", ({ target }) => closings.set(target, countClosings(target) + 1), true);
document.addEventListener("htmx:beforeSend", ({ detail: { elt, xhr } }) => sentAfter.set(xhr, countClosings(elt)));
document.addEventListener("htmx:afterRequest", ({ detail: { elt, requestConfig, successful, target, xhr } }) => {
  // What was refused, or is asked about first, is to be sent again; and a dialog that was closed and opened again
  // meanwhile is about something else.
  const isReopened = elt.closest("dialog[open]") && sentAfter.get(xhr) !== countClosings(elt);
  const isOver = successful && xhr.status !== UNPROCESSABLE && !target?.matches("dialog:has(form)") && !isReopened;
  if (!isOver) return;
  // The answer may have replaced what was sent.
  document.getElementById(requestConfig.elt.dataset.resets)?.reset();
  const form = elt.closest("form[data-closes]");
  form?.closest("dialog")?.close();
  form?.reset();
});

// A form whose answer takes its place rests until then: what is typed meanwhile would be gone with it. The button that
// was pressed has the focus again.
const isReplaced = (sent) => sent.matches('form[hx-target="this"]');
document.addEventListener("htmx:beforeRequest", ({ detail: { elt } }) => {
  if (isReplaced(elt)) elt.inert = true;
});
document.addEventListener("htmx:afterRequest", ({ detail: { requestConfig } }) => {
  const { elt, triggeringEvent } = requestConfig;
  if (!isReplaced(elt)) return;
  elt.inert = false;
  const { name, value } = triggeringEvent?.submitter ?? {};
  if (name) document.getElementById(elt.id)?.querySelector(`[name="${name}"][value="${CSS.escape(value)}"]`)?.focus();
});

document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-open-dialog]");
  if (opener) document.getElementById(opener.dataset.openDialog).showModal();
  if (target.closest("[data-close-dialog]") || target.matches("dialog.dialog")) target.closest("dialog").close();
  const copier = target.closest("[data-copy]");
  if (copier) copy(document.getElementById(copier.dataset.copy));
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target) || target.closest(".menu-items")) menu.open = false;
  }
});
document.addEventListener("keydown", ({ key, target }) => {
  const menu = key === "Escape" && target.closest?.("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

/** Copy the text of an element; without TLS a page of another machine has no clipboard but that of what is selected. */
async function copy(element) {
  getSelection().selectAllChildren(element);
  const isCopied = navigator.clipboard
    ? await navigator.clipboard.writeText(element.innerText).then(
        () => true,
        () => false,
      )
    : document.execCommand("copy");
  if (isCopied) toast("Copied.", "ok");
  else toast("The browser does not let this page copy. The text is selected: copy it by hand.", "warn");
}

// --- Theme ----------------------------------------------------------------------------------------------------------

const THEMES = { auto: "as the system", light: "light", dark: "dark" };
const root = document.documentElement;
const themeSwitch = document.querySelector("[data-theme-switch]");

function showTheme() {
  const theme = root.dataset.theme ?? "auto";
  themeSwitch.setAttribute("aria-label", `Colours: ${THEMES[theme]}`);
  for (const icon of themeSwitch.children) icon.hidden = icon.dataset.themeIcon !== theme;
  document.dispatchEvent(new Event("theme"));
}

themeSwitch.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(root.dataset.theme ?? "auto") + 1) % names.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  localStorage.setItem("theme", root.dataset.theme ?? "");
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
showTheme();

// --- Times ----------------------------------------------------------------------------------------------------------

function ago(seconds) {
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** Return the time of day; an exact one has milliseconds. */
export function clock(date, isExact = false) {
  const time = date.toLocaleTimeString([], { hourCycle: "h23" });
  return isExact ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time;
}

const MOMENT = { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" };

/** Write each <time> in words: data-clock in the reader's time, data-moment the day too; data-ago, data-elapsed since then. */
function refreshTimes() {
  for (const time of document.querySelectorAll("time[data-moment]:empty")) {
    time.textContent = new Date(time.dateTime).toLocaleString([], MOMENT);
  }
  for (const time of document.querySelectorAll("time[data-clock]:empty")) {
    time.textContent = clock(new Date(time.dateTime), time.dataset.clock === "exact");
  }
  for (const time of document.querySelectorAll("time:is([data-ago], [data-elapsed])")) {
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const text = "ago" in time.dataset ? ago(seconds) : `${Math.round(seconds)} s`;
    if (time.textContent !== text) time.textContent = text;
  }
}
for (const event of ["htmx:load", "htmx:sseMessage"]) document.addEventListener(event, refreshTimes);
setInterval(refreshTimes, 1000);
refreshTimes();
