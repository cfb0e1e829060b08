// The files of a function: opened in editors, checked while they are written, saved without losing what others wrote.

import { confirm, send, toast } from "./app.js";
import { openDiff, openEditor } from "./editor.js";

const CHECK_MILLISECONDS = 500;
const CONFIGURATION = "function.yaml";

const root = document.querySelector("[data-code]");
const name = document.querySelector("[data-function]").dataset.function;
const find = (part) => root.querySelector(`[data-${part}]`);
const base = `/functions/${name}`;
const fileAddress = (path) => `${base}/file?path=${encodeURIComponent(path)}`;
const languageOf = (path) => (path.endsWith(".py") ? "python" : /\.ya?ml$/.test(path) ? "yaml" : "text");

// What is known of the folder; of each open file {host, editor, text, digest, problems}: as it was read, and what is wrong.
let files = [];
let folderProblems = [];
let current = "";
const opened = new Map();

const isChanged = (path) => opened.has(path) && opened.get(path).editor.text() !== opened.get(path).text;
const changed = () => [...opened.keys()].filter(isChanged);

// --- Requests -------------------------------------------------------------------------------------------------------

async function request(method, address, body) {
  const token = document.querySelector('meta[name="csrf-token"]').content;
  const answer = await fetch(address, { method, body, headers: { "X-CSRF-Token": token, Accept: "application/json" } });
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  throw Object.assign(new Error(content.error ?? `The dashboard answered ${answer.status}.`), {
    status: answer.status,
  });
}

const putFile = (path, body, known) => request("PUT", `${fileAddress(path)}&known=${known}`, body);

/** Do something, and say in the corner why it could not be done; returns whether it was. */
async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
}

// --- The list -------------------------------------------------------------------------------------------------------

function take(listing) {
  files = listing.files;
  folderProblems = listing.problems;
  for (const path of opened.keys()) if (!files.some((file) => file.path === path) && !isChanged(path)) forget(path);
  show();
}

function show() {
  showFiles();
  showProblems();
}

function showFiles() {
  find("files").replaceChildren(...files.map(listItem));
  const unsaved = changed();
  find("save").disabled = !unsaved.length;
  find("save").textContent = unsaved.length > 1 ? `Save ${unsaved.length} files` : "Save";
  find("note").textContent = isChanged(current) ? "not saved" : "";
  document.querySelector("[data-deploy-text]").textContent = unsaved.length ? "Save & deploy" : "Deploy";
}

function listItem(file) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = file.path;
  button.dataset.kind = file.is_text ? "text" : "binary";
  if (file.path === current) button.setAttribute("aria-current", "true");
  if (isChanged(file.path)) button.append(mark("●", "not saved", ""));
  else if (problemsOf(file.path).length) button.append(mark("!", "has problems", "wrong"));
  button.addEventListener("click", () => attempt(() => openFile(file.path)));
  item.append(button);
  return item;
}

function mark(sign, meaning, kind) {
  const made = document.createElement("span");
  made.className = `mark ${kind}`;
  made.textContent = sign;
  made.title = meaning;
  made.setAttribute("aria-label", meaning);
  made.setAttribute("role", "img");
  return made;
}

// --- Open files -----------------------------------------------------------------------------------------------------

async function openFile(path, { focuses = true } = {}) {
  const file = files.find((one) => one.path === path);
  if (!file) return;
  if (file.is_text && !opened.has(path)) await load(path);
  current = path;
  find("path").textContent = path;
  find("download").href = `${fileAddress(path)}&download`;
  for (const host of find("editors").children) host.hidden = host.dataset.path !== path;
  find("editors").querySelector("[data-binary]")?.remove();
  if (!file.is_text) find("editors").append(binaryNote(file));
  show();
  if (focuses) opened.get(path)?.editor.focus();
}

async function load(path) {
  const { text, digest } = await request("GET", fileAddress(path));
  const host = document.createElement("div");
  host.className = "editor-host";
  host.dataset.path = path;
  find("editors").append(host);
  const editor = openEditor(host, {
    text,
    language: languageOf(path),
    label: path,
    onChange: () => note(path),
    onSave: saveAll,
  });
  // Line ends of other systems become plain ones in the editor; that alone is no change.
  opened.set(path, { host, editor, text: editor.text(), digest, problems: [], timer: 0 });
  await check(path);
}

function binaryNote(file) {
  const made = document.createElement("div");
  made.className = "empty";
  made.dataset.binary = made.dataset.path = file.path;
  const words = document.createElement("p");
  words.textContent = `${file.path} is no text that can be edited here (${file.size} bytes). The menu above downloads it.`;
  made.append(words);
  return made;
}

function forget(path) {
  opened.get(path)?.host.remove();
  opened.delete(path);
}

function note(path) {
  const file = opened.get(path);
  if (!file) return;
  clearTimeout(file.timer);
  file.timer = setTimeout(() => check(path), CHECK_MILLISECONDS);
  showFiles();
}

// --- Problems -------------------------------------------------------------------------------------------------------

async function check(path) {
  const file = opened.get(path);
  if (!file || !(path === CONFIGURATION || path.endsWith(".py"))) return;
  try {
    file.problems = await send("POST", `${base}/check`, { path, text: file.editor.text() });
  } catch {
    // The dashboard is away; what is written is checked when it is saved.
    return;
  }
  show();
}

/** What the text alone tells; without that, and unchanged, what the folder as a whole tells. */
function problemsOf(path) {
  const own = opened.get(path)?.problems ?? [];
  return own.length || path !== CONFIGURATION || isChanged(path) ? own : folderProblems;
}

function showProblems() {
  for (const [path, { editor }] of opened) {
    editor.setProblems(
      problemsOf(path).map(({ line, column, path: key, text }) => ({ line, column, message: join(key, text) })),
    );
  }
  const shown = [...new Set([current, CONFIGURATION])].flatMap((path) =>
    problemsOf(path).map((problem) => ({ ...problem, file: path })),
  );
  const list = document.createElement("ul");
  list.className = "plain";
  list.append(...shown.map(problemItem));
  find("problems").replaceChildren(list);
  find("problems").hidden = !shown.length;
}

const join = (key, text) => (key ? `${key}: ${text}` : text);

function problemItem({ file, path, line, text }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  // What is wrong with the folder as a whole names it itself.
  button.textContent = text.startsWith("functions/") ? text : `${file}:${line}  ${join(path, text)}`;
  button.addEventListener("click", () => attempt(() => openAt(file, line)));
  item.append(button);
  return item;
}

async function openAt(path, line) {
  await openFile(path);
  opened.get(path)?.editor.goTo(line);
}

// --- Saving ---------------------------------------------------------------------------------------------------------

/** Save every file that was changed; returns whether all are. */
async function saveAll() {
  for (const path of changed()) if (!(await save(path))) return false;
  return true;
}

async function save(path) {
  const file = opened.get(path);
  const text = file.editor.text();
  try {
    const answer = await putFile(path, text, file.digest);
    Object.assign(file, { text, digest: answer.digest });
    take(answer);
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
  const theirs = await request("GET", fileAddress(path)).catch(() => ({ text: "", digest: "" }));
  dialog.querySelector("[data-conflict-path]").textContent = path;
  dialog.querySelector("[data-take-theirs]").onclick = () => {
    replace(path, theirs);
    dialog.close();
  };
  dialog.querySelector("[data-keep-mine]").onclick = async () => {
    opened.get(path).digest = theirs.digest;
    dialog.close();
    await save(path);
  };
  dialog.showModal();
  const diff = openDiff(dialog.querySelector("[data-conflict-diff]"), {
    before: theirs.text,
    after: mine,
    language: languageOf(path),
    labels: ["In the folder", "Yours"],
  });
  dialog.addEventListener("close", () => diff.close(), { once: true });
}

function replace(path, { text, digest }) {
  const file = opened.get(path);
  file.editor.setText(text);
  Object.assign(file, { text: file.editor.text(), digest });
  show();
}

/** Look whether somebody else changed files meanwhile: those that are not being changed here are read anew. */
async function look() {
  take(await request("GET", `${base}/files`));
  for (const file of files) {
    const known = opened.get(file.path);
    if (!known || known.digest === file.digest) continue;
    if (isChanged(file.path)) toast(`${file.path} was changed by somebody else; saving will show both.`, "warn");
    else replace(file.path, await request("GET", fileAddress(file.path)));
  }
}

// --- New, rename, delete, upload ------------------------------------------------------------------------------------

async function create(path, body = "") {
  take(await putFile(path, body, ""));
  await openFile(path);
}

async function rename(path, target) {
  if (isChanged(path) && !(await save(path))) return;
  const listing = await send("POST", `${base}/rename`, { path, new: target });
  forget(path);
  take(listing);
  await openFile(target);
}

async function remove(path) {
  if (!(await confirm(`Delete ${path} from the function's folder?`, { yes: "Delete", danger: true }))) return;
  const listing = await request("DELETE", fileAddress(path));
  forget(path);
  take(listing);
  if (files.length) await openFile(files[0].path);
}

async function upload(chosen) {
  for (const file of chosen) {
    const there = files.find((one) => one.path === file.name);
    if (there && !(await confirm(`${file.name} is there already. Write over it?`, { yes: "Write over" }))) continue;
    take(await putFile(file.name, file, there?.digest ?? ""));
    forget(file.name);
  }
  if (chosen.length) await openFile(chosen[0].name);
}

function onSubmit(selector, work) {
  document.querySelector(selector).addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await attempt(() => work(new FormData(form).get("path").trim()))) {
      form.closest("dialog").close();
      form.reset();
    }
  });
}

if (root) {
  onSubmit("[data-new-file]", (path) => create(path));
  onSubmit("[data-rename-form]", (path) => rename(current, path));
  find("save").addEventListener("click", saveAll);
  find("remove").addEventListener("click", () => attempt(() => remove(current)));
  find("rename").addEventListener("click", () => {
    document.getElementById("rename-path").value = current;
    document.getElementById("rename-file").showModal();
  });
  find("upload").addEventListener("click", () => find("upload-input").click());
  find("upload-input").addEventListener("change", async (event) => {
    await attempt(() => upload([...event.target.files]));
    event.target.value = "";
  });
  document.addEventListener("before-deploy", (event) => event.detail.push(saveAll()));
  document.addEventListener("deployed", () => attempt(look));
  window.addEventListener("focus", () => attempt(look));
  window.addEventListener("beforeunload", (event) => changed().length && event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    saveAll();
  });
  await attempt(async () => {
    take(await request("GET", `${base}/files`));
    const first = [root.dataset.first, "main.py", CONFIGURATION].find((path) =>
      files.some((file) => file.path === path),
    );
    await openFile(first ?? files[0]?.path, { focuses: false });
  });
}
