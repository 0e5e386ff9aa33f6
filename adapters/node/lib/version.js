'use strict';

// A version orders the states of one session: by generation, which the proxy raises each time it installs the session at a backend,
// then by counter, which goes up here with each change. Both are BigInt: a generation may have more digits than a number keeps.

/** The version of a session that nobody was told of. */
const first = Object.freeze({ generation: 1n, counter: 1n });

/**
 * Reads "generation.counter": two decimal numbers of at most 18 digits, the generation at least 1.
 * @returns the version, or null where the text is none
 */
function parse(text) {
  const m = /^([0-9]{1,18})\.([0-9]{1,18})$/.exec(text);
  if (m === null || BigInt(m[1]) === 0n) {
    return null;
  }
  return { generation: BigInt(m[1]), counter: BigInt(m[2]) };
}

function format(v) {
  return `${v.generation}.${v.counter}`;
}

/** Reports whether a is newer than b. */
function newer(a, b) {
  return a.generation > b.generation || (a.generation === b.generation && a.counter > b.counter);
}

function next(v) {
  return { generation: v.generation, counter: v.counter + 1n };
}

module.exports = { first, parse, format, newer, next };
