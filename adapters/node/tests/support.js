'use strict';

// What the tests share: a server on a free port of the loopback interface, and a client that sees every field.

const http = require('node:http');
const { once } = require('node:events');
const express = require('express');
const session = require('..');

const token = 'a-token-of-the-test';

/**
 * Starts an Express application behind the middleware, and stops it when the test ends.
 * @param {TestContext} t
 * @param {function(Express)} routes
 * @param {object} options of session(), beside token and route
 */
async function serve(t, routes, options = {}) {
  const sessions = session({ ...options, rehydra: { token, route: 'node1', app: '/shop', ...options.rehydra } });
  const app = express();
  app.set('env', 'test'); // errors are the test's business, not the console's
  app.use(sessions);
  routes(app);
  const server = http.createServer(app);
  sessions.attach(server);
  await listen(t, server);
  return { port: server.address().port, server, sessions, store: sessions.store };
}

async function listen(t, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
}

/**
 * Makes a request as the proxy does.
 * @param {{port: number}} at
 * @param {object} c path, method, cookie (of the session), fields (Rehydra-*, in place of the token: null), headers, body
 * @returns {Promise<{status, headers, trailers, body, session, state, cookie}>} session and state as the last word says them
 */
async function call(at, c = {}) {
  const headers = { ...c.headers };
  if (c.fields !== null) {
    Object.assign(headers, { 'Rehydra-Tier': token }, c.cookie === undefined ? {} : { 'Rehydra-Id': c.cookie }, c.fields);
  }
  if (c.cookie !== undefined) {
    headers.Cookie = `JSESSIONID=${c.cookie}`;
  }
  const req = http.request({ host: '127.0.0.1', port: at.port, path: c.path ?? '/', method: c.method ?? 'GET', headers, agent: false });
  req.end(c.body);
  const [res] = await once(req, 'response');
  const chunks = [];
  for await (const chunk of res) {
    chunks.push(chunk);
  }
  return reply(res, Buffer.concat(chunks).toString());
}

function reply(res, body) {
  const late = res.headers['rehydra-session']?.endsWith('state=late');
  const last = late ? res.trailers : res.headers;
  const cookie = (res.headers['set-cookie'] ?? []).find((f) => f.startsWith('JSESSIONID='));
  return {
    status: res.statusCode, headers: res.headers, trailers: res.trailers, body, late,
    session: parameters(last['rehydra-session']),
    state: last['rehydra-state'],
    contents: contents(last['rehydra-state']),
    cookie: cookie?.slice('JSESSIONID='.length).split(';', 1)[0],
    setCookie: cookie,
  };
}

function parameters(field) {
  return field === undefined ? undefined : Object.fromEntries(field.split('; ').map((p) => {
    const [name, value] = p.split('=');
    return [name, value.replace(/"/g, '')];
  }));
}

function contents(field) {
  return field === undefined ? undefined : JSON.parse(Buffer.from(field, 'base64url').toString()).values;
}

/** Makes an operation. */
function operate(at, op, id, more = {}) {
  return call(at, { method: 'REPORT', fields: { 'Rehydra-Op': op, 'Rehydra-Id': id, ...more.fields }, ...more.rest });
}

/** Drops a session when the requests that were just answered have ended. */
async function drop(at, id) {
  for (const end = Date.now() + 10_000; ;) {
    const r = await operate(at, 'drop', id);
    if (r.status !== 409 || Date.now() > end) {
      return r;
    }
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
}

module.exports = { token, serve, listen, call, operate, drop };
