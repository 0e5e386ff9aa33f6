// The operators' page. It asks /api/ every other second and shows what comes back; it changes nothing. Names come from
// configurations and backends, so they only ever become text.

const pollEvery = 2000; // milliseconds
const $ = (id) => document.getElementById(id);

// What is shown of the session counters: name, caption, and whether more than 0 is a reason to look.
const counters = [
  ['known', 'known here', false], ['saves', 'saved', false], ['restores', 'restored', false], ['ends', 'ended', false],
  ['lost', 'lost', true], ['unprotected', 'unprotected', true], ['fenced', 'fenced', true], ['conflicts', 'conflicts', true],
  ['dropped', 'saves dropped', true], ['corrupt', 'copies corrupt', true], ['queued', 'in the queue', false], ['saved_bytes', 'bytes saved', false],
];

async function ask(path) {
  const response = await fetch(path, { cache: 'no-store' });
  const answer = await response.json();
  return { status: response.status, answer };
}

async function refresh() {
  try {
    const [status, backends, store] = await Promise.all([ask('/api/status'), ask('/api/backends'), ask('/api/store')]);
    showStatus(status.answer);
    show($('pools'), backends.answer.pools.map((p) => pool(p, status.answer.requests[p.name] || {})));
    showStore(store.answer);
    $('alert').hidden = true;
  } catch (e) {
    $('alert').textContent = 'The proxy does not answer. What is below is old.';
    $('alert').hidden = false;
  }
}

function showStatus(s) {
  const lost = s.log_lines_lost > 0 ? ` · ${s.log_lines_lost} log lines lost` : '';
  $('summary').textContent = `${s.version} · up for ${span(s.uptime_ms)} · ${s.listen.join(', ')} · ` +
    `${count(s.client_connections, 'client connection')}${lost}`;
  show($('sessions'), counters.map(([name, caption, worry]) => {
    const n = s.sessions[name];
    const item = element('div', element('dt', caption), element('dd', name === 'saved_bytes' ? bytes(n) : n.toLocaleString('en')));
    item.dataset.counter = name;
    item.classList.toggle('worry', worry && n > 0);
    return item;
  }));
}

function pool(p, requests) {
  const rows = p.backends.map((b) => {
    const since = b.since ? `for ${span(Date.now() - Date.parse(b.since))}` : '';
    const why = [b.reason, since].filter(Boolean).join(', ');
    const cells = [b.route, b.address, state(b.state), why, b.activation, b.in_flight, b.requests.toLocaleString('en'),
      `${b.connections} (${b.idle_connections} idle)`, b.outs, p.tier ? (b.adapter ? 'seen' : 'not seen') : ''];
    return row(cells, b.state !== 'up', { backend: `${p.name}/${b.route}` });
  });
  const classes = Object.entries(requests).filter(([, n]) => n > 0).map(([name, n]) => `${name} ${n.toLocaleString('en')}`);
  const facts = [p.match.length ? p.match.join(' ') : 'every request', `balanced by ${p.balance}`,
    p.tier ? `${count(p.known, 'session')} known` : 'no session tier', classes.length ? `answers: ${classes.join(', ')}` : 'no request yet'];
  const section = element('section', element('h2', `Pool ${p.name}`), soft(facts.join(' · ')),
    scroll(table(['Backend', 'Address', 'State', 'Why', 'Activation', 'In flight', 'Requests', 'Connections', 'Outs', 'Adapter'], rows)));
  section.className = 'card';
  return section;
}

function showStore(s) {
  $('store-kind').textContent = s.kind === '' ? 'No sessions are kept: the session tier is off.'
    : `${s.kind} · ${s.copies === 1 ? '1 copy' : `${s.copies} copies`} of each session`;
  const rows = s.nodes.map((n) => row([n.name + (n.failover_only ? ' (fail-over only)' : ''), n.address, state(n.state), n.reason,
    n.breaker, n.connections_in_use, n.errors.toLocaleString('en'), n.outs, n.ends_pending], n.state !== 'up', { node: n.name }));
  const filled = table(['Node', 'Address', 'State', 'Why', 'Breaker', 'Connections in use', 'Errors', 'Outs', 'Ends pending'], rows);
  show($('store'), rows.length ? [...filled.childNodes] : []);
}

async function find(id) {
  try {
    const { answer } = await ask(`/api/sessions/${encodeURIComponent(id)}`);
    const blocks = (answer.sessions || []).flatMap(sessionBlock);
    $('found').replaceChildren(...(blocks.length ? blocks : [soft(answer.error)]));
  } catch (e) {
    $('found').replaceChildren(soft('The proxy does not answer.'));
  }
}

function sessionBlock(s) {
  const facts = [s.state, s.version && `version ${s.version}`, s.owner && `owned by ${s.owner} (${s.owner_state})`,
    s.ttl_ms > 0 && `lives for ${span(s.ttl_ms)} of inactivity`, s.here && s.here.backend && `seen at ${s.here.backend}`];
  const rows = s.copies.map((c) => row([c.node, c.state + (c.newest ? ', newest' : ''), c.version, c.owner, c.size > 0 ? bytes(c.size) : '',
    c.state === 'present' || c.state === 'tombstone' ? `${span(c.age_ms)} ago` : ''], c.state === 'unreadable' || c.state === 'unknown', { copy: c.node }));
  return [element('h3', `${s.pool} · ${s.app}`), soft(facts.filter(Boolean).join(' · ')),
    scroll(table(['Node', 'Holds', 'Version', 'Owner', 'Size', 'Written'], rows))];
}

// show makes what a parent holds look like fresh nodes. It changes what differs and nothing else, so that a text somebody has
// selected stays selected.
function show(parent, fresh) {
  const old = [...parent.childNodes];
  fresh.forEach((node, i) => (i < old.length ? patch(old[i], node) : parent.append(node)));
  old.slice(fresh.length).forEach((node) => node.remove());
}

function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  show(old, [...fresh.childNodes]);
}

function element(name, ...content) {
  const e = document.createElement(name);
  e.append(...content);
  return e;
}

function soft(text) {
  const p = element('p', text);
  p.className = 'soft';
  return p;
}

function scroll(content) {
  const div = element('div', content);
  div.className = 'scroll';
  return div;
}

function state(text) {
  const span = element('span', text);
  span.className = 'state';
  return span;
}

function table(captions, rows) {
  return element('table', element('thead', element('tr', ...captions.map((c) => element('th', c)))), element('tbody', ...rows));
}

function row(cells, bad, data) {
  const tr = element('tr', ...cells.map((c) => element('td', c)));
  tr.classList.toggle('bad', bad);
  Object.assign(tr.dataset, data);
  return tr;
}

function count(n, noun) { return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`; }

function bytes(n) {
  for (const unit of ['bytes', 'KiB', 'MiB', 'GiB']) {
    if (n < 1024 || unit === 'GiB') return `${unit === 'bytes' ? n : n.toFixed(1)} ${unit}`;
    n /= 1024;
  }
}

function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 1) return 'a moment';
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} days`;
}

$('find').addEventListener('submit', (event) => {
  event.preventDefault();
  find($('id').value.trim());
});

// One round after the other, however slow the proxy is.
async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, pollEvery);
}
await poll();
