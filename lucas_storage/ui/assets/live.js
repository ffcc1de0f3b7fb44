"use strict";
// Reads the page again every two seconds where it says that it changes, and puts what is new into its place. Nothing of
// the answer runs: scripts in a parsed document never do, and the policy of the page allows this file alone.
(() => {
  const PAUSE = 2000;
  const main = document.querySelector("main");
  const status = document.getElementById("status");
  const pause = document.getElementById("pause");
  let stopped = false;

  const isLive = () => main.hasAttribute("data-live");
  const isBusy = () => main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");

  function place(next) {
    if (next.innerHTML === main.dataset.shown) return;
    main.dataset.shown = next.innerHTML;
    const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const open = [...main.querySelectorAll("details")].map((each) => each.open);
    const scrolls = [...main.querySelectorAll(".wide, .graph")].map((each) => [each.scrollLeft, each.scrollTop]);
    main.replaceChildren(...next.childNodes);
    main.querySelectorAll("details").forEach((each, number) => { each.open = open[number] ?? each.open; });
    main.querySelectorAll(".wide, .graph").forEach((each, number) => {
      if (scrolls[number]) [each.scrollLeft, each.scrollTop] = scrolls[number];
    });
    if (focused !== null) {
      [...main.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus({ preventScroll: true });
    }
  }

  async function again() {
    if (!stopped && !isBusy() && document.visibilityState === "visible") {
      try {
        const answer = await fetch(location.href, { redirect: "error" });
        const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
        const next = parsed.querySelector("main");
        status.textContent = "";
        if (next) {
          document.title = parsed.title;
          place(next);
          main.toggleAttribute("data-live", next.hasAttribute("data-live"));
        }
      } catch {
        status.textContent = status.dataset.gone;
      }
    }
    pause.hidden = !isLive();
    if (isLive()) setTimeout(again, PAUSE);
  }

  pause.addEventListener("click", () => {
    stopped = !stopped;
    pause.setAttribute("aria-pressed", String(stopped));
  });
  if (isLive()) {
    pause.hidden = false;
    main.dataset.shown = main.innerHTML;
    setTimeout(again, PAUSE);
  }
})();
