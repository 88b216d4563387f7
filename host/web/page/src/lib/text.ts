// Texts that others wrote: shown as text, with everything visible that would hide or reorder it.

/**
 * Characters that are not seen, or change how others are seen: controls but for tabs and line ends, bidirectional controls,
 * those without a width, fillers, tags, and halves of pairs.
 */
const UNSEEN =
  // eslint-disable-next-line no-control-regex
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}\p{Surrogate}]/gu

/** Makes visible what would hide in a text. */
export function visible(text: unknown): string {
  if (text === null || text === undefined) return ''
  const words = typeof text === 'string' ? text : typeof text === 'object' ? JSON.stringify(text) : String(text)
  return words.replace(UNSEEN, (one) => {
    if (one === '\r') return ''
    return `\\u{${one.codePointAt(0)?.toString(16) ?? ''}}`
  })
}

/** Returns an address that may become a link, or nothing. */
export function link(text: string | null | undefined): string | undefined {
  if (!text || !/^https?:\/\//i.test(text)) return undefined
  try {
    const url = new URL(text)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined
  } catch {
    return undefined
  }
}

/** Characters by what stands for them after a backslash in `$'…'`. */
const ESCAPES: Readonly<Record<string, string>> = { a: '\x07', b: '\b', e: '\x1b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', "'": "'", '"': '"' }

/** Quotes a word of a command line for a shell. */
export function quoted(word: string): string {
  // A field of a form makes a line break of a return, unless it is written as an escape.
  if (word.includes('\r')) return `$'${word.replace(/[\\']/g, '\\$&').replaceAll('\r', '\\r').replaceAll('\n', '\\n')}'`
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** Splits a command line into words, as a shell does with quotes and backslashes. Null if a quote is open, or has a code. */
export function words(line: string): string[] | null {
  const found: string[] = []
  let word: string | null = null
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const one = line.charAt(at)
    if (quote === "'") {
      if (one === quote) quote = ''
      else word += one
    } else if (one === '\\' && at + 1 < line.length) {
      const next = line.charAt(++at)
      if (quote === '$' && /[0-7cuUx]/.test(next)) return null
      if (quote === '$') word += ESCAPES[next] ?? `\\${next}`
      // The line goes on.
      else if (next === '\n') continue
      else word = (word ?? '') + (quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next)
    } else if (quote) {
      if (one === (quote === '$' ? "'" : quote)) quote = ''
      else word += one
    } else if (one === '$' && line.charAt(at + 1) === "'") {
      quote = one
      word ??= ''
      at++
    } else if (one === "'" || one === '"') {
      quote = one
      word ??= ''
    } else if (/\s/.test(one)) {
      if (word !== null) found.push(word)
      word = null
    } else {
      word = (word ?? '') + one
    }
  }
  if (quote) return null
  if (word !== null) found.push(word)
  return found
}
