// The triggers as a form or as YAML: the server says what is wrong as soon as a field is left; nothing is lost unasked.

const CHECK_MILLISECONDS = 600;

const form = () => document.getElementById("triggers");
const isDirty = () => form().dataset.changed === "yes" || typed;
let typed = false;
let editor = null;
let asked = 0;
let preparing = null;

function noteChange() {
  typed = true;
  form().querySelector("[data-dirty]").hidden = false;
}

/** Save; resolves to whether it went well. */
async function save() {
  const [source, values] = [form(), { action: "save" }];
  await htmx.ajax("POST", source.getAttribute("action"), { source, target: source, swap: "outerHTML", values });
  // What was refused, or did not arrive, has left the form as it was.
  return form() !== source && form().dataset.changed === "no";
}

/** Save from within the editor, which is another one then: who goes on writing is where he was. */
async function saveInside() {
  const place = editor.place();
  await save();
  await preparing;
  editor.goBack(place);
}

/** Open the editor where there is YAML, and mark what is wrong. */
async function prepare() {
  const host = form().querySelector("[data-editor]");
  if (host?.hidden) {
    const area = form().querySelector("textarea[name=text]");
    const onChange = (text) => {
      area.value = text;
      noteChange();
      clearTimeout(asked);
      asked = setTimeout(() => area.dispatchEvent(new Event("change", { bubbles: true })), CHECK_MILLISECONDS);
    };
    const { openEditor } = await import("./editor.js");
    host.hidden = false;
    editor = openEditor(host, { text: area.value, language: "yaml", label: "function.yaml", onChange, onSave: saveInside });
  }
  if (host) editor.setProblems(JSON.parse(form().dataset.marks));
}

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target?.id !== "triggers") return;
  // The form itself is another by now, so htmx names the element that it was in.
  if (detail.successful && detail.requestConfig.elt.id === "triggers") typed = false;
  preparing = prepare();
});
document.addEventListener("input", ({ target }) => target.closest("#triggers") && noteChange());
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-save-deploy]")) document.querySelector("#function-head [data-saves-first]").click();
});
document.addEventListener("before-deploy", ({ detail }) => isDirty() && detail.push(save()));
window.addEventListener("beforeunload", (event) => isDirty() && event.preventDefault());
preparing = prepare();
