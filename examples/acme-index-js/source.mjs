// Marketplaces of the Acme plugin index: `acmejs:NAME` is `https://plugins.acme.example/NAME/index.json`.
// Exports the interface `market-source` of the world `market-source-extension`. A thrown error is the `err` of a WIT
// result: `{ payload: { tag, val } }`.

import { send } from "aiw:plugin/http@0.1.0";
import { open } from "aiw:plugin/trees@0.1.0";
import { get as setting } from "aiw:plugin/settings@0.1.0";
import { claim, digest, FORM, toMarketplace } from "./index.mjs";

const MAX_BODY = 8 << 20;
const MAX_MANIFEST = 1 << 20;

const failure = (tag, val) => Object.assign(new Error(tag), { payload: { tag, val } });

function describe() {
  return {
    label: "Acme plugin index (JavaScript)",
    references: [{ form: "acmejs:NAME", example: "acmejs:data" }],
    entryForms: [FORM],
  };
}

function fetchMarketplace(at) {
  const base = setting("base_url") ?? "https://plugins.acme.example";
  const url = `${base.replace(/\/+$/, "")}/${at.location}/index.json`;
  const { status, body } = send({ method: { tag: "get" }, url, headers: [], limit: MAX_BODY });
  if (status === 404) throw failure("not-found", `\`${url}\` does not exist`);
  if (status === 401 || status === 403) throw failure("denied", `\`${url}\` refuses access (status ${status})`);
  if (status !== 200) throw failure("unavailable", { message: `\`${url}\` answered with status ${status}` });
  let document;
  try {
    const index = JSON.parse(new TextDecoder().decode(body));
    document = new TextEncoder().encode(JSON.stringify(toMarketplace(at.location, index)));
  } catch (error) {
    throw failure("malformed", `\`${url}\` is not an Acme index: ${error.message}`);
  }
  return { document, revision: digest(document) };
}

function downloadPlugin(_at, entry) {
  if (entry.source.tag !== "own") {
    throw failure("invalid", `an Acme index has no files of its own: \`${entry.source.val}\``);
  }
  const fields = new Map(entry.source.val.fields.map(({ name, value }) => [name, value]));
  for (const name of ["repo", "commit"]) {
    if (!fields.has(name)) throw failure("malformed", `a source of the form \`${FORM}\` has no field \`${name}\``);
  }
  return open({ tag: "git", val: { url: fields.get("repo"), sha: fields.get("commit") } });
}

function fetchPlugin(at, entry) {
  const files = downloadPlugin(at, entry);
  const read = (path) => {
    try {
      return files.read(path, MAX_MANIFEST);
    } catch (error) {
      if (error.payload?.tag === "not-found") return undefined;
      throw error;
    }
  };
  return { pluginJson: read(".claude-plugin/plugin.json"), mcpJson: read(".mcp.json"), files };
}

function update(at, known) {
  const snapshot = fetchMarketplace(at);
  return snapshot.revision === known ? undefined : snapshot;
}

export const marketSource = { describe, claim, fetchMarketplace, fetchPlugin, downloadPlugin, update };
