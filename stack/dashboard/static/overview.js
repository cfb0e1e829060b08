// The overview is a live part; it is shown as a map or as a table.

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-map] [data-show]");
  if (button) showAs(button);
});

function showAs(button) {
  const map = button.closest("[data-map]");
  map.dataset.view = button.dataset.show;
  for (const one of map.querySelectorAll("[data-show]")) one.setAttribute("aria-pressed", String(one === button));
}

if (matchMedia("(max-width: 48rem)").matches) showAs(document.querySelector('[data-show="table"]'));
