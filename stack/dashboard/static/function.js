// What can be done with a function from the head of its pages, and the log of a deploy as it is written.

import { confirm, send, toast } from "./app.js";
import { watch } from "./live.js";

const head = document.querySelector("[data-function]");
const name = head.dataset.function;
const panel = head.querySelector("[data-deploy-panel]");
const log = panel.querySelector("[data-deploy-log]");
const find = (part) => panel.querySelector(`[data-deploy-${part}]`);

// On a phone the tabs are wider than the screen.
const tab = head.querySelector(".tabs [aria-current]");
if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;

// --- Deploy ---------------------------------------------------------------------------------------------------------

let begin = null;
let isWanted = false;
let ticking = 0;

/** Deploy the function as its folder is; whoever has something to save first adds a promise to `before`. */
export async function deploy(message = "") {
  const before = [];
  document.dispatchEvent(new CustomEvent("before-deploy", { detail: before }));
  const button = head.querySelector("[data-deploy]");
  button.setAttribute("aria-busy", "true");
  try {
    if ((await Promise.all(before)).includes(false)) return;
    await order("deploy", { message });
  } catch (error) {
    toast(error.message, "error");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** Order something whose log is shown from now on. */
async function order(act, body) {
  isWanted = true;
  await send("POST", `/functions/${name}/${act}`, body);
  open();
}

function open() {
  if (panel.hidden || !find("outcome").hidden) clear();
  panel.hidden = false;
  head.querySelector("[data-last-failure]")?.remove();
  panel.scrollIntoView({ block: "nearest" });
}

function clear() {
  log.replaceChildren();
  find("outcome").hidden = true;
  find("busy").hidden = false;
  find("close").hidden = true;
  find("title").textContent = "Deploying";
  find("title").classList.remove("text-bad");
  find("seconds").textContent = "";
}

watch(`deploy:${name}`, ({ whole, entries }) => {
  // A deploy that had ended before the page was opened is no news.
  if (whole && panel.hidden && !isWanted && entries.at(-1)?.event === "end") return;
  for (const entry of entries) {
    if (entry.event === "begin") start(entry);
    else if (begin) write(entry);
  }
});

// A deploy that somebody else began is shown as well.
function start(entry) {
  begin = entry;
  open();
  clear();
  clearInterval(ticking);
  ticking = setInterval(tick, 1000);
  line(entry);
}

function write(entry) {
  line(entry);
  if (entry.event === "end") finish(entry);
}

function line(entry) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const made = document.createElement("span");
  made.className = "log-line";
  made.dataset.level = entry.level;
  const time = document.createElement("time");
  time.textContent = new Date(entry.time).toLocaleTimeString();
  made.append(time, entry.message);
  log.append(made);
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function tick() {
  if (begin) find("seconds").textContent = `${Math.max(0, Math.round((Date.now() - begin.time) / 1000))} s`;
}

async function finish(entry) {
  clearInterval(ticking);
  const seconds = ((entry.time - begin.time) / 1000).toFixed(1);
  begin = null;
  isWanted = false;
  await refresh();
  const isReady = entry.result === "ready";
  find("busy").hidden = true;
  find("close").hidden = false;
  find("seconds").textContent = `${seconds} s`;
  find("title").classList.toggle("text-bad", !isReady);
  find("title").textContent = isReady ? `Revision ${entry.revision} is ready` : "The deploy failed";
  find("outcome").replaceChildren(...(isReady ? tellAddress() : tellRest()));
  find("outcome").hidden = false;
  log.scrollTop = log.scrollHeight;
  document.dispatchEvent(new CustomEvent("deployed", { detail: entry }));
}

const tellAddress = () =>
  head.dataset.url ? ["It answers at ", link(head.dataset.url)] : ["It waits for its triggers."];
const tellRest = () => [
  Number(head.dataset.revision) ? `Revision ${head.dataset.revision} runs on as before.` : "Nothing of it runs.",
];

/** Bring the dialogs up to date; the head is a live part. */
async function refresh() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const place of ["#scale-dialog", "#delete-dialog"]) {
    document.querySelector(place).replaceWith(fresh.querySelector(place));
  }
  Object.assign(head.dataset, fresh.querySelector("[data-function]").dataset);
}

function link(address) {
  const made = document.createElement("a");
  made.href = made.textContent = address;
  made.className = "mono";
  return made;
}

document.addEventListener("click", (event) => event.target.closest("[data-deploy]") && deploy());
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-deploy-form]")) return;
  event.preventDefault();
  event.target.closest("dialog").close();
  deploy(new FormData(event.target).get("message"));
  event.target.reset();
});
find("close").addEventListener("click", () => (panel.hidden = true));

// --- What else can be done ------------------------------------------------------------------------------------------

const LOGGED = ["roll-back", "switch"];

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-act]");
  if (!button) return;
  const body = JSON.parse(button.dataset.body ?? "{}");
  if (await confirm(button.dataset.confirmText, { yes: button.dataset.yes ?? button.textContent.trim() }))
    act(button.dataset.act, body);
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  const fields = new FormData(form);
  const body =
    form.dataset.act === "scale"
      ? { replicas: Number(fields.get("replicas")) }
      : { keepFolder: fields.has("keepFolder") };
  const submit = form.querySelector(".dialog-foot .btn:last-child");
  submit.setAttribute("aria-busy", "true");
  await act(form.dataset.act, body);
  submit.removeAttribute("aria-busy");
  form.closest("dialog").close();
});

async function act(what, body) {
  try {
    if (LOGGED.includes(what)) return await order(what, body);
    await send("POST", `/functions/${name}/${what}`, body);
    if (what === "delete" && !body.keepFolder) location.assign("/functions");
    else location.reload();
  } catch (error) {
    isWanted = false;
    toast(error.message, "error");
  }
}
