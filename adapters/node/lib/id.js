'use strict';

const crypto = require('node:crypto');

/** The longest session id that counts as one; the proxy's limit is the same. */
const maxLength = 200;

const idPattern = /^[A-Za-z0-9\-_~!*+=:][A-Za-z0-9\-._~!*+=:]*$/;

/**
 * Reports whether id may be a session id: what the proxy accepts as one. Anything else is as no id at all, so that an id can stand in a
 * header, a log line and a store key as it is.
 */
function valid(id) {
  return typeof id === 'string' && id.length <= maxLength && idPattern.test(id);
}

/** The id up to its first dot: what a session keeps wherever it lives. */
function baseOf(id) {
  const dot = id.indexOf('.');
  return dot < 0 ? id : id.slice(0, dot);
}

/** What follows the first dot. */
function routeOf(id) {
  const dot = id.indexOf('.');
  return dot < 0 ? '' : id.slice(dot + 1);
}

function withRoute(base, route) {
  return route === '' ? base : `${base}.${route}`;
}

/** A base id of 192 random bits, as many as express-session's own ids have. */
function randomBase() {
  return crypto.randomBytes(24).toString('base64url');
}

module.exports = { maxLength, valid, baseOf, routeOf, withRoute, randomBase };
