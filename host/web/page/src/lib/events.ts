import type { HomeEvent } from '../types'

/** An event in one line, in aiw's own words. */
export function eventWords(event: HomeEvent): string {
  const parts = [event.subject, event.name ?? '', event.kind.replaceAll('_', ' ')].filter(Boolean)
  if (event.exit_code !== null && event.exit_code !== undefined) parts.push(`exit ${event.exit_code}`)
  if (event.signal !== null && event.signal !== undefined) parts.push(`signal ${event.signal}`)
  const line = parts.join(' ')
  return event.reason ? `${line}: ${event.reason}` : line
}
