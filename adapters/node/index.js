'use strict';

// express-session whose sessions outlive the process. README.md is the manual; docs/session-protocol.md, whose section numbers the
// comments in lib/ use, is what is spoken with the proxy.

module.exports = require('./lib/session');
