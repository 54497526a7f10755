/**
 * The bar of Recall Milter: how long a message still waits, Undo, and Send now; and the list of all that waits.
 *
 * What is shown comes from the server, in env.recall_milter at first and by commands later; the countdown runs here.
 * All texts are set as text, never as HTML.
 */
(function () {
  'use strict';

  const look = 15000; // ms between two questions while something waits
  const soon = 3000; // ms, while the end of a wait is near, or a message is not known yet
  const shown = 3; // messages in the bar

  let box = null; // the bar, or the list
  let isList = false;
  let messages = []; // with `end`: when it leaves, in ms of performance.now()
  let known = { pending: false, away: false, count: null };
  let timer = null;
  let said = {}; // Message-ID: what was announced last
  const tabs = 'BroadcastChannel' in window ? new BroadcastChannel('recall_milter') : null;

  const text = (label, vars) => rcmail.gettext(label, 'recall_milter', vars);
  const waits = (m) => m.state === 'waiting' && m.end > performance.now();
  const url = (action) => rcmail.url(action, { _task: 'mail' });

  /** Takes what the server knows. */
  function learn(answer) {
    const now = performance.now();
    known = answer;
    messages = answer.messages.map((m) => Object.assign(m, { end: now + (m.left || 0) * 1000 }));
    render();
    folder();
    plan();
  }

  /** Asks the server again, the sooner the more is about to change. */
  function plan() {
    clearTimeout(timer);
    const now = performance.now();
    const near = known.pending || messages.some((m) => m.state === 'leaving' ||
      (m.state === 'waiting' && m.end - now < look));
    const changes = near || isList ||
      messages.some((m) => m.state === 'waiting' || !m.outcome || m.outcome === 'asked');
    if (changes) {
      timer = setTimeout(ask, near && !known.away ? soon : look);
    }
  }

  function ask() {
    if (!document.hidden) { // else the tab asks when it is seen again
      rcmail.http_request('plugin.recall_milter.status', isList ? { _all: 1 } : {}, false);
    }
  }

  function act(name, id) {
    box.querySelectorAll('button').forEach((b) => { b.setAttribute('aria-disabled', 'true'); });
    const data = { _act: name, _message_id: id };
    if (isList) {
      data._all = 1;
    }
    rcmail.http_post('plugin.recall_milter.act', data, rcmail.set_busy(true, 'loading'));
  }

  /** Has the other tabs ask. */
  function changed() {
    if (tabs) {
      tabs.postMessage('changed');
    }
  }

  /** Hears what became of an act; how the messages are came before it. */
  function done(answer) {
    changed();
    render();
    if (answer.url) {
      rcmail.redirect(answer.url);
      return;
    }
    if (['unknown', 'forbidden', 'not-found'].includes(answer.outcome)) {
      rcmail.display_message(text(answer.outcome), answer.outcome === 'unknown' ? 'warning' : 'error', 10000);
    }
    const row = rowOf(answer.id);
    if (row) {
      row.focus();
    }
  }

  /** Returns a time span as 1:58 or 2:01:30. */
  function clock(ms) {
    const s = Math.max(0, Math.ceil(ms / 1000));
    const two = (n) => String(n).padStart(2, '0');
    const h = Math.floor(s / 3600);
    return (h ? h + ':' + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ':' + two(s % 60);
  }

  function rowOf(id) {
    return [...box.querySelectorAll('.recall-row')].find((row) => row.dataset.id === id);
  }

  function element(tag, className, content) {
    const e = document.createElement(tag);
    e.className = className;
    if (content) {
      e.textContent = content;
    }
    return e;
  }

  /** Says in words how a message is; empty: that is not known. */
  function words(m) {
    switch (m.state) {
      case 'waiting':
        if (!waits(m)) {
          return known.away ? '' : text('leaving');
        }
        return text(m.counts.sent || m.counts.recalled ? 'waiting-rest' : 'waiting');
      case 'leaving':
        return text(m.outcome || 'leaving');
      case 'recalled':
        return text(m.outcome || 'recalled');
      default:
        return text(m.outcome || (m.state === 'partly' ? 'partly' : 'left'));
    }
  }

  function buttons(m) {
    if (waits(m)) {
      return ['recall', 'release'];
    }
    if (m.state === 'waiting' || m.state === 'leaving') {
      return [];
    }
    const first = { 'too-late': ['ask'], partly: ['ask'], 'no-draft': ['restore'] }[m.outcome] || [];
    return m.outcome ? first.concat('dismiss') : [];
  }

  function button(m, name) {
    const b = element('button', 'btn ' + (name === 'dismiss' ? 'btn-secondary' : 'btn-primary'), text('do-' + name));
    b.type = 'button';
    b.dataset.act = name;
    b.addEventListener('click', () => {
      if (!b.hasAttribute('aria-disabled')) {
        act(name, m.id);
      }
    });
    return b;
  }

  function results(m) {
    const list = element('ul', 'recall-results');
    m.recipients.forEach((r) => {
      list.append(element('li', '', r.address + ': ' + text('result-' + r.result.replace(' ', '-'))));
    });
    if (m.more) {
      list.append(element('li', '', text('and-more', { n: m.more })));
    }
    return list;
  }

  function row(m) {
    const r = element('div', 'recall-row recall-' + m.state);
    r.dataset.id = m.id;
    r.tabIndex = -1;
    r.setAttribute('role', 'group');
    r.setAttribute('aria-label', m.subject || text('no-subject'));
    const what = element('span', 'recall-text', words(m));
    if (waits(m)) {
      what.append(' ', element('span', 'recall-left', clock(m.end - performance.now())));
    }
    r.append(what, element('span', 'recall-subject', m.subject || text('no-subject')));
    const acts = element('span', 'recall-acts');
    buttons(m).forEach((name) => acts.append(button(m, name)));
    r.append(acts);
    if (isList || m.state === 'partly' || m.outcome === 'asked') {
      r.append(results(m));
    }
    return r;
  }

  /** Shows the messages. What has the focus keeps it. */
  function render() {
    const all = messages.filter((m) => words(m)).slice(0, isList ? messages.length : shown);
    const focused = box.contains(document.activeElement) && document.activeElement.closest('.recall-row');
    const where = focused && { id: focused.dataset.id, act: document.activeElement.dataset.act };
    box.replaceChildren(...all.map(row));
    if (isList) {
      box.setAttribute('aria-busy', 'false');
      if (!all.length || known.away) {
        box.append(element('p', 'recall-none', text(known.away ? 'away' : 'none')));
      }
    } else {
      more(all.filter(waits).length);
      box.hidden = !all.length;
      document.body.classList.toggle('recall-milter-on', all.length > 0);
    }
    announce(all);
    const r = where && rowOf(where.id);
    if (r) {
      ((where.act && r.querySelector('[data-act="' + where.act + '"]')) || r).focus();
    }
  }

  /** Leads from the bar to the list, when more waits than it shows. */
  function more(inBar) {
    if (known.count > inBar && inBar) {
      const a = element('a', 'recall-more', text('all', { n: known.count }));
      a.href = url('plugin.recall_milter.waiting');
      box.append(a);
    }
  }

  /** Says to screen readers what has changed, and not each second. */
  function announce(all) {
    const news = all.filter((m) => said[m.id] !== words(m));
    said = {};
    all.forEach((m) => { said[m.id] = words(m); });
    if (news.length && !isList) {
      const m = news[0];
      const left = waits(m) ? ' ' + clock(m.end - performance.now()) : '';
      document.getElementById('recall-milter-said').textContent = words(m) + left + ' ' + m.subject;
    }
  }

  /** Shows the list as a folder below the others, with how many wait. */
  function folder() {
    const after = document.getElementById('mailboxlist');
    if (!after) {
      return;
    }
    let item = document.getElementById('recall-folder');
    if (!item) {
      const list = element('ul', 'listing folderlist');
      item = element('li', 'mailbox recall-folder');
      item.id = 'recall-folder';
      list.append(item);
      after.after(list);
    }
    const a = element('a', '', text('list'));
    a.href = url('plugin.recall_milter.waiting');
    if (known.count) {
      a.append(element('span', 'unreadcount', String(known.count)));
    }
    item.classList.toggle('unread', Boolean(known.count));
    item.replaceChildren(a);
  }

  function tick() {
    let over = false;
    messages.forEach((m) => {
      const r = m.state === 'waiting' && rowOf(m.id);
      const left = r && r.querySelector('.recall-left');
      if (left) {
        left.textContent = clock(m.end - performance.now());
        over = over || !waits(m);
      }
    });
    if (over) {
      render();
      plan();
    }
  }

  /** Makes the bar above the page, and a place that screen readers read out. */
  function makeBar() {
    box = element('div', 'recall-milter recall-bar');
    box.id = 'recall-milter';
    box.setAttribute('role', 'region');
    box.setAttribute('aria-label', text('name'));
    box.hidden = true;
    const status = element('div', 'voice');
    status.id = 'recall-milter-said';
    status.setAttribute('role', 'status');
    document.body.prepend(box, status);
  }

  function start() {
    if (!rcmail.env.recall_milter || rcmail.is_framed()) {
      return;
    }
    box = document.getElementById('recall-waiting');
    isList = box !== null;
    if (!isList) {
      makeBar();
    }
    rcmail.addEventListener('plugin.recall_milter.status', learn);
    rcmail.addEventListener('plugin.recall_milter.done', done);
    rcmail.addEventListener('plugin.recall_milter.sent', changed);
    if (tabs) {
      tabs.onmessage = ask;
    }
    document.addEventListener('visibilitychange', ask);
    setInterval(tick, 1000);
    if (isList) {
      ask();
      return;
    }
    learn(rcmail.env.recall_milter);
    if (messages.length || known.pending || document.getElementById('mailboxlist')) {
      ask();
    }
  }

  if (window.rcmail) {
    rcmail.addEventListener('init', start);
  }
}());
