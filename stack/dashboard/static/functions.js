// The functions are found as one types; all else of their list is a live part.

const search = document.querySelector("[data-search]");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [...document.querySelectorAll("[data-row]")];
  for (const row of all) {
    const text = `${row.dataset.words} ${row.querySelector(".badge").textContent}`.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = words.length > 0 && !group.querySelector("[data-row]:not([hidden])");
  }
  document.querySelector("[data-toolbar]").hidden = !all.length;
  const found = all.filter((row) => !row.hidden).length;
  document.querySelector("[data-found]").textContent = words.length ? `${found} of ${all.length}` : "";
}

search.addEventListener("input", filter);
for (const event of ["htmx:sseMessage", "htmx:load"]) document.addEventListener(event, filter);
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (target === search && key === "Escape") {
    search.value = "";
    filter();
    search.blur();
  }
  if (key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.closest("input, textarea, select, dialog")) return;
  event.preventDefault();
  search.focus();
});
