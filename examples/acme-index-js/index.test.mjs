import assert from "node:assert/strict";
import { test } from "node:test";
import { claim, digest, toMarketplace } from "./index.mjs";

test("names of the index are claimed", () => {
  assert.deepEqual(claim("acmejs:data"), { kind: "acmejs", location: "data", ref: undefined });
  for (const other of ["acmejs:", "acmejs:-x", "acmejs:a/b", "acmejs:data\n", "acme:data", "data"]) {
    assert.equal(claim(other), undefined, other);
  }
});

test("each tool becomes an entry pinned to its release", () => {
  const release = { repo: "https://github.com/acme/ledger.git", commit: "0123456789abcdef0123456789abcdef01234567" };
  const tools = [{ id: "ledger", about: "Asks the ledger", kind: "data", maintainers: ["x"], release }];
  assert.deepEqual(toMarketplace("data", { title: "Tools of the data team", tools }), {
    name: "acme-data",
    owner: { name: "Acme" },
    description: "Tools of the data team",
    plugins: [
      {
        name: "ledger",
        description: "Asks the ledger",
        category: "data",
        source: { source: "acmejs", tool: "ledger", ...release },
      },
    ],
  });
});

test("what is no index is an error", () => {
  for (const index of [null, [], {}, { title: "x" }, { title: "x", tools: [{ id: "y" }] }]) {
    assert.throws(() => toMarketplace("data", index), TypeError);
  }
});

test("digest is FNV-1a", () => {
  assert.equal(digest(new TextEncoder().encode("a")), "af63dc4c8601ec8c");
});
