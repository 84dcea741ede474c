// Makes the stale page quicker to use: evidence opens without leaving the place in the table, Escape closes it, the ticket
// is copied by a button. Without this each is a link, a page and a text to select.
"use strict";
(() => {
  const drawer = () => document.getElementById("evidence");

  const open = async (href, push) => {
    try {
      const answer = await fetch(href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return location.assign(href);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const there = fresh.getElementById("live");
      if (!there) return location.assign(href);
      document.getElementById("live").replaceChildren(...there.childNodes);
      if (push) history.pushState(null, "", href);
      const shown = drawer();
      if (shown) shown.focus({ preventScroll: true });
    } catch {
      location.assign(href);
    }
  };

  const close = () => {
    const link = document.querySelector("#evidence .close");
    if (!link) return;
    const flag = drawer().dataset.flag;
    open(link.href, true).then(() => {
      const row = [...document.querySelectorAll("#stale tr[data-flag]")].find((row) => row.dataset.flag === flag);
      if (row) row.querySelector("a.key").focus({ preventScroll: true });
    });
  };

  const copy = async (button) => {
    const area = document.getElementById(button.dataset.copies);
    let done = false;
    try {
      await navigator.clipboard.writeText(area.value);
      done = true;
    } catch {
      area.select();
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Press Ctrl+C";
  };

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const button = event.target.closest("button[data-copies]");
    if (button) return void copy(button);
    const link = event.target.closest("#stale a.key, #evidence .close");
    if (!link) return;
    event.preventDefault();
    if (link.classList.contains("close")) close();
    else open(link.href, true);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drawer()) close();
  });

  window.addEventListener("popstate", () => open(location.href, false));
})();
