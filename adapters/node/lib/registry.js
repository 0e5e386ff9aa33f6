'use strict';

/** How long an ended session's id is remembered, in milliseconds: the proxy may ask what became of it. */
const endedFor = 60_000;
const maxEnded = 10_000;

/** How many sessions each request looks at for those whose time is over. */
const sweepStep = 4;

/**
 * Registry holds the sessions by base id: bounded, and without those whose time is over. Their ttl differ, so the order of use says nothing of
 * who is due: each request looks at a few of them in turn. No timer is needed.
 */
class Registry {
  /**
   * @param {number} ttl seconds, for sessions whose cookie has no age; 0: no limit
   * @param {number} max how many sessions are held
   * @param {function(): number} now milliseconds
   */
  constructor(ttl, max, now) {
    this.ttl = ttl;
    this.max = max;
    this.now = now;
    this.byBase = new Map(); // the one used last comes last
    this.detached = new Map(); // base id to those that requests still run with, but that are no longer the session held here
    this.ended = new Map(); // base id to when; the oldest first
    this.cursor = this.byBase.values();
  }

  get size() {
    return this.byBase.size;
  }

  /**
   * Returns the session of a base id, or undefined. One that has ended is returned as long as the proxy was not told of its end.
   */
  find(base) {
    const r = this.byBase.get(base);
    if (r !== undefined && this.isDue(r)) {
      this.remove(r);
      return undefined;
    }
    return r;
  }

  isDue(r) {
    const ttl = r.ttl(this.ttl);
    return ttl > 0 && r.users === 0 && this.now() - r.accessed >= ttl * 1000;
  }

  /** Says that a request begins to use r. */
  use(r) {
    r.users++;
    this.access(r);
    this.sweep();
  }

  release(r) {
    r.users--;
    this.access(r);
    const others = this.detached.get(r.base);
    if (r.users === 0 && others?.delete(r) && others.size === 0) {
      this.detached.delete(r.base);
    }
  }

  access(r) {
    r.accessed = this.now();
    if (this.byBase.get(r.base) === r) {
      this.byBase.delete(r.base);
      this.byBase.set(r.base, r);
    }
  }

  /** Adds r, or puts it in place of the one that has its base id. */
  put(r) {
    const old = this.byBase.get(r.base);
    if (old !== undefined) {
      this.remove(old);
    }
    this.ended.delete(r.base);
    if (this.byBase.size >= this.max) {
      this.evict();
    }
    r.accessed = this.now();
    this.byBase.set(r.base, r);
  }

  /** Takes r out, unless another one has its place by now. */
  remove(r) {
    if (this.byBase.get(r.base) !== r) {
      return;
    }
    this.byBase.delete(r.base);
    if (r.users > 0) {
      const others = this.detached.get(r.base) ?? new Set();
      this.detached.set(r.base, others.add(r));
    }
  }

  /** Ends a session for everybody: the one held here, and what requests still run with. */
  end(base) {
    this.find(base)?.end();
    for (const r of this.detached.get(base) ?? []) {
      r.end();
    }
  }

  /** Takes r out and remembers that it ended. */
  forget(r) {
    this.remove(r);
    this.ended.delete(r.base);
    this.ended.set(r.base, this.now());
  }

  /** Reports whether the session of a base id ended here within the last minute. */
  hasEnded(base) {
    const at = this.ended.get(base);
    return at !== undefined && this.now() - at < endedFor;
  }

  /**
   * Removes the session unused for longest that no request runs with. Behind the proxy it is not lost: the next request of it is answered 428,
   * and its copy comes back.
   */
  evict() {
    for (const r of this.byBase.values()) {
      if (r.users === 0) {
        this.remove(r);
        return;
      }
    }
  }

  sweep() {
    for (let i = 0; i < sweepStep; i++) {
      const { value, done } = this.cursor.next();
      if (done) {
        this.cursor = this.byBase.values();
        break;
      }
      if (this.isDue(value)) {
        this.remove(value);
      }
    }
    for (const [base, at] of this.ended) {
      if (this.now() - at < endedFor && this.ended.size <= maxEnded) {
        break;
      }
      this.ended.delete(base);
    }
  }

  /** The live sessions. */
  *[Symbol.iterator]() {
    for (const r of this.byBase.values()) {
      if (!r.ended && !this.isDue(r)) {
        yield r;
      }
    }
  }
}

module.exports = { Registry };
