'use strict';

// A response's head has to say what became of the session, so it is held back while the application may still change it: until it ends the
// response, or, once it has begun to write the body, until the next turn of the event loop or 8 KiB. A stream of events is held up by no more
// than that. After that the last word is said in trailer fields.

/** How many bytes of a body wait for the end of the response, as many as in Tomcat's response buffer. */
const holdLimit = 8 << 10;

/** How long an application may take to end a response whose client has gone, in milliseconds; until then its session counts as in use. */
const endPatience = 2000;

/** Holds res back and has exchange say what there is to say. Everything that res can do it can still do. */
function holdBack(res, exchange) {
  const held = new HeldResponse(res, exchange);
  for (const name of ['writeHead', 'write', 'end', 'flushHeaders', 'addTrailers']) {
    res[name] = (...args) => held[name](...args);
  }
  const sent = Object.getOwnPropertyDescriptor(res, 'headersSent');
  Object.defineProperty(res, 'headersSent', {
    configurable: true,
    get: () => held.asked || held.chunks.length > 0 || (sent === undefined ? res._header !== null : sent.get.call(res)),
  });
  res.once('close', () => held.closed());
}

class HeldResponse {
  constructor(res, exchange) {
    this.res = res;
    this.exchange = exchange;
    const { writeHead, write, end, flushHeaders, addTrailers } = res;
    this.inner = { writeHead, write, end, flushHeaders, addTrailers };
    this.asked = false; // the application called writeHead; res holds what it said
    this.reason = [];
    this.out = false; // the head is out
    this.committing = false;
    this.ended = false;
    this.abandoned = null; // the timer for an application that goes on though its client has gone
    this.later = false; // trailer fields are due
    this.chunks = []; // [bytes, callback], held back
    this.size = 0; // of what is held back, in bytes, and of the last chunk
    this.trailers = []; // the application's own
  }

  writeHead(status, ...rest) {
    if (this.out) {
      return this.inner.writeHead.call(this.res, status, ...rest);
    }
    if (!Number.isInteger(status) || status < 100 || status > 999) {
      this.inner.writeHead.call(this.res, status); // throws
    }
    this.asked = !this.committing;
    this.res.statusCode = status;
    if (typeof rest[0] === 'string') {
      this.reason = [rest.shift()];
    } else if (rest[0] === undefined || rest[0] === null) {
      rest.shift();
    }
    setHeaders(this.res, rest[0]);
    if (this.committing || !this.exchange.tier) {
      this.sendHead();
    }
    return this.res;
  }

  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') {
      [encoding, callback] = [undefined, encoding];
    }
    const bytes = this.out || !this.exchange.tier || this.ended ? null : bytesOf(chunk, encoding);
    if (bytes === null || !bodyAllowed(this.res.statusCode)) {
      this.commit(false);
      return this.inner.write.call(this.res, chunk, encoding, callback);
    }
    if (this.chunks.length === 0) {
      setImmediate(() => this.commitLater());
    }
    this.chunks.push([bytes, callback]);
    this.size += bytes.length;
    if (this.size > holdLimit) {
      this.commit(false);
    }
    return !this.out || !this.res.writableNeedDrain;
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') {
      [chunk, encoding, callback] = [undefined, undefined, chunk];
    } else if (typeof encoding === 'function') {
      [encoding, callback] = [undefined, encoding];
    }
    if (!this.ended) {
      this.ended = true;
      const last = chunk === undefined || chunk === null ? Buffer.alloc(0) : bytesOf(chunk, encoding);
      this.size += last === null ? NaN : last.length;
      this.commit(true);
      if (this.later) {
        this.inner.addTrailers.call(this.res, [...this.trailers, ...this.exchange.afterBody()]);
      }
      this.exchange.settled();
      if (this.abandoned !== null) {
        clearTimeout(this.abandoned);
        this.exchange.release();
      }
    }
    return this.inner.end.call(this.res, chunk, encoding, callback);
  }

  flushHeaders() {
    this.commit(false);
    this.inner.flushHeaders.call(this.res);
  }

  addTrailers(fields) {
    // Node keeps only what the last call gave.
    this.trailers = Array.isArray(fields) ? [...fields] : Object.entries(fields);
    this.inner.addTrailers.call(this.res, fields);
  }

  /** Ends the use of the session with the connection's use, or with the application's, if that is later. */
  closed() {
    if (this.ended) {
      this.exchange.release();
    } else {
      this.abandoned = setTimeout(() => this.exchange.release(), endPatience).unref();
    }
  }

  /** commit for what nobody waits for: an error here can only be told by a connection that breaks. */
  commitLater() {
    try {
      this.commit(false);
    } catch (err) {
      this.res.destroy(err);
    }
  }

  /** Sends the head and what was held back. */
  commit(final) {
    if (this.out) {
      return;
    }
    this.final = final;
    if (this.asked) {
      this.sendHead();
    } else {
      this.committing = true;
      // Not ours but the outermost: others have something to say in the head as well, express-session the cookie.
      this.res.writeHead(this.res.statusCode);
    }
    for (const [bytes, callback] of this.chunks.splice(0)) {
      this.inner.write.call(this.res, bytes, callback);
    }
  }

  sendHead() {
    const { res } = this;
    this.out = true;
    this.later = this.exchange.beforeHead(res, this.final === true, this.canTrail());
    if (this.final === true && !this.later && this.nodeWouldMeasure()) {
      res.setHeader('Content-Length', this.size);
    }
    this.inner.writeHead.call(res, res.statusCode, ...this.reason);
  }

  /** Reports whether Node would name the body's length by itself: a body that it gets whole with the end, before there is a head. */
  nodeWouldMeasure() {
    const { res } = this;
    return !this.asked && this.chunks.length === 0 && this.size >= 0 && res.req.method !== 'HEAD' && bodyAllowed(res.statusCode) && !res.hasHeader('content-length') &&
      !res.hasHeader('transfer-encoding') && !res.hasHeader('trailer') && this.trailers.length === 0;
  }

  /** Reports whether Node will send the body chunked, with trailer fields after it. */
  canTrail() {
    const { res } = this;
    const coding = res.getHeader('transfer-encoding');
    return res.useChunkedEncodingByDefault && res.req.method !== 'HEAD' && bodyAllowed(res.statusCode) &&
      !res.hasHeader('content-length') && (coding === undefined || coding === 'chunked');
  }
}

/** Does what writeHead does with the headers that it is given: an object, or a list of names and values in turn. */
function setHeaders(res, headers) {
  if (!Array.isArray(headers)) {
    for (const name of Object.keys(headers ?? {})) {
      res.setHeader(name, headers[name]);
    }
    return;
  }
  const flat = Array.isArray(headers[0]) ? headers.flat(1) : headers;
  const values = new Map();
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const key = String(flat[i]).toLowerCase();
    const there = values.get(key) ?? [flat[i]];
    values.set(key, there.concat(flat[i + 1]));
  }
  for (const [name, ...all] of values.values()) {
    res.setHeader(name, all.length === 1 ? all[0] : all);
  }
}

/** A chunk as bytes; null for what write refuses. */
function bytesOf(chunk, encoding) {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, encoding ?? undefined);
  }
  return chunk instanceof Uint8Array ? chunk : null;
}

/** Reports whether a response of that status has a body (RFC 9110, section 6.4.1). */
function bodyAllowed(status) {
  return status >= 200 && status !== 204 && status !== 304;
}

module.exports = { holdBack };
