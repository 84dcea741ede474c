// Refreshes the page in place: the server renders it again, and what changed is put in. Without this the page is the
// same, only still.
"use strict";
(() => {
  const every = 2000;
  // What takes all flags to tell is asked for at each so many refreshes only.
  const wholeEach = 30;
  let failed = 0;
  let refreshed = 0;

  const busy = () => {
    const active = document.activeElement;
    const selection = document.getSelection();
    return document.hidden || (active && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName)) || (selection && !selection.isCollapsed);
  };

  const put = (id, fresh) => {
    const here = document.getElementById(id);
    const there = fresh.getElementById(id);
    if (here && there && here.innerHTML !== there.innerHTML) here.replaceChildren(...there.childNodes);
    return Boolean(there);
  };

  // What was left out of the fresh page stays as it is.
  const keep = (id, fresh) => {
    const here = document.getElementById(id);
    const there = fresh.getElementById(id);
    if (here && there && !there.hasChildNodes()) there.replaceWith(here.cloneNode(true));
  };

  const lost = () => {
    const state = document.getElementById("state");
    if (state && failed > 1) state.textContent = "no answer from the server, trying again…";
  };

  const refresh = async () => {
    if (!busy()) {
      try {
        refreshed += 1;
        const headers = { Accept: "text/html", ...(refreshed % wholeEach ? { "X-Refresh": "1" } : {}) };
        const answer = await fetch(location.href, { headers, credentials: "same-origin" });
        if (answer.redirected) return location.assign(answer.url);
        if (!answer.ok) throw new Error(String(answer.status));
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        keep("verdict", fresh);
        if (!put("live", fresh)) throw new Error("no page");
        put("state", fresh);
        failed = 0;
      } catch {
        failed += 1;
        lost();
      }
    }
    setTimeout(refresh, every * Math.min(1 + failed, 15));
  };

  setTimeout(refresh, every);
})();
