// Puts the binary in the place of its launcher, so that no Node process stays beside it. Where scripts may not run, the
// launcher stays and does the same job.
'use strict';

const fs = require('fs');
const path = require('path');

const place = path.join(__dirname, 'bin', '{{PROGRAM}}');
const fresh = `${place}.new`;

try {
  const binary = require('./find.js')();
  fs.rmSync ? fs.rmSync(fresh, { force: true }) : fs.existsSync(fresh) && fs.unlinkSync(fresh);
  try {
    // One file on the disk, where both packages are on one.
    fs.linkSync(binary, fresh);
  } catch (_) {
    fs.copyFileSync(binary, fresh);
  }
  fs.chmodSync(fresh, 0o755);
  fs.renameSync(fresh, place);
} catch (error) {
  // The launcher says so again, when it is started.
  console.warn(`warning: ${error.message}`);
}
