// Finds the binary in the package for this system, which npm installs beside this one.
'use strict';

const path = require('path');

const name = `{{PROGRAM}}-${process.platform}-${process.arch}`;

/** Returns whether this is a Linux with another C library than glibc. */
function otherLibc() {
  if (process.platform !== 'linux' || !process.report) return false;
  const report = process.report.getReport();
  const { header } = typeof report === 'string' ? JSON.parse(report) : report;
  return !header.glibcVersionRuntime;
}

/** Returns the path of the binary. Throws an error that says why there is none. */
module.exports = function find() {
  let found;
  try {
    found = require.resolve(`${name}/package.json`);
  } catch (_) {
    if (otherLibc()) {
      throw new Error('{{PROGRAM}} needs glibc {{GLIBC}} or newer; this system has another C library, such as musl');
    }
    throw new Error(
      `the package \`${name}\` is not installed: either there is no {{PROGRAM}} for this system, or optional ` +
        'dependencies were left out. Install again without `--omit=optional` and `--no-optional`',
    );
  }
  // Node also looks in the directories above, and in the user's own.
  const { version } = require('./package.json');
  const other = require(found).version;
  if (other !== version) {
    throw new Error(
      `the package \`${name}\` in \`${path.dirname(found)}\` is of version ${other}, and this is {{PROGRAM}} ${version}: ` +
        'install {{PROGRAM}} again',
    );
  }
  return path.join(path.dirname(found), 'bin', '{{PROGRAM}}');
};
