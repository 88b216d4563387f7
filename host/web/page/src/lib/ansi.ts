// Colours of logs: SGR escape codes become classes. All other escape sequences are dropped.
import { visible } from './text'

/** A piece of a line with the classes of its looks. */
export interface Piece {
  text: string
  classes: string
}

interface Look {
  front: number | null
  back: number | null
  bold: boolean
  dim: boolean
  italic: boolean
  underline: boolean
  strike: boolean
  inverse: boolean
}

const PLAIN: Look = {
  front: null,
  back: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
}

// CSI, OSC (and other strings up to their end), and escapes of two characters.
const ESCAPE =
  // eslint-disable-next-line no-control-regex
  /(?:\x1b\[|\x9b)([\x30-\x3f]*)[\x20-\x2f]*([\x40-\x7e])|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|\x1b[\x20-\x2f]*[\x30-\x7e]|\x1b/g

/** The nearest of the 16 colours to one of 256, or to red, green and blue. */
function nearest(red: number, green: number, blue: number): number {
  const most = Math.max(red, green, blue)
  if (most < 48) return 0
  const bit = (one: number): number => (one > most / 2 ? 1 : 0)
  const base = bit(red) + 2 * bit(green) + 4 * bit(blue)
  if (base === 7) return most < 100 ? 8 : most < 220 ? 7 : 15
  return base + (most > 200 ? 8 : 0)
}

function ofTable(index: number): number {
  if (index < 16) return index
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10
    return nearest(grey, grey, grey)
  }
  const at = index - 16
  const step = (one: number): number => (one === 0 ? 0 : 55 + 40 * one)
  return nearest(step(Math.floor(at / 36)), step(Math.floor(at / 6) % 6), step(at % 6))
}

/** Reads `5;N` or `2;R;G;B` behind 38 or 48. Returns the colour and how many numbers it took. */
function extended(codes: number[], at: number): [number | null, number] {
  if (codes[at] === 5) return [ofTable(Math.min(codes[at + 1] ?? 0, 255)), 2]
  if (codes[at] === 2) return [nearest(codes[at + 1] ?? 0, codes[at + 2] ?? 0, codes[at + 3] ?? 0), 4]
  return [null, 1]
}

function changed(look: Look, parameters: string): Look {
  const next = { ...look }
  const codes = parameters.split(/[;:]/).map((code) => Number.parseInt(code || '0', 10))
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0
    if (code === 0) Object.assign(next, PLAIN)
    else if (code === 1) next.bold = true
    else if (code === 2) next.dim = true
    else if (code === 3) next.italic = true
    else if (code === 4) next.underline = true
    else if (code === 7) next.inverse = true
    else if (code === 9) next.strike = true
    else if (code === 22) next.bold = next.dim = false
    else if (code === 23) next.italic = false
    else if (code === 24) next.underline = false
    else if (code === 27) next.inverse = false
    else if (code === 29) next.strike = false
    else if (code >= 30 && code <= 37) next.front = code - 30
    else if (code === 39) next.front = null
    else if (code >= 40 && code <= 47) next.back = code - 40
    else if (code === 49) next.back = null
    else if (code >= 90 && code <= 97) next.front = code - 82
    else if (code >= 100 && code <= 107) next.back = code - 92
    else if (code === 38 || code === 48) {
      const [colour, took] = extended(codes, at + 1)
      if (code === 38) next.front = colour
      else next.back = colour
      at += took
    }
  }
  return next
}

function classesOf(look: Look): string {
  const classes: string[] = []
  const [front, back] = look.inverse ? [look.back, look.front] : [look.front, look.back]
  if (front !== null) classes.push(`sgr-${front}`)
  if (back !== null) classes.push(`sgr-on-${back}`)
  if (look.inverse && front === null && back === null) classes.push('sgr-inverse')
  if (look.bold) classes.push('sgr-bold')
  if (look.dim) classes.push('sgr-dim')
  if (look.italic) classes.push('sgr-italic')
  if (look.underline) classes.push('sgr-underline')
  if (look.strike) classes.push('sgr-strike')
  return classes.join(' ')
}

/** Splits a line into pieces of one look each. Each line begins plain. */
export function pieces(line: string): Piece[] {
  const found: Piece[] = []
  let look = PLAIN
  let from = 0
  const push = (to: number): void => {
    if (to > from) found.push({ text: visible(line.slice(from, to)), classes: classesOf(look) })
  }
  for (const match of line.matchAll(ESCAPE)) {
    push(match.index)
    from = match.index + match[0].length
    if (match[2] === 'm' && !/[<-?]/.test(match[1] ?? '')) look = changed(look, match[1] ?? '')
  }
  push(line.length)
  return found
}

/** Returns a line without escape sequences. */
export function plain(line: string): string {
  return line.includes('\x1b') || line.includes('\x9b') ? line.replace(ESCAPE, '') : line
}
