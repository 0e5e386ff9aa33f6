'use strict';

const { baseOf, routeOf } = require('./id');
const { newer } = require('./version');

/**
 * Applies the rules of section 2, from the third on: what to do before the application runs. It changes nothing, so that the table in its
 * test can be read beside the protocol's text.
 *
 * @param {object} s the situation
 * @param {string[]} s.ids the usable ids of the client's cookies, in its order
 * @param {string} s.id Rehydra-Id; '' when the client sent no usable id
 * @param {{kind: string, version: object}} s.have Rehydra-Have, as protocol.parseHave gives it
 * @param {boolean} s.state a readable state came along, as version s.have.version
 * @param {string} s.route this backend's own
 * @param {function(string): ({id: string, version: object}|undefined)} s.local the session held here under a base id
 * @returns {{need: string, run: string, install: boolean, drop: boolean}}
 *   need: answer 428 for this id and do nothing else; '' = run.
 *   run: the id whose local session the application gets; '' = none.
 *   install: put the state that came along in place first, as a session of Rehydra-Id's base.
 *   drop: drop the local copy of Rehydra-Id's session first.
 */
function decide(s) {
  const d = { need: '', run: '', install: false, drop: false };
  if (s.id === '') {
    d.run = exact(s, s.ids);
    return d;
  }
  const held = s.local(baseOf(s.id));
  if (s.state && s.have.kind === 'version') {
    d.run = s.id;
    d.install = held === undefined || newer(s.have.version, held.version);
    return d;
  }
  d.drop = s.have.kind === 'gone' && held !== undefined;

  const ids = s.ids.includes(s.id) ? s.ids : [...s.ids, s.id];
  const known = ids.find((id) => s.local(baseOf(id)) !== undefined && !(s.have.kind === 'gone' && baseOf(id) === baseOf(s.id)));
  const subject = known ?? s.id;
  // Rehydra-Have speaks only of Rehydra-Id.
  const have = baseOf(subject) === baseOf(s.id) ? s.have.kind : 'absent';

  if (have === 'none') {
    // As if there were no tier: what is held here counts only under exactly the id that was sent, for anything else may be older than the
    // copies that were lost.
    d.run = exact(s, ids);
    return d;
  }
  if (have === 'gone') {
    return d;
  }
  if (known !== undefined) {
    if ((have === 'version' && !newer(s.have.version, held.version)) || (have === 'absent' && routeOf(known) === s.route)) {
      d.run = known;
      return d;
    }
  }
  d.need = known ?? ids[0];
  return d;
}

/** The first id under which, route included, a session is held here; '' = none. */
function exact(s, ids) {
  return ids.find((id) => s.local(baseOf(id))?.id === id) ?? '';
}

module.exports = { decide };
