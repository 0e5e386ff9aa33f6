'use strict';

const crypto = require('node:crypto');
const { valid } = require('./id');

// The proxy must see a session's route, so the id travels as it is: JSESSIONID=<base id>.<route>. express-session reads and writes ids signed.
// Cookies translates between the two: it signs the one id that a request is to run with, under a secret that never leaves the process, and
// takes the signature off again in Set-Cookie.

class Cookies {
  /** @param {string} name the session cookie's */
  constructor(name) {
    this.name = name;
    this.secret = crypto.randomBytes(32).toString('base64');
    this.signedPrefix = `${name}=s%3A`;
  }

  /** The usable session ids that the client sent, in its order. It may hold several cookies of one name, set for different paths or domains. */
  ids(header) {
    const found = [];
    this.each(header, (value) => {
      const id = value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
      if (valid(id)) {
        found.push(id);
      }
    });
    return found;
  }

  /** The Cookie header for express-session: with id as the only session cookie, or with none where id is ''. */
  requestHeader(header, id) {
    const others = this.each(header, () => {});
    if (id !== '') {
      others.unshift(`${this.name}=${encodeURIComponent(this.sign(id))}`);
    }
    return others.join(';');
  }

  /** Calls found with the value of each session cookie, and returns the others as they stand there. */
  each(header, found) {
    const others = [];
    for (const pair of header === undefined ? [] : header.split(';')) {
      const equals = pair.indexOf('=');
      if (equals >= 0 && pair.slice(0, equals).trim() === this.name) {
        found(pair.slice(equals + 1).trim());
      } else {
        others.push(pair);
      }
    }
    return others;
  }

  /** Puts the plain id in place of the signed one in a response's Set-Cookie, and returns it; '' where no session cookie is set. */
  plain(res) {
    const fields = res.getHeader('set-cookie');
    if (fields === undefined) {
      return '';
    }
    let set = '';
    const plain = [].concat(fields).map((field) => {
      const id = String(field).startsWith(this.signedPrefix) ? this.signedId(field) : '';
      if (id === '') {
        return field;
      }
      set = id;
      const rest = field.indexOf(';');
      return `${this.name}=${id}${rest < 0 ? '' : field.slice(rest)}`;
    });
    if (set !== '') {
      res.setHeader('Set-Cookie', plain);
    }
    return set;
  }

  signedId(field) {
    const signed = decodeURIComponent(field.slice(this.name.length + 1).split(';', 1)[0]);
    const id = signed.slice(2, signed.lastIndexOf('.'));
    return signed === this.sign(id) ? id : '';
  }

  /** As express-session writes it: s:<id>.<HMAC-SHA256 in base64 without padding>. */
  sign(id) {
    const mac = crypto.createHmac('sha256', this.secret).update(id).digest('base64').replace(/=+$/, '');
    return `s:${id}.${mac}`;
  }
}

module.exports = { Cookies };
