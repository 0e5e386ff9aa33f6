'use strict';

const crypto = require('node:crypto');
const { baseOf } = require('./id');
const version = require('./version');
const state = require('./state');

/** express-session's arithmetic loses a millisecond of a cookie's age now and then; less than this is no change. */
const ageSlack = 1000;

/** Record is one session as it is held here. Requests of one session share it, and each has its own copy of the contents. */
class Record {
  /**
   * @param {string} id with this backend's route
   * @param {object|null} installed the version that the proxy gave it; null: a session that nobody was told of
   * @param {object} cookie as state.cookieOf gives it
   * @param {Map<string, string>} values never changed, only replaced
   */
  constructor(id, installed, cookie, values) {
    this.id = id;
    this.base = baseOf(id);
    this.version = installed ?? version.first;
    this.cookie = cookie;
    this.values = values;
    this.ended = false;
    this.accessed = 0; // milliseconds; the registry's
    this.users = 0; // requests that run with it; the registry's
    this.fresh = installed === null; // no version was given out yet
    this.touched = this.fresh; // something changed since digest was taken
    // Not the digest of the bytes that came: an older release may have written the same session differently, and that is no change.
    this.digest = this.fresh ? '' : digestOf(this.text());
    this.pending = 0; // responses whose head is out while their session may still change
    this.waiting = []; // called when there is none of them any more
  }

  text() {
    return state.write(this.cookie, this.values);
  }

  /** Seconds of inactivity it lives for, at least one, where its cookie has an age; else otherwise. */
  ttl(otherwise) {
    const age = this.cookie.originalMaxAge;
    return age === null ? otherwise : Math.max(1, Math.ceil(age / 1000));
  }

  /**
   * Takes over what a request changed: the values that differ between before, as the request found them, and after. Other values may have
   * been changed by other requests meanwhile, and stay.
   */
  merge(before, after) {
    if (this.ended) {
      return;
    }
    const values = new Map(this.values);
    let changed = false;
    for (const [name, text] of after) {
      if (before.get(name) !== text) {
        changed ||= values.get(name) !== text;
        values.set(name, text);
      }
    }
    for (const name of before.keys()) {
      if (!after.has(name)) {
        changed = values.delete(name) || changed;
      }
    }
    if (changed) {
      this.values = values;
      this.touched = true;
    }
  }

  setCookie(cookie) {
    const { originalMaxAge: was, ...flags } = this.cookie;
    const { originalMaxAge: is, ...newFlags } = cookie;
    const sameAge = was === is || (was !== null && is !== null && Math.abs(was - is) < ageSlack);
    if (!this.ended && !(sameAge && JSON.stringify(flags) === JSON.stringify(newFlags))) {
      this.cookie = sameAge ? { ...cookie, originalMaxAge: was } : cookie;
      this.touched = true;
    }
  }

  /**
   * Counts the version up if the state is not the one that the version names.
   * @returns {string|null} the state if it was not told before, else null. What was changed and changed back is no change.
   */
  settle() {
    if (this.ended || !this.touched) {
      return null;
    }
    this.touched = false;
    const text = this.text();
    const digest = digestOf(text);
    if (digest === this.digest) {
      return null;
    }
    this.digest = digest;
    if (this.fresh) {
      this.fresh = false; // the first version is 1.1, given at birth
    } else {
      this.version = version.next(this.version);
    }
    return text;
  }

  end() {
    this.ended = true;
    this.values = new Map();
  }

  /** Says that a response began whose session may still change. */
  beginPending() {
    this.pending++;
  }

  endPending() {
    if (--this.pending === 0) {
      for (const go of this.waiting.splice(0)) {
        go();
      }
    }
  }

  /** Resolves when there is no such response, or after patience milliseconds, or when signal aborts. */
  settled(patience, signal) {
    if (this.pending === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        const at = this.waiting.indexOf(done);
        if (at >= 0) {
          this.waiting.splice(at, 1);
        }
        resolve();
      };
      const timer = setTimeout(done, patience);
      signal.addEventListener('abort', done, { once: true });
      this.waiting.push(done);
    });
  }
}

function digestOf(text) {
  return crypto.createHash('sha256').update(text, 'utf8').digest('base64');
}

module.exports = { Record };
