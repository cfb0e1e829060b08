// The editor of an alert: what was typed is not lost unasked.

let isDirty = false;

document.addEventListener("input", ({ target }) => {
  if (target.closest("#alert")) isDirty = true;
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target?.id === "alert" && document.querySelector("#alert[data-saved]")) isDirty = false;
});
// The page goes with the file.
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.pathInfo.requestPath.endsWith("/remove")) isDirty = false;
});
window.addEventListener("beforeunload", (event) => {
  if (isDirty) event.preventDefault();
});
