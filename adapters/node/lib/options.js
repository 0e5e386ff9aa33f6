'use strict';

const id = require('./id');

const defaults = Object.freeze({
  token: '',
  route: '',
  app: '/',
  ttl: 24 * 60 * 60,
  inlineLimit: 4096,
  maxState: 1_000_000,
  maxSessions: 100_000,
  now: Date.now,
});

/** The longest route: an id of 32 characters and a dot go before it. */
const maxRoute = id.maxLength - 33;

/** The characters of a cookie's name (RFC 6265, section 4.1.1). */
const cookieName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Takes apart what session() was given.
 * @returns {{rehydra: object, name: string, genid: function|undefined, express: object}} express: what express-session understands
 * @throws {TypeError} that says which option cannot be used, what was given and what is wanted
 */
function read(options = {}) {
  const { rehydra = {}, name, key, genid, store, secret, ...express } = options;
  const cookie = name ?? key ?? 'JSESSIONID';
  wanted(store === undefined, 'store', 'given', 'none: sessions are kept in this process and in the proxy\'s store');
  wanted(typeof cookie === 'string' && cookieName.test(cookie), 'name', cookie, 'a cookie\'s name');
  wanted(genid === undefined || typeof genid === 'function', 'genid', genid, 'a function');
  return {
    rehydra: readRehydra(rehydra), name: cookie, genid,
    express: { ...express, resave: express.resave ?? false, saveUninitialized: express.saveUninitialized ?? false },
  };
}

function readRehydra(given) {
  wanted(typeof given === 'object' && given !== null, 'rehydra', given, 'an object such as {token, route}');
  for (const name of Object.keys(given)) {
    wanted(name in defaults, `rehydra.${name}`, given[name], `one of ${Object.keys(defaults).join(', ')}`);
  }
  const o = { ...defaults };
  for (const name of Object.keys(defaults)) {
    o[name] = given[name] ?? defaults[name];
  }
  for (const name of ['token', 'route', 'app']) {
    wanted(typeof o[name] === 'string', `rehydra.${name}`, o[name], 'a string');
  }
  wanted(/^[\x21-\x7e]*$/.test(o.token), 'rehydra.token', '(not shown)', 'visible ASCII characters, as in the proxy\'s configuration');
  wanted(o.token === '' || o.route !== '', 'rehydra.route', '', 'this backend\'s route in the proxy\'s configuration, such as "node1"');
  wanted(o.route === '' || (o.route.length <= maxRoute && id.valid(`x.${o.route}`)), 'rehydra.route', o.route,
    `up to ${maxRoute} letters, digits or characters of -._~!*+=:`);
  wanted(/^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/.test(o.app), 'rehydra.app', o.app,
    'up to 255 visible ASCII characters without quotes and backslashes');
  for (const name of ['ttl', 'inlineLimit', 'maxState', 'maxSessions']) {
    wanted(Number.isSafeInteger(o[name]) && o[name] >= 0, `rehydra.${name}`, o[name], 'a whole number, 0 or more');
  }
  wanted(o.maxSessions > 0, 'rehydra.maxSessions', o.maxSessions, 'at least 1');
  wanted(typeof o.now === 'function', 'rehydra.now', o.now, 'a function that gives milliseconds since 1970');
  return Object.freeze(o);
}

function wanted(ok, name, given, what) {
  if (!ok) {
    throw new TypeError(`cannot use option ${name}: ${JSON.stringify(given) ?? typeof given} given, wanted ${what}`);
  }
}

module.exports = { read };
