// Dead letters: one is shown in a dialog; new ones are told of, and shown when asked for, so that no row moves under a hand.

const dialog = document.getElementById("letter");
const news = document.querySelector("[data-news]");
let known = null;

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "letter-body" && !dialog.open) dialog.showModal();
  if (event.detail.target?.id === "letters") {
    known = null;
    news.hidden = true;
    if (event.detail.requestConfig.verb === "post") dialog.close();
  }
});

document.addEventListener("htmx:sseMessage", (event) => {
  const dead = event.target.querySelector("[data-dead]");
  if (!dead) return;
  const count = Number(dead.dataset.dead);
  if (known !== null && count > known) news.hidden = false;
  known = count;
});

news.querySelector("[data-refresh]").addEventListener("click", () => {
  htmx.ajax("GET", `${location.pathname}/list`, {
    target: "#letters",
    values: { match: document.getElementById("letter-match").value },
  });
});
