'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { decide } = require('../lib/decide');
const { baseOf } = require('../lib/id');
const { parseHave } = require('../lib/protocol');
const version = require('../lib/version');

// The table reads beside section 2 of the protocol, rule by rule. The backend is node1.
const one = { 'A.node1': '2.5' };
const table = [
  { name: '3: no id, nothing held' },
  { name: '3: no Rehydra-Id, a local cookie', cookies: ['A.node1'], local: one, run: 'A.node1' },
  { name: '3: no Rehydra-Id, another route', cookies: ['A.node2'], local: one },
  { name: '3: none, nothing held', id: 'A.node1', have: 'none' },
  { name: '3: none, held under exactly the id', id: 'A.node1', have: 'none', local: one, run: 'A.node1' },
  { name: '3: none, held under another route', id: 'A.node2', have: 'none', local: one },
  { name: '3: gone, nothing held', id: 'A.node1', have: 'gone' },
  { name: '3: gone, a local copy', id: 'A.node2', have: 'gone', local: one, drop: true },
  { name: '3: ask, nothing held', id: 'A.node2', have: 'ask', need: 'A.node2' },
  { name: '3: ask, a local copy', id: 'A.node1', have: 'ask', local: one, need: 'A.node1' },
  { name: '3: a Have that cannot be read', id: 'A.node1', have: 'new', local: one, need: 'A.node1' },

  { name: '4: state, nothing held', id: 'A.node2', have: '3.0', state: true, run: 'A.node2', install: true },
  { name: '4: state, newer', id: 'A.node2', have: '3.0', state: true, local: one, run: 'A.node2', install: true },
  { name: '4: state, as old', id: 'A.node2', have: '2.5', state: true, local: one, run: 'A.node2' },
  { name: '4: state, older', id: 'A.node2', have: '2.4', state: true, local: one, run: 'A.node2' },
  { name: '4: state, a larger counter of an older generation', id: 'A.node1', have: '1.9', state: true, local: one, run: 'A.node1' },

  { name: '5: held, Have as new', id: 'A.node1', have: '2.5', local: one, run: 'A.node1' },
  { name: '5: held, Have older, another route', id: 'A.node2', have: '2.4', local: one, run: 'A.node2' },
  { name: '5: held, no Have, own route', id: 'A.node1', local: one, run: 'A.node1' },
  { name: '6: held, no Have, another route', id: 'A.node2', local: one, need: 'A.node2' },
  { name: '6: held, no Have, no route', id: 'A', local: one, need: 'A' },
  { name: '6: held, Have newer', id: 'A.node1', have: '3.0', local: one, need: 'A.node1' },
  { name: '6: held, Have newer than a number can tell', id: 'A.node1', have: '900000000000000001.0', need: 'A.node1',
    local: { 'A.node1': '900000000000000000.9' } },
  { name: '6: not held, Have', id: 'A.node1', have: '2.5', need: 'A.node1' },
  { name: '6: not held, no Have', id: 'A.node1', need: 'A.node1' },

  { name: 'several: none held, the first is named', cookies: ['B.node1', 'A.node1'], id: 'A.node1', need: 'B.node1' },
  { name: 'several: the first one held is named', cookies: ['B.node2', 'A.node2'], id: 'B.node2', local: one, need: 'A.node2' },
  { name: 'several: Have is not about the one held', cookies: ['B.node1', 'A.node1'], id: 'B.node1', have: '9.0', local: one, run: 'A.node1' },
  { name: 'several: none is not about the one held', cookies: ['B.node2', 'A.node1'], id: 'B.node2', have: 'none', local: one, run: 'A.node1' },
  { name: 'several: none, another one held under another route', cookies: ['B.node2', 'A.node2'], id: 'B.node2', have: 'none', local: one,
    need: 'A.node2' },
  { name: 'several: gone, another one held', cookies: ['B.node1', 'A.node1'], id: 'B.node1', have: 'gone',
    local: { 'A.node1': '1.1', 'B.node1': '1.1' }, run: 'A.node1', drop: true },
  { name: 'several: state for the second', cookies: ['A.node1', 'B.node2'], id: 'B.node2', have: '2.0', state: true, local: one,
    run: 'B.node2', install: true },
  { name: 'an id from elsewhere than a cookie', cookies: [], id: 'A.node1', local: one, run: 'A.node1' },
];

for (const { name, cookies, id = '', have, state = false, local = {}, ...wanted } of table) {
  test(name, () => {
    const held = new Map(Object.entries(local).map(([full, v]) => [baseOf(full), { id: full, version: version.parse(v) }]));
    const got = decide({
      ids: cookies ?? (id === '' ? [] : [id]), id, state, route: 'node1',
      have: parseHave(have === undefined ? undefined : [have]), local: (base) => held.get(base),
    });
    assert.deepStrictEqual(got, { need: '', run: '', install: false, drop: false, ...wanted });
  });
}

test('a Have that is there twice is as ask', () => {
  assert.strictEqual(parseHave(['2.0', '2.0']).kind, 'ask');
});

test('what is no version', () => {
  for (const text of ['', '1', '1.', '.1', '0.1', '-1.0', '1.0x', '1.1.1', '1'.repeat(19) + '.0', ' 1.0', '１.0']) {
    assert.strictEqual(version.parse(text), null, text);
  }
});
