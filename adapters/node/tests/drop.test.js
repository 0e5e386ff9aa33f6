'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { serve, call, operate, drop } = require('./support');

test('a session is not dropped under a request that has not touched it yet', async (t) => {
  let runs;
  let goOn;
  const running = new Promise((resolve) => { runs = resolve; });
  const allowed = new Promise((resolve) => { goOn = resolve; });
  const at = await serve(t, (app) => {
    app.get('/set', (req, res) => {
      req.session.color = 'red';
      res.end();
    });
    app.get('/slow', async (req, res) => {
      runs();
      await allowed;
      req.session.color = 'blue';
      res.end();
    });
  });
  const { cookie } = await call(at, { path: '/set' });
  const slow = call(at, { path: '/slow', cookie, fields: { 'Rehydra-Have': '1.1' } });
  await running;
  assert.strictEqual((await operate(at, 'drop', cookie)).status, 409);
  goOn();
  assert.deepStrictEqual((({ status, contents }) => [status, contents])(await slow), [200, { color: 'blue' }]);
  assert.strictEqual((await drop(at, cookie)).status, 204);
  assert.strictEqual((await operate(at, 'read', cookie)).status, 404);
});
