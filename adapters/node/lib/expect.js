'use strict';

// Node's server answers Expect: 100-continue by itself, before any middleware runs, unless somebody listens to checkContinue. An adapter has to
// say 428 in place of 100 where it needs a session.

/** On a request: its client waits for 100, and sends the body after that. */
const awaited = Symbol('100 is awaited');

/**
 * Has server leave Expect: 100-continue to manager. An application that listens to checkContinue itself keeps doing so.
 * @param {http.Server|undefined} server
 */
function attach(server, manager) {
  if (server === undefined || server === null || server.listenerCount('checkContinue') > 0) {
    return;
  }
  server.on('checkContinue', (req, res) => {
    if (manager.wouldRefuse(req)) {
      req[awaited] = res;
    } else {
      res.writeContinue();
    }
    server.emit('request', req, res);
  });
}

/** Reports whether the client waits for 100 before it sends the body. */
function bodyAwaited(req) {
  return req[awaited] !== undefined;
}

/** Lets a client that waits for 100 send the body. */
function goOn(req) {
  if (bodyAwaited(req)) {
    req[awaited].writeContinue();
    req[awaited] = undefined;
  }
}

module.exports = { attach, bodyAwaited, goOn };
