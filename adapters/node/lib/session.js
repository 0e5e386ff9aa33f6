'use strict';

const express = require('express-session');
const { attach } = require('./expect');
const { Manager } = require('./manager');
const options = require('./options');
const { RehydraStore } = require('./store');

/**
 * Makes the middleware that gives each request its session, as express-session does. It takes express-session's options, without store, and
 * in `rehydra` what the proxy has to do with it; README.md has a table of them.
 *
 * The middleware has two properties: store, the RehydraStore, and attach(server), which has an http.Server answer Expect: 100-continue as the
 * protocol wants it from its very first request on. Without attach it does so from the second.
 *
 * @throws {TypeError} that says which option cannot be used, what was given and what is wanted
 */
function session(given) {
  const manager = new Manager(options.read(given));
  const middleware = (req, res, next) => manager.handle(req, res, next);
  middleware.store = manager.store;
  middleware.attach = (server) => attach(server, manager);
  return middleware;
}

module.exports = session;
module.exports.Store = express.Store;
module.exports.Cookie = express.Cookie;
module.exports.Session = express.Session;
module.exports.RehydraStore = RehydraStore;
