// Usage by day, as a chart draws it.
import type { UsageRow } from '../types'

const DAY = 86_400_000
const NOTHING = { requests: 0, tasks: 0, input: 0, cached: 0, cache_written: 0, cache_written_1h: 0, output: 0, thinking: 0, cost_usd: 0, unpriced: 0, truncated: 0, estimated: 0 }
/** The most days of a chart. */
const MOST = 3_660

/** Returns a row for each day in UTC from one time to another, both in milliseconds; those without usage have zeros. */
export function dailyRows(rows: readonly UsageRow[], since: number, until: number): UsageRow[] {
  const known = new Map(rows.map((row) => [row.key, row]))
  const last = Math.floor(until / DAY)
  const first = Math.max(Math.floor(since / DAY), last - MOST + 1)
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => {
    const key = new Date((first + at) * DAY).toISOString().slice(0, 10)
    return known.get(key) ?? { key, ...NOTHING }
  })
}
