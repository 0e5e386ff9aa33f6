'use strict';

const id = require('./id');
const protocol = require('./protocol');
const version = require('./version');

/** The method of an operation: an application without an adapter does not know it. */
const method = 'REPORT';

/** What an install may bring at most, in bytes, against a mistake rather than the proxy. */
const maxInstall = 64 << 20;

/** How long a read waits for the end of a response that told the proxy to ask, in milliseconds. */
const readPatience = 2000;

const byName = { read, install, drop };

/** Answers an operation of section 4. The application is not called. */
function operate(manager, fields, req, res) {
  res.setHeader(protocol.response.adapter, '1');
  if (req.method !== method) {
    res.setHeader('Allow', method);
    answer(res, 405);
    return;
  }
  const ops = fields.get(protocol.request.op);
  const ids = fields.get(protocol.request.id);
  if (ops.length === 1 && ops[0] === 'list') {
    list(manager, res);
    return;
  }
  const known = ops.length === 1 && Object.hasOwn(byName, ops[0]);
  if (!known || ids?.length !== 1 || !id.valid(ids[0])) {
    answer(res, 400);
    return;
  }
  byName[ops[0]](manager, ids[0], fields, req, res).catch((err) => {
    // The connection broke: there is nobody to answer.
    res.destroy(err);
  });
}

async function read(manager, given, fields, req, res) {
  const base = id.baseOf(given);
  const { registry } = manager;
  const waited = registry.find(base);
  if (waited !== undefined) {
    const gone = new AbortController();
    res.once('close', () => gone.abort());
    await waited.settled(readPatience, gone.signal);
  }
  const record = registry.find(base); // that response may have ended the session, or given it another id
  if (record === undefined || record.ended) {
    if (record !== undefined) {
      registry.forget(record);
    }
    answer(res, registry.hasEnded(base) ? 410 : 404);
    return;
  }
  record.settle();
  const tag = `"${version.format(record.version)}"`;
  const report = { id: record.id, was: '', version: record.version, ttl: record.ttl(registry.ttl), kind: 'same' };
  res.setHeader(protocol.response.session, protocol.formatReport(report, manager.options.app));
  res.setHeader('ETag', tag);
  if (req.headers['if-none-match'] === tag) {
    answer(res, 304);
    return;
  }
  res.setHeader('Content-Type', 'application/octet-stream');
  res.end(record.text());
}

async function install(manager, given, fields, req, res) {
  const have = protocol.parseHave(fields.get(protocol.request.have));
  const body = await bodyOf(req);
  if (body === null) {
    res.setHeader('Connection', 'close');
    answer(res, 413);
    return;
  }
  const came = have.kind === 'version' ? manager.toRecord(given, have.version, body) : null;
  if (came === null) {
    answer(res, 400);
    return;
  }
  const held = manager.registry.find(came.base);
  if (held !== undefined && !version.newer(have.version, held.version)) {
    answer(res, 409);
    return;
  }
  manager.registry.put(came);
  answer(res, 204);
}

/**
 * Forgets a session that lives elsewhere now. It has not ended. One that requests run with stays: the proxy may have to ask for what they change.
 */
async function drop(manager, given, fields, req, res) {
  const record = manager.registry.find(id.baseOf(given));
  if (record !== undefined && record.users > 0) {
    answer(res, 409);
    return;
  }
  if (record !== undefined) {
    manager.registry.remove(record);
  }
  answer(res, 204);
}

/** Writes a line for each session: id, version, ttl, seconds idle. */
function list(manager, res) {
  const { registry } = manager;
  const lines = [];
  for (const r of registry) {
    const idle = Math.max(0, Math.floor((registry.now() - r.accessed) / 1000));
    lines.push(`${r.id} ${version.format(r.version)} ${r.ttl(registry.ttl)} ${idle}\n`);
  }
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end(lines.join(''));
}

/** Reads a request's body; null when it is too large. */
async function bodyOf(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > maxInstall) {
      return null;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(res, status) {
  res.statusCode = status;
  if (status !== 204 && status !== 304) {
    res.setHeader('Content-Length', 0);
  }
  res.end();
}

module.exports = { operate };
