// The files of a function: opened in editors, checked while they are written, saved without losing what others wrote.
// The list of files, and what is wrong with each, come from the server as HTML.

import { send, toast } from "./app.js";

// It is large: what the page can do without it does not wait.
const editors = import("./editor.js");

const CHECK_MILLISECONDS = 500;
const CONFIGURATION = "function.yaml";

const root = document.querySelector("[data-code]");
const list = document.getElementById("files");
const { base, first } = root.dataset;
const find = (part) => root.querySelector(`[data-${part}]`);
const addressOf = (path) => `${base}/file?path=${encodeURIComponent(path)}`;
const LANGUAGES = { python: /\.py$/, javascript: /\.[cm]?js$/, json: /\.json$/, yaml: /\.ya?ml$/ };
const languageOf = (path) => Object.keys(LANGUAGES).find((name) => LANGUAGES[name].test(path)) ?? "text";

// Of each open file {host, editor, text, digest, timer}: the text as it was read.
const opened = new Map();
let current = "";

const rows = () => [...list.querySelectorAll("[data-path]")];
const rowOf = (path) => rows().find((row) => row.dataset.path === path);
const isChanged = (path) => opened.has(path) && opened.get(path).editor.text() !== opened.get(path).text;
const changed = () => [...opened.keys()].filter(isChanged);

// --- Open files -----------------------------------------------------------------------------------------------------

async function open(path, { focuses = true } = {}) {
  const row = rowOf(path);
  if (!row) return;
  const isText = row.dataset.kind === "text";
  current = path;
  if (isText && !opened.has(path)) await load(path);
  if (current !== path) return;
  find("current").textContent = path;
  find("download").href = `${addressOf(path)}&download`;
  find("remove").setAttribute("hx-confirm", `Delete ${path} from the function's folder?`);
  // As its default, too, which it has again once the form was sent.
  for (const id of ["current-path", "rename-path"]) {
    Object.assign(document.getElementById(id), { defaultValue: path, value: path });
  }
  for (const host of find("editors").children) host.hidden = host.dataset.path !== path;
  find("binary").hidden = isText;
  find("binary").textContent =
    `${path} is no text that can be edited here (${row.dataset.size} bytes). The menu above downloads it.`;
  paint();
  if (focuses) opened.get(path)?.editor.focus();
}

async function load(path) {
  const [{ text, digest }, { openEditor }] = await Promise.all([read(path), editors]);
  // Somebody has asked for it twice.
  if (opened.has(path)) return;
  const host = document.createElement("div");
  host.className = "editor-host";
  host.dataset.path = path;
  find("editors").append(host);
  const onChange = () => {
    const file = opened.get(path);
    clearTimeout(file.timer);
    file.timer = setTimeout(() => check(path), CHECK_MILLISECONDS);
    paint();
  };
  const editor = openEditor(host, { text, language: languageOf(path), label: path, onChange, onSave: saveAll });
  // Line ends of other systems become plain ones in the editor; that alone is no change.
  opened.set(path, { host, editor, text: editor.text(), digest, timer: 0 });
  await check(path);
}

const read = async (path) => (await send("GET", addressOf(path))).json();

function replace(path, { text, digest }) {
  const file = opened.get(path);
  file.editor.setText(text);
  Object.assign(file, { text: file.editor.text(), digest });
}

/** Show which files are open, changed, or wrong. */
function paint() {
  for (const row of rows()) {
    const { path } = row.dataset;
    row.setAttribute("aria-current", path === current);
    row.dataset.mark = isChanged(path) ? "changed" : problemsOf(path).childElementCount ? "wrong" : "";
  }
  for (const one of root.querySelectorAll("[data-problems]")) {
    one.hidden = ![current, CONFIGURATION].includes(one.dataset.problems);
  }
  const unsaved = changed();
  find("save").disabled = !unsaved.length;
  find("save").textContent = unsaved.length > 1 ? `Save ${unsaved.length} files` : "Save";
  find("note").textContent = isChanged(current) ? "not saved" : "";
  document.querySelector("[data-deploy-text]").textContent = unsaved.length ? "Save & deploy" : "Deploy";
}

function forget(path) {
  opened.get(path)?.host.remove();
  opened.delete(path);
  problemsOf(path).replaceChildren();
}

/** Follow the list: files that others have changed are read again, unless they are being changed here, too. */
async function sync() {
  for (const [path, file] of [...opened]) {
    const row = rowOf(path);
    if (row?.dataset.digest === file.digest) continue;
    // Somebody may write here while it is being read.
    const fresh = row && !isChanged(path) && (await read(path));
    if (row && isChanged(path)) toast(`${path} was changed by somebody else; saving will show both.`, "warn");
    else if (row) replace(path, fresh);
    else if (!isChanged(path)) forget(path);
  }
  if (!rowOf(current) && !opened.has(current)) await open(rows()[0]?.dataset.path);
  paint();
  await check(CONFIGURATION);
}

// --- Problems -------------------------------------------------------------------------------------------------------

function problemsOf(path) {
  const lists = [...root.querySelectorAll("[data-problems]")];
  const known = lists.find((one) => one.dataset.problems === path);
  if (known) return known;
  const made = lists[0].cloneNode();
  made.dataset.problems = path;
  lists[0].before(made);
  return made;
}

// What was asked last of each file.
const asked = new Map();

async function check(path) {
  const editor = opened.get(path)?.editor;
  const draft = new URLSearchParams(editor ? { path, text: editor.text() } : { path });
  asked.set(path, draft);
  // Without the dashboard, what is written is checked when it is saved.
  const answer = await send("POST", `${base}/check`, draft).catch(() => null);
  const found = await answer?.text();
  // Of two that are under way the older may be answered last, and knows nothing of what was written since.
  if (found === undefined || asked.get(path) !== draft) return;
  problemsOf(path).innerHTML = found;
  const problems = [...problemsOf(path).querySelectorAll("button")].map((one) => one.dataset);
  editor?.setProblems(
    problems.map(({ line, column, message }) => ({ line: Number(line), column: Number(column), message })),
  );
  paint();
}

// --- Saving ---------------------------------------------------------------------------------------------------------

// What is being saved, which the next time waits for: else its file would be another than the one that was read.
let saving = Promise.resolve();

/** Save every file that was changed; returns whether all are. */
const saveAll = () => (saving = saving.then(saveChanged, saveChanged));

async function saveChanged() {
  if (document.getElementById("conflict").open) return false;
  for (const path of changed()) if (!(await save(path))) return false;
  return true;
}

async function save(path) {
  const file = opened.get(path);
  const text = file.editor.text();
  try {
    const answer = await send("PUT", `${addressOf(path)}&known=${file.digest}`, text);
    list.innerHTML = await answer.text();
    Object.assign(file, { text, digest: rowOf(path).dataset.digest });
    await sync();
    return true;
  } catch (error) {
    if (error.status === 409) await settle(path, text);
    else toast(error.message, "error");
    return false;
  }
}

/** Let the user choose between what is in the folder and what he has written. */
async function settle(path, mine) {
  const dialog = document.getElementById("conflict");
  const theirs = await read(path).catch(() => ({ text: "", digest: "" }));
  dialog.querySelector("[data-conflict-path]").textContent = path;
  dialog.querySelector("[data-take-theirs]").onclick = () => {
    replace(path, theirs);
    dialog.close();
  };
  dialog.querySelector("[data-keep-mine]").onclick = () => {
    opened.get(path).digest = theirs.digest;
    dialog.close();
    saveAll();
  };
  dialog.showModal();
  const labels = ["In the folder", "Yours"];
  const texts = { before: theirs.text, after: mine, language: languageOf(path), labels };
  const { openDiff } = await editors;
  const diff = openDiff(dialog.querySelector("[data-conflict-diff]"), texts);
  dialog.addEventListener("close", () => diff.close(), { once: true });
}

// --- What somebody does ---------------------------------------------------------------------------------------------

const tell = (error) => toast(error.message, "error");

root.addEventListener("click", async ({ target }) => {
  const { path, file, line } = target.closest("button")?.dataset ?? {};
  if (!path && !file) return;
  await open(path ?? file).catch(tell);
  if (line) opened.get(file)?.editor.goTo(Number(line));
});
find("save").addEventListener("click", saveAll);
document.addEventListener("open-file", ({ detail }) => open(detail.path).catch(tell));
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const { elt, verb, parameters } = detail.requestConfig;
  // What was chosen is needed again while it is asked whether files are written over.
  if (elt.id === "upload" && !detail.successful) elt.reset();
  if (detail.target !== list || !detail.successful) return;
  if (elt !== list) document.getElementById("upload").reset();
  // Another may have been opened meanwhile.
  if (verb === "delete") forget(parameters.path);
  sync().catch(tell);
});
document.getElementById("dialog").addEventListener("close", () => document.getElementById("upload").reset());
document.addEventListener("before-deploy", ({ detail }) => detail.push(saveAll()));
window.addEventListener("beforeunload", (event) => changed().length && event.preventDefault());
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  saveAll();
});
open(first, { focuses: false }).catch(tell);
check(CONFIGURATION);
