// Figures and times.
const made = new Map<string, Intl.NumberFormat>()

/** Formats are made once: making one takes longer than all that it is used for in a table. */
function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options)
  const known = made.get(key)
  if (known) return known
  const format = new Intl.NumberFormat('en', options)
  made.set(key, format)
  return format
}

// Days before months, and 24 hours.
const times = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

export function number(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined) return '–'
  return numbers({ maximumFractionDigits: digits }).format(value)
}

/** A large figure in few letters: `1.2M`. */
export function short(value: number): string {
  return numbers({ notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

export function dollars(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 4 : 2
  return numbers({ style: 'currency', currency: 'USD', maximumFractionDigits: digits }).format(value)
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let amount = value
  let unit = 0
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000
    unit++
  }
  return `${number(amount, amount < 10 && unit > 0 ? 1 : 0)} ${units[unit] ?? ''}`
}

export function percent(share: number): string {
  return numbers({ style: 'percent', maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share)
}

/** A span of time in its two largest units: `3 d 4 h`. */
export function span(millis: number): string {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  if (seconds === 0 && millis > 0) return `${Math.round(millis)} ms`
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([amount]) => amount > 0)
  if (first < 0) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ')
}

/** The time of day, to the millisecond: `13:05:09.250`. */
export function clock(text: string | null | undefined): string {
  const date = new Date(text ?? '')
  if (Number.isNaN(date.getTime())) return '–'
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

export function time(text: string | null | undefined): string {
  if (!text) return '–'
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) return text
  return times.format(date)
}
