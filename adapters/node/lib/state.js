'use strict';

// A session's contents: a Map of each value's name to its JSON text, and what its cookie was made with.

/** The number of the form below; a state of another form is refused, not guessed at. */
const format = 1;

/**
 * Writes a session in the form in which it travels:
 *
 *   {"format":1,"cookie":{...},"values":{"name":<JSON>, ...}}
 *
 * Names are sorted, so that equal sessions are equal texts.
 */
function write(cookie, values) {
  const parts = [];
  for (const name of [...values.keys()].sort()) {
    parts.push(`${JSON.stringify(name)}:${values.get(name)}`);
  }
  return `{"format":${format},"cookie":${JSON.stringify(cookie)},"values":{${parts.join(',')}}}`;
}

/**
 * Reads what write wrote.
 * @param {Buffer} bytes
 * @returns {{cookie: object, values: Map<string, string>}|null} null where it cannot be read
 */
function read(bytes) {
  let wire;
  try {
    wire = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  if (!isObject(wire) || wire.format !== format || !isObject(wire.cookie) || !isObject(wire.values)) {
    return null;
  }
  return { cookie: cookieOf(wire.cookie), values: valuesOf(wire.values) };
}

function isObject(v) {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}

/** Takes a session's values as JSON. What JSON leaves out (functions, undefined) is no value. Throws what JSON.stringify throws. */
function valuesOf(session) {
  const values = new Map();
  for (const name of Object.keys(session)) {
    if (name === 'cookie' || name === '__proto__') {
      continue; // the latter would not become a value but what the session inherits from
    }
    const text = JSON.stringify(session[name]);
    if (text !== undefined) {
      values.set(name, text);
    }
  }
  return values;
}

/**
 * Takes what a session's cookie was made with, without the moment at which it expires: that moves with every request, and is made again
 * from originalMaxAge (milliseconds, null = as long as the browser runs).
 */
function cookieOf(cookie) {
  const { originalMaxAge, path, domain, httpOnly, secure, sameSite, priority, partitioned } = cookie;
  return {
    originalMaxAge: typeof originalMaxAge === 'number' ? originalMaxAge : null,
    path, domain, httpOnly, secure, sameSite, priority, partitioned,
  };
}

/** Makes of it what a store's get gives: an object with values of its own and a cookie with its date. */
function toSession(cookie, values, now) {
  const session = {};
  for (const [name, text] of values) {
    session[name] = JSON.parse(text);
  }
  const age = cookie.originalMaxAge;
  session.cookie = { ...cookie, expires: age === null ? null : new Date(now + age) };
  return session;
}

module.exports = { write, read, valuesOf, cookieOf, toSession };
