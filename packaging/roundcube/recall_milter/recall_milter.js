/**
 * The bar of Recall Milter: how long a message still waits, Undo, and Send now.
 *
 * What it shows comes from the server, in env.recall_milter at first and by commands later; the countdown runs here.
 * All texts are set as text, never as HTML.
 */
(function () {
  'use strict';

  const look = 15000; // ms between two questions while something waits
  const soon = 3000; // ms, while the end of a wait is near, or a message is not known yet
  const shown = 3; // messages in the bar

  let messages = []; // with `end`: ms of performance.now() at which it leaves
  let pending = false;
  let away = false;
  let timer = null;
  let said = {}; // Message-ID: what was announced last
  const tabs = 'BroadcastChannel' in window ? new BroadcastChannel('recall_milter') : null;

  const text = (label, vars) => rcmail.gettext(label, 'recall_milter', vars);

  /** Takes what the server knows. */
  function learn(known) {
    const now = performance.now();
    messages = known.messages.map((m) => Object.assign(m, { end: now + (m.left || 0) * 1000 }));
    pending = known.pending;
    away = known.away;
    render();
    plan();
  }

  /** Asks the server again, the sooner the more is about to change. */
  function plan() {
    clearTimeout(timer);
    const now = performance.now();
    const open = messages.filter((m) => m.state === 'waiting' || m.state === 'leaving' || m.outcome === 'asked');
    const ended = messages.length > open.length;
    if (!open.length && !pending && !ended) {
      return;
    }
    const near = pending || open.some((m) => m.state === 'leaving' || (m.state === 'waiting' && m.end - now < look));
    timer = setTimeout(ask, near && !away ? soon : look);
  }

  function ask() {
    if (document.hidden) {
      return; // the tab asks when it is seen again
    }
    rcmail.http_request('plugin.recall_milter.status', {}, false);
  }

  function act(name, id, button) {
    bar().querySelectorAll('button').forEach((b) => { b.disabled = true; });
    button.classList.add('busy');
    const lock = rcmail.set_busy(true, 'loading');
    rcmail.http_post('plugin.recall_milter.act', { _act: name, _message_id: id }, lock);
  }

  function done(answer) {
    if (tabs) {
      tabs.postMessage('changed');
    }
    if (answer.url) {
      rcmail.redirect(answer.url);
    }
    const outcome = answer.outcome;
    if (['unknown', 'forbidden', 'not-found'].includes(outcome)) {
      rcmail.display_message(text(outcome), outcome === 'unknown' ? 'warning' : 'error', 10000);
    }
    const row = rowOf(answer.id);
    const next = row && (row.querySelector('button') || row);
    if (next && !answer.url) {
      next.focus();
    }
  }

  /** Returns a time span as 1:58 or 2:01:30. */
  function clock(ms) {
    const s = Math.max(0, Math.ceil(ms / 1000));
    const two = (n) => String(n).padStart(2, '0');
    const h = Math.floor(s / 3600);
    return (h ? h + ':' + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ':' + two(s % 60);
  }

  function bar() {
    return document.getElementById('recall-milter');
  }

  function rowOf(id) {
    return [...bar().querySelectorAll('.recall-row')].find((row) => row.dataset.id === id);
  }

  function element(tag, className, content) {
    const e = document.createElement(tag);
    e.className = className;
    if (content) {
      e.textContent = content;
    }
    return e;
  }

  /** Says in words how a message is; empty: nothing is to be said. */
  function words(m) {
    const has = (results) => m.recipients.some((r) => results.includes(r.result));
    switch (m.state) {
      case 'waiting':
        if (m.end <= performance.now()) {
          return away ? '' : text('leaving');
        }
        return text(has(['sent', 'recalled']) ? 'waiting-rest' : 'waiting');
      case 'leaving':
        return text('leaving');
      case 'recalled':
        return text('recalled');
      case 'partly':
        return text(m.outcome === 'asked' || m.outcome === 'nobody' ? m.outcome : 'partly');
      default:
        return text({ 'too-late': 'too-late', asked: 'asked', nobody: 'nobody' }[m.outcome] || 'left');
    }
  }

  function buttons(m) {
    if (m.state === 'waiting') {
      return m.end > performance.now() ? ['recall', 'release'] : [];
    }
    if (m.state === 'leaving') {
      return [];
    }
    const late = m.outcome === 'too-late' || m.outcome === 'partly';
    return late ? ['ask', 'dismiss'] : (m.outcome ? ['dismiss'] : []);
  }

  function button(m, name) {
    const b = element('button', 'btn btn-sm ' + (name === 'dismiss' ? 'btn-secondary' : 'btn-primary'), text('do-' + name));
    b.type = 'button';
    b.dataset.act = name;
    b.addEventListener('click', () => act(name, m.id, b));
    return b;
  }

  function results(m) {
    const list = element('ul', 'recall-results');
    m.recipients.slice(0, 5).forEach((r) => {
      list.append(element('li', '', r.address + ': ' + text('result-' + r.result.replace(' ', '-'))));
    });
    if (m.recipients.length > 5) {
      list.append(element('li', '', text('and-more', { n: m.recipients.length - 5 })));
    }
    return list;
  }

  function row(m) {
    const r = element('div', 'recall-row recall-' + m.state);
    r.dataset.id = m.id;
    r.tabIndex = -1;
    const what = element('span', 'recall-text', words(m));
    if (m.state === 'waiting' && m.end > performance.now()) {
      what.append(' ', element('span', 'recall-left', clock(m.end - performance.now())));
    }
    r.append(what, element('span', 'recall-subject', m.subject || text('no-subject')));
    const acts = element('span', 'recall-acts');
    buttons(m).forEach((name) => acts.append(button(m, name)));
    r.append(acts);
    if (m.state === 'partly' || m.outcome === 'asked') {
      r.append(results(m));
    }
    return r;
  }

  /** Shows the messages. What has the focus keeps it. */
  function render() {
    const all = messages.filter((m) => words(m)).slice(0, shown);
    const focused = document.activeElement && bar().contains(document.activeElement) ? document.activeElement : null;
    const where = focused && { id: focused.closest('.recall-row').dataset.id, act: focused.dataset.act };
    bar().replaceChildren(...all.map(row));
    bar().hidden = !all.length;
    document.body.classList.toggle('recall-milter-on', all.length > 0);
    announce(all);
    if (where) {
      const r = rowOf(where.id);
      const again = r && ((where.act && r.querySelector('[data-act="' + where.act + '"]')) || r);
      if (again) {
        again.focus();
      }
    }
  }

  /** Says to screen readers what has changed, and not each second. */
  function announce(all) {
    const news = all.filter((m) => said[m.id] !== words(m));
    said = {};
    all.forEach((m) => { said[m.id] = words(m); });
    if (news.length) {
      const m = news[0];
      const left = m.state === 'waiting' ? ' ' + clock(m.end - performance.now()) : '';
      document.getElementById('recall-milter-said').textContent = words(m) + left + ' ' + m.subject;
    }
  }

  function tick() {
    let over = false;
    messages.forEach((m) => {
      const r = m.state === 'waiting' && rowOf(m.id);
      const left = r && r.querySelector('.recall-left');
      if (left) {
        left.textContent = clock(m.end - performance.now());
        over = over || m.end <= performance.now();
      }
    });
    if (over) {
      render();
      plan();
    }
  }

  function start() {
    if (!rcmail.env.recall_milter || rcmail.is_framed()) {
      return;
    }
    const region = element('div', 'recall-milter');
    region.id = 'recall-milter';
    region.setAttribute('role', 'region');
    region.setAttribute('aria-label', text('name'));
    region.hidden = true;
    const status = element('div', 'voice');
    status.id = 'recall-milter-said';
    status.setAttribute('role', 'status');
    document.body.prepend(region, status);
    rcmail.addEventListener('plugin.recall_milter.status', learn);
    rcmail.addEventListener('plugin.recall_milter.done', done);
    if (tabs) {
      tabs.onmessage = ask;
      if (rcmail.env.recall_milter.pending) {
        tabs.postMessage('changed'); // this page comes behind "Send"
      }
    }
    document.addEventListener('visibilitychange', ask);
    setInterval(tick, 1000);
    learn(rcmail.env.recall_milter);
    if (messages.length || pending) {
      ask();
    }
  }

  if (window.rcmail) {
    rcmail.addEventListener('init', start);
  }
}());
