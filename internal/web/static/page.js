"use strict";
// Everything works without this: it counts down, shows changes without a click, and writes moments in the user's zone.
(function () {
  const root = document.documentElement, main = document.getElementById("main");
  const told = document.getElementById("told"), stale = document.getElementById("stale");
  const parts = () => document.querySelectorAll("[data-part]");
  root.classList.add("live");

  // How far this clock is ahead of the server's. The page was made after it was asked for: what is left is shown
  // rather too short than too long.
  const [load] = performance.getEntriesByType("navigation");
  const asked = performance.timeOrigin + (load && load.requestStart || performance.now());
  const now = document.querySelector("[data-now]"), skew = now ? asked - Number(now.dataset.now) : 0;
  const left = (el) => Math.max(0, Math.round((Number(el.dataset.due) + skew - Date.now()) / 1000));

  function span(s) {
    const two = (n) => String(n).padStart(2, "0");
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return (h ? h + ":" + two(m) : m) + ":" + two(s % 60);
  }

  const before = new Map(); // what was left of each message a second ago
  function tick() {
    for (const el of document.querySelectorAll("[data-due]")) {
      const s = left(el), card = el.closest("[data-id]"), id = card ? card.dataset.id : "";
      el.hidden = false;
      el.classList.toggle("soon", s <= 30);
      el.firstElementChild.hidden = s === 0;
      el.lastElementChild.textContent = s > 0 ? span(s) : el.dataset.over;
      if (el.closest("#message")) announce(before.get(id), s);
      before.set(id, s);
    }
  }

  // A screen reader hears the time at 1 minute, 30 and 10 seconds, and not every second.
  function announce(was, s) {
    if (s > 0 && [60, 30, 10].some((at) => was > at && s <= at)) say(told.dataset.left.replace("{0}", s));
  }

  function say(text) {
    told.textContent = text;
  }

  // Moments come in the gateway's zone; the browser knows where its user is.
  const locale = navigator.languages.find((one) => one.startsWith(root.lang)) || root.lang;
  function localize(within) {
    for (const el of within.querySelectorAll("time")) {
      const at = new Date(el.dateTime), today = at.toDateString() === new Date().toDateString();
      el.title = el.textContent;
      el.textContent = at.toLocaleString(locale, { dateStyle: today ? undefined : "medium", timeStyle: "medium" });
    }
  }

  // The parts as the server wrote them: one that comes again as it was stays as it is.
  const source = new Map();
  const states = (within) => new Map([within, ...within.querySelectorAll("[data-state]")].filter((el) => el.dataset.state)
    .map((el) => [el.dataset.id, { state: el.dataset.state, el }]));

  function replace(now, next) {
    if (source.get(now.id) === next.outerHTML) return;
    source.set(now.id, next.outerHTML);
    const focus = now.contains(document.activeElement) ? document.activeElement : null, was = states(now);
    for (const el of now.querySelectorAll("details[open], input:checked")) {
      const same = next.querySelector("#" + CSS.escape(el.id));
      if (same) same[el.tagName === "DETAILS" ? "open" : "checked"] = true;
    }
    for (const el of now.querySelectorAll("input[type=text]")) {
      const same = next.querySelector("#" + CSS.escape(el.id));
      if (same) same.value = el.value;
    }
    now.replaceWith(next);
    localize(next);
    tick();
    if (focus) {
      const same = focus.id && document.getElementById(focus.id);
      const card = focus.closest("[data-id]");
      (same || card && document.getElementById("state-" + card.dataset.id) || next.querySelector("[tabindex]")).focus();
    }
    const news = [];
    for (const [id, { state, el }] of states(next)) {
      if (was.has(id) && was.get(id).state === state || !was.has(id) && next.id === "message") continue;
      news.push(el.querySelector(".subject").textContent + ": " + el.querySelector(".badge, .result").textContent);
    }
    if (news.length) say(news.slice(0, 5).join(". "));
  }

  async function renew() {
    let answer = null, text = "";
    try {
      answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
      text = await answer.text();
    } catch (e) {
      answer = null;
    }
    const away = !answer || answer.status === 429 || answer.status >= 500;
    if (stale.hidden === away) {
      stale.hidden = !away;
      stale.textContent = away ? stale.dataset.text : "";
    }
    if (away) return;
    if (!answer.ok || answer.redirected) return location.reload(); // signed out, or the link has ended
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const now of parts()) {
      const next = page.getElementById(now.id);
      if (next) replace(now, next);
    }
  }

  // A message's page hears of each change; the list looks again. Nobody looks at a hidden tab, and a browser has few
  // connections.
  let events = null, again = 0;
  function listen() {
    const message = document.getElementById("message");
    if (!message || !window.EventSource || events || document.hidden) return;
    events = new EventSource(location.pathname + "/events?seen=" + encodeURIComponent(message.dataset.seen));
    events.addEventListener("hold", renew);
    events.addEventListener("error", () => { // also at the end of its time
      hush();
      clearTimeout(again);
      again = setTimeout(look, 3000);
    });
  }

  function hush() {
    if (events) events.close();
    events = null;
  }

  async function look() {
    await renew();
    listen();
  }

  for (const part of parts()) source.set(part.id, part.outerHTML);
  localize(main);
  tick();
  setInterval(tick, 1000);
  if (!parts().length) return;
  listen();
  const every = (ms, marked) => setInterval(() => {
    if (!document.hidden && document.querySelector(marked)) renew();
  }, ms);
  every(10000, "[data-often]");
  every(2000, "[data-soon]");
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : look()));
  addEventListener("pageshow", (e) => e.persisted && look());
  addEventListener("pagehide", hush);
})();
