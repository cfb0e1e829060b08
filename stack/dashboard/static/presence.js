// Puts what is told of devices that came or went into its places, wherever the page shows them.

for (const source of document.querySelectorAll("[data-presence-source]")) {
  new MutationObserver(() => place(source)).observe(source, { childList: true });
}

function place(source) {
  for (const fresh of source.querySelectorAll("[data-presence]")) {
    const places = document.querySelectorAll(`[data-presence="${CSS.escape(fresh.dataset.presence)}"]`);
    for (const old of places) if (old.dataset.mark !== fresh.dataset.mark) old.replaceWith(fresh.cloneNode(true));
  }
}
