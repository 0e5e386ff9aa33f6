'use strict';

const crypto = require('node:crypto');
const version = require('./version');

const prefix = 'rehydra-';

// Names of the protocol's fields, sections 1 and 3. Node gives request fields in lower case.
const request = Object.freeze({
  tier: 'rehydra-tier', id: 'rehydra-id', have: 'rehydra-have', state: 'rehydra-state', op: 'rehydra-op',
});
const response = Object.freeze({
  adapter: 'Rehydra-Adapter', session: 'Rehydra-Session', state: 'Rehydra-State', need: 'Rehydra-Need',
});

/**
 * Collects the protocol's fields of a request by name, each with every value it was sent with. (In req.headers, Node joins what was
 * there twice.)
 */
function fieldsOf(req) {
  const fields = new Map();
  const raw = req.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    // Only what begins with an R or r is looked at closer.
    if ((raw[i].charCodeAt(0) | 0x20) !== 0x72) {
      continue;
    }
    const name = raw[i].toLowerCase();
    if (name.startsWith(prefix)) {
      const values = fields.get(name);
      if (values === undefined) {
        fields.set(name, [raw[i + 1]]);
      } else {
        values.push(raw[i + 1]);
      }
    }
  }
  return fields;
}

/** Removes the protocol's fields from a request: the application has no use for them, and one of them is a secret. */
function hideFields(req, fields) {
  for (const name of fields.keys()) {
    delete req.headers[name];
  }
  const raw = req.rawHeaders;
  let kept = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!fields.has(raw[i].toLowerCase())) {
      raw[kept++] = raw[i];
      raw[kept++] = raw[i + 1];
    }
  }
  raw.length = kept;
}

/** Digests a token, so that comparing tells neither the token nor its length. */
function digest(token) {
  return crypto.createHash('sha256').update(token, 'latin1').digest();
}

/** Reports whether the fields are the proxy's: exactly one Rehydra-Tier, and the right one. */
function isTier(fields, tokenDigest) {
  const given = fields.get(request.tier);
  return tokenDigest !== null && given !== undefined && given.length === 1 &&
    crypto.timingSafeEqual(digest(given[0]), tokenDigest);
}

/**
 * Reads Rehydra-Have: {kind: 'absent' | 'version' | 'none' | 'gone' | 'ask', version}. What cannot be read, or is there twice, is as ask:
 * the proxy is told to look again, and nothing runs with a session that may be old.
 */
function parseHave(values) {
  if (values === undefined) {
    return { kind: 'absent', version: null };
  }
  if (values.length === 1) {
    if (values[0] === 'none' || values[0] === 'gone') {
      return { kind: values[0], version: null };
    }
    const v = version.parse(values[0]);
    if (v !== null) {
      return { kind: 'version', version: v };
    }
  }
  return { kind: 'ask', version: null };
}

/** Decodes Rehydra-State. Node's decoder takes anything; what does not come out as it went in is null. */
function decodeState(field) {
  const bytes = Buffer.from(field, 'base64url');
  return bytes.toString('base64url') === field ? bytes : null;
}

function encodeState(text) {
  return Buffer.from(text, 'utf8').toString('base64url');
}

/**
 * Formats Rehydra-Session.
 * @param {{id: string, was: string, version: object, ttl: number, kind: string}} report ttl in seconds, 0 is no limit
 */
function formatReport(report, app) {
  const was = report.was === '' ? '' : ` was="${report.was}";`;
  return `id="${report.id}";${was} app="${app}"; version=${version.format(report.version)}; ttl=${report.ttl}; state=${report.kind}`;
}

function formatNeed(id, app) {
  return `id="${id}"; app="${app}"`;
}

module.exports = {
  prefix, request, response, fieldsOf, hideFields, digest, isTier, parseHave, decodeState, encodeState, formatReport, formatNeed,
};
