"use strict";
// Everything works without this: it counts down, and shows changes without a click.
(function () {
  const due = document.querySelectorAll("[data-due]");
  const skew = due.length ? Date.now() - Number(due[0].dataset.now) : 0;
  const left = (el) => Math.max(0, Math.round((Number(el.dataset.due) + skew - Date.now()) / 1000));
  const told = new Set();

  function span(s) {
    const two = (n) => String(n).padStart(2, "0");
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return (h ? h + ":" + two(m) : m) + ":" + two(s % 60);
  }

  function tick() {
    const clock = document.getElementById("clock");
    for (const el of document.querySelectorAll("[data-due]")) {
      const s = left(el);
      if (clock && el.closest("#message")) {
        clock.hidden = false;
        clock.firstElementChild.textContent = s > 0 ? clock.dataset.in : "";
        clock.lastElementChild.textContent = s > 0 ? span(s) : clock.dataset.over;
        announce(s);
      } else {
        let note = el.querySelector(".left");
        if (!note) {
          note = document.createElement("span");
          note.className = "left";
          el.append(" ", note);
        }
        note.textContent = s > 0 ? "(" + span(s) + ")" : "";
      }
    }
  }

  // A screen reader hears the time at 1 minute, 30 and 10 seconds, and not every second.
  function announce(s) {
    const to = document.getElementById("announce");
    for (const at of [60, 30, 10]) {
      if (to && s <= at && s > at - 5 && !told.has(at)) {
        told.add(at);
        to.textContent = to.dataset.left.replace("{0}", at);
      }
    }
  }

  async function renew() {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["message", "timeline-part"]) {
      const now = document.getElementById(id), next = page.getElementById(id);
      if (!now || !next || now.contains(document.activeElement) && document.activeElement.type === "checkbox") continue;
      now.replaceWith(next);
    }
    const state = document.getElementById("message");
    const said = document.getElementById("announce-change");
    if (state && said && said.dataset.state !== state.dataset.state) {
      said.dataset.state = state.dataset.state;
      said.textContent = state.querySelector(".badge").textContent;
    }
    told.clear();
    tick();
  }

  tick();
  setInterval(tick, 1000);
  const message = document.getElementById("message");
  if (message && window.EventSource) {
    const events = new EventSource(location.pathname + "/events?seen=" + encodeURIComponent(message.dataset.seen));
    events.addEventListener("hold", renew);
  }
})();
