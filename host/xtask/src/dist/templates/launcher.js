#!/usr/bin/env node
// Starts the binary. `install.js` puts the binary itself in this place, where scripts may run at installation.
'use strict';

const { spawn } = require('child_process');
const os = require('os');

let binary;
try {
  binary = require('../find.js')();
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(69);
}
const words = process.argv.slice(2);
if (process.execve) {
  try {
    // This process becomes the binary. Older versions of Node can't.
    process.execve(binary, [binary, ...words], process.env);
  } catch (_) {
    // Then as a child.
  }
}
const child = spawn(binary, words, { stdio: 'inherit' });
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'];
for (const signal of signals) {
  // A terminal sends its own to the whole group, the child included: it would get them twice.
  const isSent = ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGWINCH', 'SIGCONT'].includes(signal) && process.stdin.isTTY;
  try {
    process.on(signal, () => isSent || child.kill(signal));
  } catch (_) {
    // Not on this system.
  }
}
child.on('error', (error) => {
  console.error(`error: cannot start ${binary}: ${error.message}`);
  process.exit(69);
});
child.on('exit', (code, signal) => process.exit(signal ? 128 + os.constants.signals[signal] : code));
