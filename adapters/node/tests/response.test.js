'use strict';

// Ways to send a response: each must say what became of the session, and look to the client as it does without the middleware.

const test = require('node:test');
const assert = require('node:assert');
const http = require('node:http');
const express = require('express');
const { Readable } = require('node:stream');
const { once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { serve, listen, call, operate } = require('./support');

const big = (n) => Buffer.alloc(n, 'x').toString();

/** What applications do. Each changes the session, if there is one, before it ends the response. */
const ways = {
  'res.send': (req, res) => res.send('hello'),
  'res.json': (req, res) => res.json({ a: 1 }),
  'res.end': (req, res) => res.end('hello'),
  'res.end, empty': (req, res) => res.end(),
  'res.end, with a callback': (req, res) => res.end('hello', 'utf8', () => {}),
  'res.end, a callback only': (req, res) => res.end(() => {}),
  'writeHead and end': (req, res) => res.writeHead(201, 'Made', { 'X-A': '1', 'Content-Type': 'text/plain' }).end('hello'),
  'writeHead with a list': (req, res) => res.writeHead(200, ['X-A', '1', 'X-B', '2']).end('hello'),
  'writeHead and a length': (req, res) => res.writeHead(200, { 'Content-Length': 5 }).end('hello'),
  'two writes': (req, res) => {
    res.write('hel');
    res.write(Buffer.from('bG8=', 'utf8').toString(), 'base64');
    res.end();
  },
  'a stream': (req, res) => Readable.from(['a', 'b', big(100_000)]).pipe(res),
  'a stream with a length': (req, res) => {
    res.set('Content-Length', '100001');
    Readable.from(['a', big(100_000)]).pipe(res);
  },
  'an event stream': async (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: 1\n\n');
    await pause(20);
    res.end('data: 2\n\n');
  },
  'flushHeaders': (req, res) => {
    res.flushHeaders();
    res.end('hello');
  },
  'no content': (req, res) => res.status(204).end(),
  'not modified': (req, res) => res.status(304).end(),
  'a redirect': (req, res) => res.redirect('/elsewhere'),
  'own trailers': (req, res) => {
    res.writeHead(200, { Trailer: 'X-Sum' });
    res.write(big(10_000));
    res.addTrailers({ 'X-Sum': '7' });
    res.end();
  },
  'an error': () => {
    throw new Error('broken');
  },
  'a file': (req, res) => res.sendFile(__filename),
};

/** Drops what differs from request to request. */
function visible(r) {
  const headers = Object.entries(r.headers).filter(([name]) => !/^(rehydra-|set-cookie|date|etag|last-modified)/.test(name));
  const trailers = Object.entries(r.trailers).filter(([name]) => !name.startsWith('rehydra-'));
  // Where large parts of a stream are cut into chunks is nobody's business.
  return { status: r.status, headers: Object.fromEntries(headers), trailers: Object.fromEntries(trailers), body: r.body };
}

for (const [name, way] of Object.entries(ways)) {
  for (const method of name === 'own trailers' ? ['GET'] : ['GET', 'HEAD']) {
    test(`${name}, ${method}`, async (t) => {
      const routes = (app) => {
        app.get('/change', async (req, res) => {
          if (req.session) {
            req.session.count = (req.session.count ?? 0) + 1;
          }
          await way(req, res);
        });
      };
      const plain = express();
      plain.set('env', 'test');
      routes(plain);
      const server = http.createServer(plain);
      await listen(t, server);
      const wanted = await call({ port: server.address().port }, { path: '/change', method, fields: null });

      const at = await serve(t, routes);
      for (const fields of [undefined, null]) {
        const first = await call(at, { path: '/change', method, fields });
        assert.deepStrictEqual(visible(first), visible(wanted));
        assert.match(first.cookie, /^[A-Za-z0-9_-]{32}\.node1$/);
        if (fields === null) {
          assert.deepStrictEqual(Object.keys({ ...first.headers, ...first.trailers }).filter((n) => n.startsWith('rehydra')), []);
          continue;
        }
        assert.strictEqual(first.headers['rehydra-adapter'], '1');
        const second = await call(at, { path: '/change', method, cookie: first.cookie });
        const read = await operate(at, 'read', first.cookie);
        assert.deepStrictEqual(JSON.parse(read.body).values, { count: 2 });
        assert.deepStrictEqual([first.session.version, second.session.id], ['1.1', first.cookie]);
        if (second.session.state !== 'pull') {
          assert.deepStrictEqual([second.session.version, second.contents], ['1.2', { count: 2 }]);
        }
      }
    });
  }
}

test('how it is told: in the head, in trailers, or by asking', async (t) => {
  const at = await serve(t, (app) => {
    app.get('/make', (req, res) => {
      req.session.made = 1;
      res.send('made');
    });
    app.get('/:n/send', (req, res) => {
      req.session.big = big(Number(req.params.n));
      res.send('sent'); // names its length
    });
    app.get('/:n/end', (req, res) => {
      req.session.big = big(Number(req.params.n));
      res.end('ended');
    });
    app.get('/:n/stream', async (req, res) => {
      res.write('begun');
      await pause(1);
      req.session.big = big(Number(req.params.n));
      res.end();
    });
  });
  const { cookie } = await call(at, { path: '/make' });
  for (const [path, late, state] of [
    ['/10/send', false, 'inline'], ['/12/end', false, 'inline'], ['/11/stream', true, 'inline'],
    ['/5000/send', false, 'pull'], ['/5001/end', true, 'inline'], ['/5002/stream', true, 'inline'],
    ['/1000000/end', false, 'pull'], ['/1000001/stream', true, 'pull'], ['/1000001/stream', true, 'same'],
  ]) {
    const r = await call(at, { path, cookie });
    assert.deepStrictEqual([path, r.late, r.session.state], [path, late, state]);
    assert.strictEqual(r.state !== undefined, state === 'inline', path);
  }
});

test('an event reaches the client while the response goes on', async (t) => {
  let go;
  const seen = new Promise((resolve) => {
    go = resolve;
  });
  const at = await serve(t, (app) => {
    app.get('/events', async (req, res) => {
      res.type('text/event-stream').write('data: 1\n\n');
      assert.ok(res.headersSent);
      await seen;
      res.end();
    });
  });
  const req = http.request({ port: at.port, host: '127.0.0.1', path: '/events', headers: { 'Rehydra-Tier': 'a-token-of-the-test' } }).end();
  const [res] = await once(req, 'response');
  const [event] = await once(res, 'data');
  assert.strictEqual(event.toString(), 'data: 1\n\n');
  go();
  await once(res.resume(), 'end');
});

test('a session that is made after the response began is none: the client cannot learn of it', async (t) => {
  const at = await serve(t, (app) => {
    app.get('/late', async (req, res) => {
      res.flushHeaders();
      req.session.color = 'red';
      res.end();
    });
  });
  const r = await call(at, { path: '/late' });
  assert.deepStrictEqual([r.session, r.cookie, at.store.registry.size], [undefined, undefined, 0]);
});

test('a session that is new when the response begins is told at once and again at its end', async (t) => {
  const at = await serve(t, (app) => {
    app.get('/begin', async (req, res) => {
      req.session.color = 'red';
      res.flushHeaders();
      await pause(1);
      req.session.size = 'big';
      res.end();
    });
  });
  const r = await call(at, { path: '/begin' });
  assert.match(r.headers['rehydra-session'], /version=1\.1; ttl=86400; state=late$/);
  assert.deepStrictEqual([r.session.version, r.contents], ['1.1', { color: 'red', size: 'big' }]);
  assert.strictEqual(r.session.id, r.cookie);
});

test('what the application says in the protocol\'s fields does not count', async (t) => {
  const at = await serve(t, (app) => {
    app.get('/lie', (req, res) => {
      res.set('Rehydra-Session', 'id="X.node1"; app="/"; version=9.9; ttl=1; state=gone');
      req.session.color = 'red';
      res.writeHead(200, { 'Rehydra-State': 'eA' }).end();
    });
  });
  const r = await call(at, { path: '/lie' });
  assert.deepStrictEqual([r.session.id, r.contents], [r.cookie, { color: 'red' }]);
});

test('a client that goes away: what the application still changes is read, and nothing stays in use', async (t) => {
  let begun;
  let ending;
  const at = await serve(t, (app) => {
    app.get('/set', (req, res) => {
      req.session.color = 'red';
      res.end();
    });
    app.get('/slow', (req, res) => {
      res.flushHeaders();
      ending = (ends) => {
        req.session.color = ends;
        if (ends) {
          res.end();
        }
      };
      res.once('close', () => begun(res));
    });
  });
  const { cookie } = await call(at, { path: '/set' });
  const record = at.store.registry.find(cookie.split('.')[0]);
  for (const ends of ['blue', '']) {
    const closed = new Promise((resolve) => {
      begun = resolve;
    });
    const req = http.request({ port: at.port, host: '127.0.0.1', path: '/slow',
      headers: { 'Rehydra-Tier': 'a-token-of-the-test', 'Rehydra-Id': cookie, Cookie: `JSESSIONID=${cookie}` } }).end();
    const [res] = await once(req, 'response');
    res.destroy();
    await closed;
    const read = operate(at, 'read', cookie);
    await once(at.server, 'request');
    ending(ends); // an application that does not end such a response is waited for in vain, but not for ever
    assert.deepStrictEqual(JSON.parse((await read).body).values, { color: 'blue' });
    for (let i = 0; i < 500 && record.users > 0; i++) {
      await pause(10);
    }
    assert.deepStrictEqual([record.users, record.pending], [0, 0]);
  }
});

test('a read waits for the response that told the proxy to ask', async (t) => {
  let go;
  const asked = new Promise((resolve) => {
    go = resolve;
  });
  const at = await serve(t, (app) => {
    app.get('/set', (req, res) => {
      req.session.color = 'red';
      res.end();
    });
    app.get('/fixed', async (req, res) => {
      res.set('Content-Length', '5').write('hello');
      await asked;
      req.session.color = 'blue';
      res.end();
    });
  });
  const { cookie } = await call(at, { path: '/set' });
  const fixed = await call(at, { path: '/fixed', cookie });
  assert.strictEqual(fixed.session.state, 'pull');
  const read = operate(at, 'read', cookie);
  await once(at.server, 'request'); // the read is there, and must wait now
  go();
  assert.deepStrictEqual(JSON.parse((await read).body).values, { color: 'blue' });
});
