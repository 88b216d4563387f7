// Makes the component of this project: one without a `wasi:*` import, with its manifest.

import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const read = (path) => readFile(path, "utf8");

/** An unsigned LEB128 number, as WebAssembly has it. */
function leb128(number) {
  const bytes = [];
  do {
    bytes.push((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
    number >>>= 7;
  } while (number > 0);
  return Buffer.from(bytes);
}

/** A custom section: id 0, the size, the name with its length, the data. */
function customSection(name, data) {
  const payload = Buffer.concat([leb128(Buffer.byteLength(name)), Buffer.from(name), data]);
  return Buffer.concat([Buffer.of(0), leb128(payload.length), payload]);
}

/** The modules that a module imports, its own included. Bare names of packages are not followed. */
async function imports(path, found = new Set()) {
  for (const [, name] of (await read(path)).matchAll(/\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g)) {
    const module = name.startsWith(".") ? join(dirname(path), name) : name;
    if (found.has(module)) continue;
    found.add(module);
    if (name.startsWith(".")) await imports(module, found);
  }
  return found;
}

/** The contract with no more of a world than is used: users are asked for everything that a component imports. */
async function contract(from, to, world, used) {
  await mkdir(to, { recursive: true });
  for (const file of await readdir(from)) {
    const text = await read(join(from, file));
    const [head, body] = text.split(`world ${world} {`);
    const kept = body?.replace(/^ *import ([a-z-]+);\n/gm, (line, name) => (used.has(name) ? line : ""));
    await writeFile(join(to, file), kept === undefined ? text : `${head}world ${world} {${kept}`);
  }
}

const manifest = await readFile(here("manifest.json"));
const file = `dist/${JSON.parse(manifest).id}.wasm`;
const world = "market-source-extension";
const interfaceName = world.replace("-extension", "").replace(/-(.)/g, (_, letter) => letter.toUpperCase());

// An error that is no `err` of the contract ends the component, which has no place to say why but the log.
const entry = `
import { write } from "aiw:plugin/log@0.1.0";
import { ${interfaceName} as own } from "../source.mjs";

function said(error) {
  const place = /[^@\\s(/]+\\.m?js:\\d+/.exec(error?.stack ?? "");
  return place ? \`\${error} (\${place[0]})\` : \`threw \${error}\`;
}

function fail(error) {
  if (error?.payload === undefined) write("error", said(error));
  throw error;
}

const told = (call) => (...given) => {
  try {
    const result = call.apply(own, given);
    return typeof result?.then === "function" ? result.then(undefined, fail) : result;
  } catch (error) {
    fail(error);
  }
};

export const ${interfaceName} = Object.fromEntries(Object.entries(own).map(([name, call]) => [name, told(call)]));
`;

const used = [...(await imports(here("source.mjs")))].map((name) => /^aiw:plugin\/([a-z-]+)@/.exec(name)?.[1]);
await rm(here("dist/wit"), { recursive: true, force: true });
await contract(here("../../wit/aiw-plugin-0.1"), here("dist/wit"), world, new Set([...used, "log"]));
await writeFile(here("dist/entry.mjs"), entry);
const { component } = await componentize({
  sourcePath: here("dist/entry.mjs"),
  witPath: here("dist/wit"),
  worldName: world,
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
const bytes = Buffer.concat([component, customSection("aiw:manifest", manifest)]);
await writeFile(here(file), bytes);
console.log(`${file}: ${bytes.length} bytes`);
