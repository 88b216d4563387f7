// Rows of the usage chart.
import type { UsageRow } from '../types'

const DAY_MS = 86_400_000
const NOTHING = { requests: 0, tasks: 0, input: 0, cached: 0, cache_written: 0, cache_written_1h: 0, output: 0, thinking: 0, cost_usd: 0, unpriced: 0, truncated: 0, estimated: 0 }
/** Maximum number of days in the chart. */
const MAX_DAYS = 3_660

/** Returns one row per UTC day from `since` to `until` (milliseconds since 1970), with zeros for days without usage. */
export function dailyRows(rows: readonly UsageRow[], since: number, until: number): UsageRow[] {
  const known = new Map(rows.map((row) => [row.key, row]))
  const last = Math.floor(until / DAY_MS)
  const first = Math.max(Math.floor(since / DAY_MS), last - MAX_DAYS + 1)
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => {
    const key = new Date((first + at) * DAY_MS).toISOString().slice(0, 10)
    return known.get(key) ?? { key, ...NOTHING }
  })
}
