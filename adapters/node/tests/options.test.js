'use strict';

const test = require('node:test');
const assert = require('node:assert');
const session = require('..');

test('options that cannot be used are named, with what was given and what is wanted', () => {
  for (const [options, said] of [
    [{ rehydra: { token: 't' } }, /rehydra\.route: "" given, wanted this backend's route/],
    [{ rehydra: { token: 't', route: 'a b' } }, /rehydra\.route: "a b" given/],
    [{ rehydra: { token: 't', route: 'x'.repeat(168) } }, /rehydra\.route: "x+" given, wanted up to 167/],
    [{ rehydra: { token: 'a secret', route: 'node1' } }, /rehydra\.token: "\(not shown\)" given/],
    [{ rehydra: { app: 'a"b' } }, /rehydra\.app: "a\\"b" given/],
    [{ rehydra: { ttl: 1.5 } }, /rehydra\.ttl: 1\.5 given, wanted a whole number/],
    [{ rehydra: { maxSessions: 0 } }, /rehydra\.maxSessions: 0 given, wanted at least 1/],
    [{ rehydra: { inlinelimit: 1 } }, /rehydra\.inlinelimit: 1 given, wanted one of token, route/],
    [{ rehydra: null, name: 'a b' }, /name|rehydra/],
    [{ name: 'a b' }, /name: "a b" given/],
    [{ genid: 'x' }, /genid: "x" given, wanted a function/],
    [{ store: new session.Store() }, /store: "given" given|store/],
    [{ unset: 'maybe' }, /unset option must be/],
  ]) {
    assert.throws(() => session(options), (err) => err instanceof TypeError && said.test(err.message), JSON.stringify(options));
  }
});

test('express-session\'s options are taken as they are, secret too', () => {
  const middleware = session({
    secret: ['a', 'b'], name: 'connect.sid', resave: true, rolling: true, saveUninitialized: true, unset: 'destroy', proxy: true,
    cookie: { maxAge: 1000, sameSite: 'strict' }, genid: () => 'x', rehydra: { token: 't', route: 'node1' },
  });
  assert.strictEqual(typeof middleware, 'function');
  assert.ok(middleware.store instanceof session.RehydraStore && middleware.store instanceof session.Store);
});
