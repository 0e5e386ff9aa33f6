'use strict';

const { baseOf } = require('./id');
const { prefix, response: field, encodeState, formatReport } = require('./protocol');

/** Exchange is one request and its response, as far as they concern a session. */
class Exchange {
  /**
   * @param {Manager} manager
   * @param {IncomingMessage} req
   * @param {boolean} tier the proxy asked, and is told
   */
  constructor(manager, req, tier) {
    this.manager = manager;
    this.req = req;
    this.tier = tier;
    this.sent = ''; // the id under which the client asked for its session
    this.before = ''; // the id that this session has here
    this.held = null; // the record that the request came with
    this.made = null; // the record that it made
    this.learned = ''; // the id that the response's Set-Cookie tells
    this.used = new Set();
    this.released = false;
    this.pending = null; // the record that the proxy was told to wait or ask for
    this.trailing = null; // a last word that was too large for the head
  }

  /** Makes record the request's session; sent is the id under which the client asked for it. */
  adopt(record, sent) {
    this.sent = sent;
    this.before = record.id;
    this.hold(record);
  }

  /** Says that the request has a copy of record, or changed it. */
  hold(record) {
    this.use(record);
    if (record !== this.made) {
      this.held = record;
    }
  }

  /** Says that the request made record. */
  create(record) {
    if (this.made !== null) {
      this.manager.registry.remove(this.made); // made and given up in one request: nobody knows of it
    }
    this.use(record);
    this.made = record;
  }

  use(record) {
    if (!this.released && !this.used.has(record)) {
      this.used.add(record);
      this.manager.registry.use(record);
    }
  }

  /** The record to tell of. One whose id the client could not learn is none: it is given up. */
  current() {
    const made = this.made;
    if (made !== null && made.id !== this.learned && made.id !== this.sent) {
      this.manager.registry.remove(made);
      this.made = null;
    }
    return this.made ?? this.held;
  }

  /**
   * Adds to a response's head what the client and the proxy are to know.
   * @param {boolean} final the application has ended the response, and express-session has saved the session
   * @param {boolean} canTrail trailer fields can follow
   * @returns {boolean} whether the last word is still to be said, in trailer fields
   */
  beforeHead(res, final, canTrail) {
    this.learned = this.manager.cookies.plain(res);
    const session = this.req.session;
    const known = this.made?.id === this.learned || this.held?.id === this.learned;
    if (!final && !known && this.learned !== '' && session?.id === this.learned) {
      session.save(); // the client learns of a session that express-session would save at the response's end only
    }
    if (!this.tier) {
      return false;
    }
    for (const name of res.getHeaderNames()) {
      if (name.startsWith(prefix)) {
        res.removeHeader(name);
      }
    }
    res.setHeader(field.adapter, '1');
    const report = final ? this.lastWord() : this.earlyWord(canTrail);
    if (report === null) {
      return false;
    }
    const { inlineLimit, maxState } = this.manager.options;
    if (report.kind === 'inline') {
      const size = Buffer.byteLength(report.state);
      if (size <= inlineLimit) {
        res.setHeader(field.state, encodeState(report.state));
      } else if (canTrail && size <= maxState) {
        this.trailing = { ...report };
        report.kind = 'late';
      } else {
        report.kind = 'pull';
      }
    }
    res.setHeader(field.session, formatReport(report, this.manager.options.app));
    return report.kind === 'late';
  }

  /** What can be said while the application still runs: a promise, unless the session has ended. */
  earlyWord(canTrail) {
    const record = this.current();
    if (record === null || record.ended) {
      return this.lastWord(); // no other session can follow: the client could not learn its id
    }
    record.beginPending();
    this.pending = record;
    return this.report(record, canTrail ? 'late' : 'pull');
  }

  /** The trailer fields that say the last word, as pairs. */
  afterBody() {
    const report = this.trailing ?? this.lastWord();
    if (report === null) {
      return [];
    }
    if (report.kind === 'inline' && Buffer.byteLength(report.state) > this.manager.options.maxState) {
      report.kind = 'pull';
    }
    const fields = [[field.session, formatReport(report, this.manager.options.app)]];
    if (report.kind === 'inline') {
      fields.push([field.state, encodeState(report.state)]);
    }
    return fields;
  }

  /** What became of the request's session; null when it had none. */
  lastWord() {
    const record = this.current();
    if (record === null) {
      return null;
    }
    if (record.ended) {
      this.manager.registry.forget(record);
      return this.report(record, 'gone');
    }
    if (record === this.made && this.held?.ended) {
      this.manager.registry.forget(this.held); // told as was
    }
    const state = record.settle();
    return { ...this.report(record, state === null ? 'same' : 'inline'), state };
  }

  report(record, kind) {
    const was = this.before !== '' && baseOf(this.before) !== record.base ? this.before : '';
    return { id: record.id, was, version: record.version, ttl: record.ttl(this.manager.registry.ttl), kind, state: null };
  }

  /** Says that the session will not change any more by this request. */
  settled() {
    this.pending?.endPending();
    this.pending = null;
  }

  /** Ends the request's use of its sessions. What it still changes is told with the session's next request. */
  release() {
    this.released = true;
    this.settled();
    this.current(); // gives up what the client could not learn of
    for (const record of this.used) {
      this.manager.registry.release(record);
      if (record.ended && !this.manager.hasTier) {
        this.manager.registry.remove(record); // there is nobody to tell
      }
    }
    this.used.clear();
  }
}

module.exports = { Exchange };
