'use strict';

const session = require('express-session');
const { baseOf } = require('./id');
const { Record } = require('./record');
const state = require('./state');
const version = require('./version');

/**
 * RehydraStore is the express-session store of this backend's memory. Callbacks are called before a method returns: what a response says of its
 * session must be known when its head is made, and express-session sends the head while it waits for a store.
 */
class RehydraStore extends session.Store {
  /**
   * @param {Registry} registry
   * @param {function(object): (Exchange|undefined)} exchangeOf the exchange of a request
   */
  constructor(registry, exchangeOf) {
    super();
    this.registry = registry;
    this.exchangeOf = exchangeOf;
    // What a request's copy was made of: of the object that get gives, then of the Session made of that: {record, values}.
    this.views = new WeakMap();
  }

  get(sid, callback) {
    const record = this.live(sid);
    if (record === undefined) {
      callback(null);
      return;
    }
    const copy = state.toSession(record.cookie, record.values, this.registry.now());
    this.views.set(copy, { record, values: record.values });
    callback(null, copy);
  }

  createSession(req, copy) {
    const view = this.views.get(copy);
    const made = super.createSession(req, copy);
    if (view !== undefined) {
      this.views.set(made, view);
      this.exchangeOf(req)?.hold(view.record);
    }
    return made;
  }

  set(sid, changed, callback = nothing) {
    let values;
    let cookie;
    try {
      values = state.valuesOf(changed);
      cookie = state.cookieOf(changed.cookie);
    } catch (err) {
      callback(new Error(`cannot save session: a value has no JSON form: ${err.message}`));
      return;
    }
    const exchange = this.exchangeOf(changed.req);
    const view = this.views.get(changed);
    // The session that the copy was made of, be it elsewhere by now: what is told of it then has an old version, and the proxy refuses it.
    let record = view?.record ?? this.live(sid);
    if (record === undefined) {
      record = this.make(sid, cookie, values);
      exchange?.create(record);
    } else {
      record.merge(view?.values ?? record.values, values);
      record.setCookie(cookie);
      exchange?.hold(record);
    }
    this.views.set(changed, { record, values });
    callback(null);
  }

  /** Keeps a session alive; its contents are not looked at. */
  touch(sid, touched, callback = nothing) {
    const record = this.views.get(touched)?.record ?? this.live(sid);
    if (record !== undefined) {
      record.setCookie(state.cookieOf(touched.cookie));
      this.registry.access(record);
    }
    callback(null);
  }

  /**
   * Ends a session. The proxy is told by the response that ends it, or by the session's next one; until then it stays here as ended.
   */
  destroy(sid, callback = nothing) {
    if (typeof sid === 'string') {
      this.registry.end(baseOf(sid));
    }
    callback(null);
  }

  /** Gives the sessions held here by id. Others of the same application may be elsewhere. */
  all(callback) {
    const found = {};
    for (const record of this.registry) {
      found[record.id] = state.toSession(record.cookie, record.values, this.registry.now());
    }
    callback(null, found);
  }

  length(callback) {
    callback(null, [...this.registry].length);
  }

  /** Ends the sessions held here. */
  clear(callback = nothing) {
    for (const record of this.registry) {
      record.end();
    }
    callback(null);
  }

  make(sid, cookie, values) {
    const record = new Record(sid, null, cookie, values);
    const ended = this.registry.find(record.base);
    if (ended !== undefined) {
      record.version = version.next(ended.version); // an application that uses an id again, before the proxy knew of its end
    }
    this.registry.put(record);
    return record;
  }

  live(sid) {
    const record = typeof sid === 'string' ? this.registry.find(baseOf(sid)) : undefined;
    return record === undefined || record.ended || record.id !== sid ? undefined : record;
  }
}

function nothing() {}

module.exports = { RehydraStore };
