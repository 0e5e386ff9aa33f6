'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { Record } = require('../lib/record');
const { Registry } = require('../lib/registry');
const state = require('../lib/state');
const version = require('../lib/version');

const cookie = state.cookieOf({ originalMaxAge: null, path: '/', httpOnly: true });
const values = (object) => state.valuesOf(object);
const record = (id = 'A.node1', v = null, given = {}) => new Record(id, v && version.parse(v), cookie, values(given));

test('the first version is 1.1, and each change counts up', () => {
  const r = record();
  assert.notStrictEqual(r.settle(), null);
  assert.strictEqual(version.format(r.version), '1.1');
  assert.strictEqual(r.settle(), null);
  r.merge(values({}), values({ color: 'red' }));
  assert.deepStrictEqual(JSON.parse(r.settle()).values, { color: 'red' });
  assert.strictEqual(version.format(r.version), '1.2');
});

test('an installed session is told only when it changes', () => {
  const r = record('A.node1', '7.0', { color: 'red' });
  assert.strictEqual(r.settle(), null);
  r.merge(values({ color: 'red' }), values({ color: 'blue' }));
  r.merge(values({ color: 'blue' }), values({ color: 'red' }));
  assert.strictEqual(r.settle(), null, 'what was changed and changed back is no change');
  r.merge(values({ color: 'red' }), values({}));
  assert.notStrictEqual(r.settle(), null);
  assert.strictEqual(version.format(r.version), '7.1');
});

test('requests that change different values keep each other\'s', () => {
  const r = record('A.node1', '1.1', { a: 1, b: 1, c: 1 });
  const found = r.values;
  r.merge(found, values({ a: 2, b: 1, c: 1, d: 1 }));
  r.merge(found, values({ a: 1, b: 2 }));
  assert.deepStrictEqual(Object.fromEntries(r.values), { a: '2', b: '2', d: '1' });
});

test('nothing changes a session that has ended', () => {
  const r = record('A.node1', '1.1', { color: 'red' });
  r.end();
  r.merge(values({}), values({ color: 'blue' }));
  r.setCookie({ ...cookie, originalMaxAge: 5000 });
  assert.strictEqual(r.settle(), null);
  assert.strictEqual(r.values.size, 0);
});

test('a millisecond that express-session lost of the age is no change, another age is', () => {
  const r = new Record('A.node1', version.parse('1.1'), { ...cookie, originalMaxAge: 60000 }, new Map());
  r.setCookie({ ...cookie, originalMaxAge: 59999 });
  r.setCookie({ ...cookie, originalMaxAge: 59998 });
  assert.strictEqual(r.settle(), null);
  assert.strictEqual(r.ttl(5), 60);
  r.setCookie({ ...cookie, originalMaxAge: 120000 });
  assert.notStrictEqual(r.settle(), null);
  r.setCookie(cookie);
  assert.strictEqual(r.ttl(5), 5);
});

test('what was written is read, and equal sessions are equal texts', () => {
  const text = state.write(cookie, values({ b: [1, { x: 'ü' }], a: null, f() {}, cookie: {}, ['__proto__x']: 1 }));
  assert.strictEqual(text, state.write(cookie, values({ a: null, ['__proto__x']: 1, b: [1, { x: 'ü' }] })));
  const read = state.read(Buffer.from(text));
  assert.deepStrictEqual(Object.fromEntries(read.values), { a: 'null', b: '[1,{"x":"ü"}]', __proto__x: '1' });
  assert.strictEqual(state.write(read.cookie, read.values), text);
});

test('a value cannot become what a session inherits from', () => {
  const read = state.read(Buffer.from('{"format":1,"cookie":{},"values":{"__proto__":{"admin":true},"a":1}}'));
  const made = state.toSession(read.cookie, read.values, 0);
  assert.strictEqual(made.admin, undefined);
  assert.strictEqual(made.a, 1);
});

test('what cannot be read', () => {
  const good = state.write(cookie, values({ a: 1 }));
  for (const text of ['', 'garbage', '[]', 'null', '{}', good.slice(0, -1), good.replace('"format":1', '"format":2'),
    '{"format":1,"cookie":{},"values":[]}', '{"format":1,"cookie":null,"values":{}}']) {
    assert.strictEqual(state.read(Buffer.from(text)), null, text);
  }
});

test('a registry is bounded: the one unused for longest makes room, but none in use', () => {
  let now = 0;
  const g = new Registry(60, 3, () => now++);
  const [a, b, c, d] = ['A', 'B', 'C', 'D'].map((base) => record(`${base}.node1`));
  g.put(a);
  g.put(b);
  g.put(c);
  g.use(a);
  g.use(b);
  g.release(b);
  g.access(c);
  g.put(d);
  assert.deepStrictEqual([...g].map((r) => r.base), ['A', 'C', 'D']);
});

test('a session is gone after its own ttl, but not while a request runs with it', () => {
  let now = 0;
  const g = new Registry(60, 10, () => now);
  const short = new Record('S.node1', null, { ...cookie, originalMaxAge: 10_000 }, new Map());
  const long = record('L.node1');
  g.put(short);
  g.put(long);
  g.use(short);
  now = 30_000;
  assert.strictEqual(g.find('S'), short);
  g.release(short);
  now = 39_999;
  assert.strictEqual(g.find('S'), short);
  now = 40_000;
  assert.strictEqual(g.find('S'), undefined);
  assert.strictEqual(g.find('L'), long);
  now = 60_000;
  assert.strictEqual(g.find('L'), undefined);
});

test('requests for others clear away what is due', () => {
  let now = 0;
  const g = new Registry(60, 1000, () => now);
  for (let i = 0; i < 100; i++) {
    g.put(record(`B${i}.node1`));
  }
  now = 60_000;
  const r = record();
  g.put(r);
  for (let i = 0; i < 100 && g.size > 1; i++) {
    g.use(r);
    g.release(r);
  }
  assert.deepStrictEqual([...g], [r]);
});

test('a session without a limit stays', () => {
  let now = 0;
  const g = new Registry(0, 10, () => now);
  g.put(record());
  now = 1e15;
  assert.notStrictEqual(g.find('A'), undefined);
});

test('an end is remembered for a minute, and in bounds', () => {
  let now = 0;
  const g = new Registry(0, 10, () => now);
  const r = record();
  g.put(r);
  g.forget(r);
  assert.ok(g.hasEnded('A'));
  now = 60_000;
  assert.ok(!g.hasEnded('A'));
  for (let i = 0; i < 20_000; i++) {
    g.forget(record(`B${i}.node1`));
    g.sweep();
  }
  assert.ok(g.ended.size <= 10_001, `${g.ended.size} ends are remembered`);
});

test('an end reaches those that still run with a session that was moved away', () => {
  const g = new Registry(0, 10, () => 0);
  const r = record();
  g.put(r);
  g.use(r);
  g.remove(r);
  g.end('A');
  assert.ok(r.ended);
  g.release(r);
  assert.strictEqual(g.detached.size, 0);
});

test('a read waits for a response that may still change the session, not for ever, and not for a client that is gone', async () => {
  const r = record();
  const signal = new AbortController();
  await r.settled(1, signal.signal);
  r.beginPending();
  r.beginPending();
  const waits = r.settled(60_000, signal.signal);
  r.endPending();
  assert.strictEqual(r.waiting.length, 1);
  r.endPending();
  await waits;
  r.beginPending();
  await r.settled(1, signal.signal);
  const broken = r.settled(60_000, signal.signal);
  signal.abort();
  await broken;
  assert.strictEqual(r.waiting.length, 0);
});
