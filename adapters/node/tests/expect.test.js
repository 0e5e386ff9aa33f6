'use strict';

const test = require('node:test');
const assert = require('node:assert');
const http = require('node:http');
const { once } = require('node:events');
const express = require('express');
const session = require('..');
const { token, serve, listen, call } = require('./support');

/** Posts a body, but only after 100. Returns what came: {continued, status, headers, body}. */
async function post(at, { path = '/', fields = {} }) {
  const body = Buffer.alloc(200_000, 'x');
  const req = http.request({ host: '127.0.0.1', port: at.port, path, method: 'POST', agent: false,
    headers: { 'Content-Length': body.length, Expect: '100-continue', ...fields } });
  let continued = false;
  req.on('continue', () => {
    continued = true;
    req.end(body);
  });
  req.on('error', () => {}); // the connection may be closed before the body is out
  req.flushHeaders();
  const [res] = await once(req, 'response');
  let text = '';
  for await (const chunk of res) {
    text += chunk;
  }
  req.destroy();
  return { continued, status: res.statusCode, headers: res.headers, body: text };
}

function routes(app) {
  app.post('/', async (req, res) => {
    let size = 0;
    for await (const chunk of req) {
      size += chunk.length;
    }
    req.session.size = size;
    res.json({ size });
  });
}

test('428 in place of 100, from the first request on', async (t) => {
  const at = await serve(t, routes);
  const r = await post(at, { fields: { 'Rehydra-Tier': token, 'Rehydra-Id': 'ABC.node2' } });
  assert.deepStrictEqual([r.continued, r.status, r.headers['rehydra-need']], [false, 428, 'id="ABC.node2"; app="/shop"']);
  assert.strictEqual(r.headers.connection, 'close', 'the body never comes: nothing can follow on this connection');
});

test('100 for everybody else', async (t) => {
  const at = await serve(t, routes);
  for (const fields of [{}, { 'Rehydra-Tier': token }, { 'Rehydra-Tier': token, 'Rehydra-Id': 'ABC.node2', 'Rehydra-Have': 'none' },
    { 'Rehydra-Tier': 'wrong', 'Rehydra-Id': 'ABC.node2' }]) {
    const r = await post(at, { fields });
    assert.deepStrictEqual([r.continued, r.status, r.body], [true, 200, '{"size":200000}']);
  }
});

test('without attach it works from the second request on', async (t) => {
  const app = express();
  app.use(session({ rehydra: { token, route: 'node1' } }));
  routes(app);
  const server = http.createServer(app);
  await listen(t, server);
  const at = { port: server.address().port };
  await call(at, { fields: null });
  const r = await post(at, { fields: { 'Rehydra-Tier': token, 'Rehydra-Id': 'ABC.node2' } });
  assert.deepStrictEqual([r.continued, r.status], [false, 428]);
  assert.strictEqual(server.listenerCount('checkContinue'), 1);
});

test('two applications on one server: the one that runs gives the 100 that the other held back', async (t) => {
  const [shop, blog] = ['/shop', '/blog'].map((name) => session({ name: name.slice(1), rehydra: { token, route: 'node1', app: name } }));
  const app = express();
  const parts = [shop, blog].map((middleware) => {
    const part = express.Router();
    part.use(middleware);
    routes(part);
    return part;
  });
  app.use('/shop', parts[0]);
  app.use('/blog', parts[1]);
  const server = http.createServer(app);
  shop.attach(server);
  await listen(t, server);
  const at = { port: server.address().port };
  const made = await call(at, { path: '/blog/', method: 'POST', body: 'x' });
  const id = made.headers['set-cookie'][0].match(/^blog=([^;]+)/)[1];
  const r = await post(at, { path: '/blog/', fields: { 'Rehydra-Tier': token, 'Rehydra-Id': id, Cookie: `blog=${id}` } });
  assert.deepStrictEqual([r.continued, r.status, r.body], [true, 200, '{"size":200000}']);
});

test('an application that listens to checkContinue keeps doing so', async (t) => {
  const app = express();
  app.use(session({ rehydra: { token, route: 'node1' } }));
  routes(app);
  const server = http.createServer(app);
  let asked = 0;
  server.on('checkContinue', (req, res) => {
    asked++;
    res.writeContinue();
    server.emit('request', req, res);
  });
  await listen(t, server);
  const at = { port: server.address().port };
  await call(at, { fields: null });
  assert.strictEqual((await post(at, {})).status, 200);
  assert.strictEqual(asked, 1);
});
