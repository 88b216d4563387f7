// Makes the component of this project: one without a `wasi:*` import, with its manifest.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

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

const manifest = await readFile(here("manifest.json"));
const file = `dist/${JSON.parse(manifest).id}.wasm`;

const { component } = await componentize({
  sourcePath: here("source.mjs"),
  witPath: here("../../wit/aiw-plugin-0.1"),
  worldName: "market-source-extension",
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
const bytes = Buffer.concat([component, customSection("aiw:manifest", manifest)]);
await mkdir(here("dist"), { recursive: true });
await writeFile(here(file), bytes);
console.log(`${file}: ${bytes.length} bytes`);
