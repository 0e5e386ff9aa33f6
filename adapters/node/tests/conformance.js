'use strict';

// The conformance test's application for express-session; adapters/conformance/README.md says what each operation does.
//
//   node tests/conformance.js --listen 127.0.0.1:8081 --route node1 --token SECRET [--app /shop] [--express express4]
//
// Any path is the application; /health tells who it is, and makes no session.

const { parseArgs } = require('node:util');
const { setTimeout: pause } = require('node:timers/promises');
const session = require('..');

/** More than any container holds back before it sends the head. */
const early = Buffer.alloc(32 << 10, '\n');

/** What an express-session does not know of itself. */
const created = 'created';

/** Makes the application of an Express and a session middleware. */
function conformance(express, sessions, route) {
  const app = express();
  const state = { calls: 0 };
  app.get('/health', (req, res) => {
    res.send(route);
  });
  app.use(sessions);
  app.use((req, res, next) => {
    answer(req, res, state).catch(next);
  });
  return app;
}

async function answer(req, res, state) {
  const calls = ++state.calls;
  let body = 0;
  for await (const chunk of req) {
    body += chunk.length;
  }
  const { op = 'show', status } = req.query;
  res.type('text/plain');
  if (status !== undefined) {
    res.status(Number(status));
    if (status.startsWith('3')) {
      res.set('Location', '/');
    }
  }
  await begin(req, res, op);
  await change(req, op);
  if (op === 'fixed' || res.statusCode === 204) {
    res.end();
    return;
  }
  res.end(page(req.session, calls, body));
}

/** Sends the beginning of a response that is to begin before its session is final. */
async function begin(req, res, op) {
  if (op === 'fixed') {
    res.set('Content-Length', String(early.length));
  } else if (op !== 'late' && op !== 'late-invalidate') {
    return;
  }
  res.write(early);
  res.flushHeaders();
  if (req.query.ms !== undefined) {
    await pause(Number(req.query.ms));
  }
}

async function change(req, op) {
  const { k, v, n } = req.query;
  const set = (value) => {
    req.session[created] ??= Date.now();
    req.session[k] = value;
  };
  switch (op) {
    case 'show':
      return;
    case 'late':
      if (k !== undefined) {
        set(v);
      }
      return;
    case 'set':
    case 'fixed':
      set(v);
      return;
    case 'append':
      if (req.session[k] === undefined) {
        set([]);
      }
      req.session[k].push(v);
      return;
    case 'big':
      set('x'.repeat(Number(n)));
      return;
    case 'delete':
      delete req.session[k];
      return;
    case 'renew':
      await renew(req);
      return;
    case 'invalidate':
    case 'late-invalidate':
      await call((done) => req.session.destroy(done));
      return;
    case 'start-over':
      await call((done) => req.session.regenerate(done));
      set(v);
      return;
    default:
      throw new Error(`op ${op} is unknown`);
  }
}

/** Gives the session a new id. express-session's regenerate makes an empty one: what is to be kept is copied. */
async function renew(req) {
  const { cookie, ...kept } = req.session;
  await call((done) => req.session.regenerate(done));
  Object.assign(req.session, kept);
}

function call(f) {
  return new Promise((resolve, reject) => {
    f((err) => (err ? reject(err) : resolve()));
  });
}

function page(current, calls, body) {
  const lines = [`calls ${calls}`, `body ${body}`];
  if (current?.[created] === undefined) {
    lines.push('session none');
  } else {
    lines.push(`session ${current.id}`, `created ${current[created]}`);
    for (const name of Object.keys(current)) {
      if (name !== 'cookie' && name !== created) {
        const text = String(current[name]);
        lines.push(text.length > 200 ? `size ${name} ${text.length}` : `value ${name} ${text}`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { listen: text, route: text, token: text, app: text, express: text } });
  const { listen, express = 'express', ...rehydra } = values;
  const sessions = session({ rehydra });
  const app = conformance(require(express), sessions, rehydra.route);
  const { hostname, port } = new URL(`http://${listen}`);
  sessions.attach(app.listen(Number(port), hostname));
}

main();
