// Acme's own format, and the marketplace document made of it. Pure: tested with `npm test`.

/** The `source` word of our entries. */
export const FORM = "acmejs";

/** What a reference means; undefined if it is not ours. */
export function claim(reference) {
  const [, name] = /^acmejs:([a-z0-9][a-z0-9-]{0,63})$/.exec(reference) ?? [];
  return name && { kind: FORM, location: name, ref: undefined };
}

/** The marketplace document of the index called `name`. Throws a TypeError on what is no index. */
export function toMarketplace(name, index) {
  if (typeof index?.title !== "string" || !Array.isArray(index.tools)) throw new TypeError("no title or no tools");
  return {
    name: `acme-${name}`,
    owner: { name: "Acme" },
    description: index.title,
    plugins: index.tools.map(({ id, about, kind, release }) => {
      if (![id, about, release?.repo, release?.commit].every((text) => typeof text === "string")) {
        throw new TypeError(`tool \`${id}\` lacks a field`);
      }
      return {
        name: id,
        description: about,
        ...(typeof kind === "string" && { category: kind }),
        source: { source: FORM, tool: id, repo: release.repo, commit: release.commit },
      };
    }),
  };
}

/** A revision for a document: 64-bit FNV-1a in hexadecimal. */
export function digest(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
