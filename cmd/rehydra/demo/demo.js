// The demo's page. The session comes from a sample backend (/demo/api/), through the proxy and the session tier; the state of
// the backends and the whereabouts of the copies come from /demo/control/, which outlives every kill.

const pollEvery = 1500; // milliseconds
const maxEvents = 50;
const $ = (id) => document.getElementById(id);

let last = null; // {node, id, generation} of the latest answer with a session
let killed = new Set(); // backends that were killed since they last served us

// Answers are shown in the order of their requests: one after the other.
let queue = Promise.resolve();
const inTurn = (job) => (queue = queue.then(job, job));

async function call(method, path, body) {
  const options = { method, headers: { 'X-Demo': '1' }, cache: 'no-store' };
  if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).trim().slice(0, 200)}`);
  return response.status === 204 ? null : response.json();
}

// refresh asks for session and state, after a change of the session if there is one.
function refresh(method = 'GET', path = '/demo/api/session', body = undefined) {
  return inTurn(async () => {
    let session = null;
    let failure = null;
    try {
      session = await call(method, path, body);
    } catch (e) {
      failure = e;
    }
    try {
      const state = await call('GET', '/demo/control/state');
      showBackends(state.backends, session);
      const newest = state.copies.find((c) => c.newest && c.state === 'present');
      showCopies(state.copies);
      if (session) showSession(session, newest);
      showFailure(failure, state.backends);
    } catch (e) {
      alertWith('The proxy does not answer. Is rehydra demo still running?');
    }
  });
}

function showSession(session, newest) {
  const generation = newest ? Number(newest.version.split('.')[0]) : 0;
  tellMove(session, newest, generation);
  $('session').classList.remove('nobody');
  $('node').textContent = session.node;
  $('session-id').textContent = session.id;
  $('created').textContent = new Date(session.created).toLocaleTimeString();
  $('version').textContent = newest ? newest.version : 'not stored';
  $('count').textContent = session.count;
  $('notes').replaceChildren(...session.notes.map((note) => element('li', note)));
  last = { node: session.node, base: session.id.split('.')[0], generation };
  killed.delete(session.node);
}

// tellMove says what has become of the session since the answer before.
function tellMove(session, newest, generation) {
  const base = session.id.split('.')[0];
  if (!last || last.base !== base) {
    tell(last ? `A new session began on ${session.node}` : `You are served by ${session.node}`);
    return;
  }
  const moved = last.node !== session.node;
  if (!moved && generation <= last.generation) return;
  const why = killed.has(last.node) ? `${last.node} was killed; your session` : 'Your session';
  const version = newest ? ` (version ${newest.version})` : '';
  tell(`${why} was restored on ${session.node}${version}`);
  $('session').classList.remove('moved');
  void $('session').offsetWidth; // starts the animation again
  $('session').classList.add('moved');
}

function showBackends(backends, session) {
  if ($('backends').childElementCount === 0) $('backends').append(...backends.map(newBackend));
  for (const b of backends) {
    const card = document.querySelector(`[data-backend="${b.name}"]`);
    card.classList.toggle('dead', !b.up);
    card.classList.toggle('serves', b.up && session !== null && session.node === b.name);
    const memory = b.up ? `${b.sessions} ${b.sessions === 1 ? 'session' : 'sessions'} in memory` : 'killed';
    card.querySelector('.facts').replaceChildren(element('span', b.address), element('span', memory));
  }
}

function newBackend(b) {
  const card = $('backend-template').content.firstElementChild.cloneNode(true);
  card.dataset.backend = b.name;
  card.querySelector('strong').textContent = b.name;
  for (const action of ['kill', 'revive']) {
    const button = card.querySelector(`.${action}`);
    button.dataset[action] = b.name;
    button.setAttribute('aria-label', `${button.textContent} ${b.name}`);
    button.addEventListener('click', () => push(action, b.name));
  }
  return card;
}

async function push(action, name) {
  try {
    await inTurn(() => call('POST', `/demo/control/${action}/${name}`));
    if (action === 'kill') killed.add(name);
    tell(action === 'kill' ? `You killed ${name}: its memory is gone` : `You revived ${name}: it remembers nothing`);
  } catch (e) {
    tell(`Cannot ${action} ${name}: ${e.message}`);
  }
  await refresh();
}

function showCopies(copies) {
  const rows = copies.map((c) => {
    const row = document.createElement('tr');
    row.dataset.node = c.node;
    if (c.state !== 'present') {
      row.append(element('td', c.node), element('td', c.state));
      row.lastChild.colSpan = 4;
      return row;
    }
    for (const text of [c.node, c.version, c.owner, `${c.size} bytes`, `${age(c.age)} ago`]) row.append(element('td', text));
    return row;
  });
  $('copies').replaceChildren(...rows);
}

function showFailure(failure, backends) {
  if (!failure) {
    $('alert').hidden = true;
    return;
  }
  $('session').classList.add('nobody');
  if (backends.every((b) => !b.up)) {
    $('node').textContent = 'nobody';
    alertWith('All backends are dead. Your session waits in the store: revive one of them.');
  } else {
    alertWith(`Not done: ${failure.message}`);
  }
}

function alertWith(text) {
  $('alert').textContent = text;
  $('alert').hidden = false;
}

function tell(text) {
  const item = document.createElement('li');
  const time = element('time', new Date().toLocaleTimeString());
  item.append(time, element('span', text));
  $('events').prepend(item);
  while ($('events').childElementCount > maxEvents) $('events').lastElementChild.remove();
}

function element(name, text) {
  const e = document.createElement(name);
  e.textContent = text;
  return e;
}

function age(ms) {
  if (ms < 1000) return 'a moment';
  const s = Math.floor(ms / 1000);
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min`;
}

$('count-up').addEventListener('click', () => refresh('POST', '/demo/api/count'));
$('note-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const note = $('note').value;
  $('note').value = '';
  refresh('POST', '/demo/api/notes', note);
});
$('end').addEventListener('click', async () => {
  try {
    await inTurn(() => call('POST', '/demo/api/end'));
    tell('You ended the session');
  } catch (e) {
    tell(`Cannot end the session: ${e.message}`);
  }
  await refresh();
});

await refresh();
setInterval(() => {
  if (!document.hidden) refresh();
}, pollEvery);
