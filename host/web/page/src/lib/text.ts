// Texts that others wrote: shown as text, with everything visible that would hide or reorder it.

import { escaped } from './hidden'

/** Makes visible what would hide in a text. */
export function visible(text: unknown): string {
  if (text === null || text === undefined) return ''
  const words = typeof text === 'string' ? text : typeof text === 'object' ? JSON.stringify(text) : String(text)
  // What ends a line on Windows hides nothing. A return within a line does: it ends a comment of a script.
  return escaped(words.replace(/\r(?=\n|$)/g, ''))
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

/** Splits a message into text and the code in its backticks. An unpaired backtick is text. */
export function codeParts(text: string): { text: string; code: boolean }[] {
  const parts = text.split(/`([^`\n]+)`/)
  return parts.map((part, at) => ({ text: part, code: at % 2 === 1 })).filter((part) => part.text !== '')
}

/** Splits a text into links to http(s) addresses and the rest. */
export function linkParts(text: string): { text: string; href?: string }[] {
  return text.split(/(https?:\/\/[^\s"'<>`\\^{|}]*[^\s"'<>`\\^{|}.,:;!?)\]])/).flatMap((part, at) => {
    if (part === '') return []
    const href = at % 2 === 1 ? link(part) : undefined
    return [href === undefined ? { text: part } : { text: part, href }]
  })
}

/** Splits a text at the ranges of matches (start and end). Ranges that overlap or exceed the text are skipped. */
export function markedParts(text: string, marks: readonly (readonly number[])[]): { text: string; marked: boolean }[] {
  const parts: { text: string; marked: boolean }[] = []
  let at = 0
  for (const [start = 0, end = 0] of marks) {
    if (start < at || end <= start || end > text.length) continue
    parts.push({ text: text.slice(at, start), marked: false }, { text: text.slice(start, end), marked: true })
    at = end
  }
  parts.push({ text: text.slice(at), marked: false })
  return parts.filter((part) => part.text !== '')
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
