'use strict';

const session = require('express-session');
const { Cookies } = require('./cookies');
const { decide } = require('./decide');
const { Exchange } = require('./exchange');
const { attach, goOn, bodyAwaited } = require('./expect');
const id = require('./id');
const operations = require('./operations');
const protocol = require('./protocol');
const { Record } = require('./record');
const { Registry } = require('./registry');
const { holdBack } = require('./response');
const { RehydraStore } = require('./store');
const state = require('./state');

/** Manager keeps the sessions of one application and gives each request its own, through express-session. */
class Manager {
  /** @param {object} options as options.read gives them */
  constructor({ rehydra, name, genid, express }) {
    this.options = rehydra;
    this.hasTier = rehydra.token !== '';
    this.token = this.hasTier ? protocol.digest(rehydra.token) : null;
    this.registry = new Registry(rehydra.ttl, rehydra.maxSessions, rehydra.now);
    this.cookies = new Cookies(name);
    this.exchanges = new WeakMap(); // by request
    this.store = new RehydraStore(this.registry, (req) => (req === undefined ? undefined : this.exchanges.get(req)));
    const settings = {
      ...express, name, store: this.store, secret: this.cookies.secret, genid: (req) => this.newId(genid, req),
    };
    this.express = session(settings);
    // express-session sets the cookie of a session that came along only when it is rolling; a session that came from another backend has a new id
    // for the client to learn.
    this.rolling = session({ ...settings, rolling: true });
  }

  newId(genid, req) {
    const base = genid === undefined ? id.randomBase() : genid(req);
    const made = id.withRoute(base, this.options.route);
    if (!id.valid(base) || base.includes('.') || !id.valid(made)) {
      throw new TypeError(`cannot use the session id ${JSON.stringify(base)} that genid gave: ` +
        `wanted up to ${id.maxLength} letters, digits or characters of -_~!*+=:, the route counted`);
    }
    return made;
  }

  handle(req, res, next) {
    if (req.session || this.exchanges.has(req)) {
      next(); // the middleware is there twice
      return;
    }
    attach(req.socket?.server, this);
    const { tier, fields } = this.readTier(req);
    if (tier && fields.has(protocol.request.op)) {
      operations.operate(this, fields, req, res);
      return;
    }
    const { decision, came, base } = this.judge(req, tier ? fields : null);
    if (decision.need !== '') {
      this.refuse(req, res, decision.need);
      return;
    }
    if (tier) {
      protocol.hideFields(req, fields);
    }
    const exchange = new Exchange(this, req, tier);
    this.exchanges.set(req, exchange);
    this.prepare(exchange, decision, came, base);
    goOn(req);
    holdBack(res, exchange);
    this.runExpress(exchange, req, res, next);
  }

  readTier(req) {
    const fields = protocol.fieldsOf(req);
    return { tier: protocol.isTier(fields, this.token), fields };
  }

  /**
   * Decides about a request, and reads the session that came along. It changes nothing.
   * fields is null without a tier; base is that of Rehydra-Id.
   */
  judge(req, fields) {
    const values = (name) => fields?.get(name);
    const given = values(protocol.request.id);
    const situation = {
      ids: this.cookies.ids(req.headers.cookie),
      id: given?.length === 1 && id.valid(given[0]) ? given[0] : '',
      have: protocol.parseHave(values(protocol.request.have)),
      state: false,
      route: this.options.route,
      local: (base) => this.registry.find(base),
    };
    const states = values(protocol.request.state);
    let came = null;
    if (situation.id !== '' && situation.have.kind === 'version' && states?.length === 1) {
      // A state that cannot be read is as none: the rules for that end in a 428.
      came = this.toRecord(situation.id, situation.have.version, protocol.decodeState(states[0]));
      situation.state = came !== null;
    }
    return { decision: decide(situation), came, base: id.baseOf(situation.id) };
  }

  /** Makes a session of what the proxy sent; null where it cannot be read. */
  toRecord(given, version, bytes) {
    const read = bytes === null ? null : state.read(bytes);
    return read === null ? null : new Record(id.withRoute(id.baseOf(given), this.options.route), version, read.cookie, read.values);
  }

  /** Does what was decided. base is that of Rehydra-Id. */
  prepare(exchange, decision, came, base) {
    const { registry } = this;
    if (decision.drop) {
      const record = registry.find(base);
      registry.remove(record);
      record.end(); // requests that still run with it learn it
    }
    if (decision.install) {
      registry.put(came);
    }
    if (decision.run !== '') {
      exchange.adopt(registry.find(id.baseOf(decision.run)), decision.run);
    }
  }

  /** Runs express-session with the id that was decided on as the only one that it sees. */
  runExpress(exchange, req, res, next) {
    const { headers } = req;
    const sent = headers.cookie;
    const record = exchange.held;
    const runs = record !== null && !record.ended;
    const forExpress = this.cookies.requestHeader(sent, runs ? record.id : '');
    const withCookie = (value) => {
      if (value === undefined || value === '') {
        delete headers.cookie;
      } else {
        headers.cookie = value;
      }
    };
    withCookie(forExpress);
    const middleware = runs && exchange.sent !== record.id ? this.rolling : this.express;
    middleware(req, res, (err) => {
      withCookie(sent);
      next(err);
    });
  }

  /** Answers 428. The body is not read: with Expect: 100-continue the client never sends it, and the connection cannot be used again. */
  refuse(req, res, need) {
    res.statusCode = 428;
    res.setHeader(protocol.response.adapter, '1');
    res.setHeader(protocol.response.need, protocol.formatNeed(need, this.options.app));
    res.setHeader('Content-Length', 0);
    if (bodyAwaited(req)) {
      res.setHeader('Connection', 'close');
    }
    res.end();
  }

  /** Reports whether a request would be answered 428. */
  wouldRefuse(req) {
    const { tier, fields } = this.readTier(req);
    return tier && !fields.has(protocol.request.op) && this.judge(req, fields).decision.need !== '';
  }
}

module.exports = { Manager };
