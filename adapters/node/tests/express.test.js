'use strict';

// What express-session promises to an application holds here too.

const test = require('node:test');
const assert = require('node:assert');
const { serve, call, operate, drop } = require('./support');

/** Routes that most tests need. */
function routes(app) {
  app.get('/set', (req, res) => {
    Object.assign(req.session, req.query);
    res.json({ id: req.session.id });
  });
  app.get('/show', (req, res) => {
    const { cookie, ...rest } = req.session;
    res.json({ id: req.session.id, sessionID: req.sessionID, values: rest, age: cookie.originalMaxAge });
  });
  app.get('/destroy', (req, res, next) => req.session.destroy((err) => (err ? next(err) : res.json({}))));
}

const shown = (reply) => JSON.parse(reply.body).values;

test('req.session, its id and a cookie that holds the id as it is', async (t) => {
  const at = await serve(t, routes, { secret: 'as before' });
  const made = await call(at, { path: '/set?color=red' });
  assert.match(made.cookie, /^[A-Za-z0-9_-]{32}\.node1$/);
  assert.match(made.setCookie, /; Path=\/; HttpOnly$/);
  assert.deepStrictEqual(made.session, { id: made.cookie, app: '/shop', version: '1.1', ttl: '86400', state: 'inline' });
  assert.deepStrictEqual(made.contents, { color: 'red' });
  const next = await call(at, { path: '/show', cookie: made.cookie });
  assert.deepStrictEqual(JSON.parse(next.body), { id: made.cookie, sessionID: made.cookie, values: { color: 'red' }, age: null });
  assert.strictEqual(next.session.state, 'same');
  assert.strictEqual(next.cookie, undefined);
});

test('a session that nothing was put into is none, unless saveUninitialized says so', async (t) => {
  const none = await call(await serve(t, routes), { path: '/show' });
  assert.strictEqual(none.cookie, undefined);
  assert.strictEqual(none.session, undefined);
  const at = await serve(t, routes, { saveUninitialized: true });
  const made = await call(at, { path: '/show' });
  assert.strictEqual(made.session.version, '1.1');
  assert.strictEqual(made.session.id, made.cookie);
});

test('the application sees its own cookies, and nothing of the protocol or of express-session\'s signature', async (t) => {
  const at = await serve(t, (app) => {
    app.get('/seen', (req, res) => {
      req.session.seen = true;
      res.json({ cookie: req.headers.cookie, raw: req.rawHeaders.filter((h) => /rehydra/i.test(h)), names: Object.keys(req.headers) });
    });
  });
  const { cookie } = await call(at, { path: '/seen' });
  const seen = JSON.parse((await call(at, { path: '/seen', fields: { 'Rehydra-Id': cookie },
    headers: { Cookie: `a=1; JSESSIONID=${cookie}; b="2"` } })).body);
  assert.strictEqual(seen.cookie, `a=1; JSESSIONID=${cookie}; b="2"`);
  assert.deepStrictEqual(seen.raw, []);
  assert.deepStrictEqual(seen.names.filter((n) => n.startsWith('rehydra')), []);
});

test('a cookie that a client made up or signed itself is no session', async (t) => {
  const at = await serve(t, routes, { secret: 'known' });
  for (const cookie of ['s%3AABC.node1.c2ln', 'ABC.node1', '.', '"']) {
    const r = await call(at, { path: '/set?a=1', fields: null, headers: { Cookie: `JSESSIONID=${cookie}` } });
    assert.match(r.cookie, /^[A-Za-z0-9_-]{32}\.node1$/);
  }
});

test('save, reload and touch', async (t) => {
  const at = await serve(t, (app) => {
    routes(app);
    app.get('/reload', (req, res, next) => {
      req.session.color = 'blue';
      req.session.save((err) => {
        req.session.color = 'never saved';
        req.session.touch().reload((failed) => (err || failed ? next(err || failed) : res.json({ color: req.session.color })));
      });
    });
  });
  const { cookie } = await call(at, { path: '/set?color=red' });
  const r = await call(at, { path: '/reload', cookie });
  assert.deepStrictEqual(JSON.parse(r.body), { color: 'blue' });
  assert.strictEqual(r.session.version, '1.2');
  assert.deepStrictEqual(r.contents, { color: 'blue' });
});

test('regenerate: a new id, reported with the old one; destroy: gone', async (t) => {
  const at = await serve(t, (app) => {
    routes(app);
    app.get('/login', (req, res, next) => req.session.regenerate((err) => {
      req.session.user = 'alice';
      return err ? next(err) : res.redirect('/');
    }));
    app.get('/empty', (req, res, next) => req.session.regenerate((err) => (err ? next(err) : res.json({}))));
  });
  const { cookie } = await call(at, { path: '/set?color=red' });
  const login = await call(at, { path: '/login', cookie });
  assert.strictEqual(login.status, 302);
  assert.strictEqual(login.session.was, cookie);
  assert.strictEqual(login.session.id, login.cookie);
  assert.deepStrictEqual(login.contents, { user: 'alice' });
  assert.strictEqual((await operate(at, 'read', cookie)).status, 410);
  assert.strictEqual(at.store.registry.size, 1);
  const gone = await call(at, { path: '/destroy', cookie: login.cookie });
  assert.strictEqual(gone.session.state, 'gone');
  assert.strictEqual((await operate(at, 'read', login.cookie)).status, 410);

  const again = await call(at, { path: '/set?color=red' });
  const empty = await call(at, { path: '/empty', cookie: again.cookie });
  assert.deepStrictEqual([empty.session.state, empty.session.was, empty.contents], ['inline', again.cookie, {}]);
});

test('unset: req.session = null leaves the session, or destroys it', async (t) => {
  for (const [unset, state] of [['keep', 'same'], ['destroy', 'gone']]) {
    const at = await serve(t, (app) => {
      routes(app);
      app.get('/unset', (req, res) => {
        req.session = null;
        res.json({});
      });
    }, { unset });
    const { cookie } = await call(at, { path: '/set?color=red' });
    assert.strictEqual((await call(at, { path: '/unset', cookie })).session.state, state);
  }
});

test('an age: it is the ttl, travels, and begins anew with each request without being a change', async (t) => {
  let now = Date.now();
  const at = await serve(t, (app) => {
    routes(app);
    app.get('/remember', (req, res) => {
      req.session.cookie.maxAge = 3_600_000;
      res.json({});
    });
  }, { cookie: { maxAge: 60_000, secure: 'auto', sameSite: 'lax' }, rehydra: { now: () => now } });
  const made = await call(at, { path: '/set?color=red' });
  assert.match(made.setCookie, /; Expires=.*; HttpOnly; SameSite=Lax$/);
  assert.strictEqual(made.session.ttl, '60');
  now += 59_000;
  const same = await call(at, { path: '/show', cookie: made.cookie });
  assert.deepStrictEqual([same.session.state, same.session.ttl], ['same', '60']);
  now += 59_000;
  const longer = await call(at, { path: '/remember', cookie: made.cookie });
  assert.deepStrictEqual([longer.session.state, longer.session.version, longer.session.ttl], ['inline', '1.2', '3600']);

  await drop(at, made.cookie);
  const back = await call(at, { path: '/show', cookie: made.cookie,
    fields: { 'Rehydra-Have': '2.0', 'Rehydra-State': longer.state } });
  assert.deepStrictEqual(JSON.parse(back.body).age, 3_600_000);
  now += 3_600_000;
  assert.strictEqual((await call(at, { path: '/show', cookie: made.cookie })).status, 428);
});

test('a session from elsewhere: the client learns the id, with the session\'s own flags', async (t) => {
  const at = await serve(t, routes, { cookie: { httpOnly: true, sameSite: 'strict' } });
  const { cookie, state } = await call(at, { path: '/set?color=red' });
  await drop(at, cookie);
  const away = cookie.replace('node1', 'node2');
  const r = await call(at, { path: '/show', cookie: away, fields: { 'Rehydra-Have': '2.0', 'Rehydra-State': state } });
  assert.deepStrictEqual(shown(r), { color: 'red' });
  assert.strictEqual(r.setCookie, `JSESSIONID=${cookie}; Path=/; HttpOnly; SameSite=Strict`);
  assert.deepStrictEqual([r.session.state, r.session.version, r.session.was], ['same', '2.0', undefined]);
});

test('rolling: every response sets the cookie', async (t) => {
  const at = await serve(t, routes, { rolling: true });
  const { cookie } = await call(at, { path: '/set?color=red' });
  assert.strictEqual((await call(at, { path: '/show', cookie })).cookie, cookie);
});

test('a secure cookie that cannot be sent is no session', async (t) => {
  const at = await serve(t, routes, { cookie: { secure: true } });
  const r = await call(at, { path: '/set?color=red' });
  assert.deepStrictEqual([r.cookie, r.session, [...at.store.registry].length], [undefined, undefined, 0]);
  const https = await serve(t, routes, { cookie: { secure: true }, proxy: true });
  const sent = await call(https, { path: '/set?color=red', headers: { 'X-Forwarded-Proto': 'https' } });
  assert.strictEqual(sent.session.id, sent.cookie);
});

test('requests that overlap keep each other\'s changes', async (t) => {
  let go;
  const both = new Promise((resolve) => {
    go = resolve;
  });
  let waiting = 0;
  const at = await serve(t, (app) => {
    routes(app);
    app.get('/slow', async (req, res) => {
      req.session[req.query.k] = 1;
      if (++waiting === 2) {
        go();
      }
      await both;
      res.json({});
    });
  });
  const { cookie } = await call(at, { path: '/set?color=red' });
  await Promise.all(['a', 'b'].map((k) => call(at, { path: `/slow?k=${k}`, cookie })));
  assert.deepStrictEqual(shown(await call(at, { path: '/show', cookie })), { color: 'red', a: 1, b: 1 });
});

test('a logout is final, whatever an overlapping request saves afterwards', async (t) => {
  let started;
  const running = new Promise((resolve) => {
    started = resolve;
  });
  let go;
  const out = new Promise((resolve) => {
    go = resolve;
  });
  const at = await serve(t, (app) => {
    routes(app);
    app.get('/slow', async (req, res) => {
      started();
      await out;
      req.session.late = 1;
      res.json({});
    });
  });
  const { cookie } = await call(at, { path: '/set?color=red' });
  const slow = call(at, { path: '/slow', cookie });
  await running;
  assert.strictEqual((await call(at, { path: '/destroy', cookie })).session.state, 'gone');
  go();
  assert.deepStrictEqual([(await slow).session.state, (await slow).contents], ['gone', undefined]);
  assert.strictEqual((await call(at, { path: '/show', cookie })).status, 428);
});

test('a session that the store destroyed is told as gone by its next request', async (t) => {
  const at = await serve(t, routes);
  const { cookie } = await call(at, { path: '/set?color=red' });
  at.store.destroy(cookie);
  const r = await call(at, { path: '/set?color=blue', cookie });
  assert.deepStrictEqual([r.session.was, r.session.version, r.session.id === r.cookie], [cookie, '1.1', true]);
  at.store.clear();
  const gone = await call(at, { path: '/show', cookie: r.cookie });
  assert.deepStrictEqual([gone.session.state, shown(gone)], ['gone', {}]);
  assert.strictEqual((await call(at, { path: '/show', cookie: r.cookie })).status, 428);
});

test('the store\'s all, length, get and load', async (t) => {
  const at = await serve(t, routes);
  const { cookie } = await call(at, { path: '/set?color=red' });
  const take = (name, ...args) => new Promise((resolve, reject) => {
    at.store[name](...args, (err, value) => (err ? reject(err) : resolve(value)));
  });
  assert.strictEqual(await take('length'), 1);
  assert.strictEqual((await take('all'))[cookie].color, 'red');
  assert.strictEqual((await take('get', cookie)).color, 'red');
  const loaded = await take('load', cookie);
  assert.strictEqual(loaded.id, cookie);
  loaded.color = 'blue';
  loaded.save();
  assert.strictEqual((await take('get', cookie)).color, 'blue');
  assert.strictEqual(await take('get', 'UNKNOWN.node1'), undefined);
  const r = await call(at, { path: '/show', cookie });
  assert.deepStrictEqual([r.session.version, r.contents], ['1.2', { color: 'blue' }], 'it is told by the next request');
});

test('genid makes the base id, and the same id again is a newer session', async (t) => {
  const at = await serve(t, routes, { genid: () => 'user-7' });
  assert.strictEqual((await call(at, { path: '/set?color=red' })).cookie, 'user-7.node1');
  const again = await call(at, { path: '/set?size=big' });
  assert.deepStrictEqual([again.session.version, again.contents], ['1.2', { size: 'big' }]);
  at.store.destroy('user-7.node1');
  const anew = await call(at, { path: '/set?color=blue' });
  assert.deepStrictEqual([anew.session.version, anew.contents], ['1.3', { color: 'blue' }], 'nobody was told of the end');
  for (const bad of ['with.dot', '', 'ü', undefined]) {
    const other = await serve(t, routes, { genid: () => bad });
    assert.strictEqual((await call(other, { path: '/show' })).status, 500);
  }
});

test('without a token sessions are local, and nobody is told', async (t) => {
  const at = await serve(t, routes, { rehydra: { token: '', route: '' } });
  const made = await call(at, { path: '/set?color=red', fields: null });
  assert.match(made.cookie, /^[A-Za-z0-9_-]{32}$/);
  const headers = { Cookie: `JSESSIONID=${made.cookie}` };
  assert.deepStrictEqual(shown(await call(at, { path: '/show', fields: null, headers })), { color: 'red' });
  const r = await call(at, { path: '/destroy', headers });
  assert.deepStrictEqual(Object.keys(r.headers).filter((n) => n.startsWith('rehydra')), []);
  assert.strictEqual(at.store.registry.size, 0);
});
