import { describe, expect, it } from 'vitest'
import { failedFirst } from '../src/lib/states'
import { codeParts, linkParts, markedParts } from '../src/lib/text'
import { dailyRows } from '../src/lib/usage'
import type { UsageRow } from '../src/types'

const row = (key: string, input: number): UsageRow => ({ key, requests: 1, tasks: 0, input, cached: 0, cache_written: 0, cache_written_1h: 0, output: 0, thinking: 0, cost_usd: 0, unpriced: 0, truncated: 0, estimated: 0 })

describe('usage by day', () => {
  it('has each day of the range, with zeros for days without usage', () => {
    const rows = [row('2026-02-27', 3), row('2026-03-01', 5)]
    const daily = dailyRows(rows, Date.parse('2026-02-26T13:00:00Z'), Date.parse('2026-03-02T01:00:00Z'))
    expect(daily.map(({ key, input }) => [key, input])).toEqual([['2026-02-26', 0], ['2026-02-27', 3], ['2026-02-28', 0], ['2026-03-01', 5], ['2026-03-02', 0]])
  })

  it('has as many days as a chart shows, the latest', () => {
    const daily = dailyRows([], 0, Date.parse('2026-03-02T01:00:00Z'))
    expect(daily.length).toBe(3_660)
    expect(daily.at(-1)?.key).toBe('2026-03-02')
  })

  it('is empty for a range that ends before it begins, or has no beginning', () => {
    expect(dailyRows([], 86_400_000 * 2, 86_400_000)).toEqual([])
    expect(dailyRows([], Number.NaN, Date.now())).toEqual([])
  })
})

describe('a list', () => {
  it('begins with what failed, then has warnings, and keeps the order of the rest', () => {
    const states = ['running', 'failed', 'stopped', 'unhealthy', 'crash_looping', 'unknown']
    expect(failedFirst(states, (state) => state)).toEqual(['failed', 'crash_looping', 'unhealthy', 'running', 'stopped', 'unknown'])
  })
})

describe('a sentence of aiw', () => {
  it('has what stands in backticks as code', () => {
    expect(codeParts('`aiw x` does it, or `aiw y`')).toEqual([
      { text: 'aiw x', code: true },
      { text: ' does it, or ', code: false },
      { text: 'aiw y', code: true },
    ])
  })

  it('keeps a backtick without a second one on its line', () => {
    expect(codeParts('one ` alone\nand ` another')).toEqual([{ text: 'one ` alone\nand ` another', code: false }])
  })
})

describe('addresses in a log', () => {
  it('are links without what follows them, if they are of http(s)', () => {
    expect(linkParts('on http://localhost:5173/. See (https://a.example/x?y=1), ftp://b')).toEqual([
      { text: 'on ' },
      { text: 'http://localhost:5173/', href: 'http://localhost:5173/' },
      { text: '. See (' },
      { text: 'https://a.example/x?y=1', href: 'https://a.example/x?y=1' },
      { text: '), ftp://b' },
    ])
    expect(linkParts('javascript:alert(1) http:// http://%')).toEqual([{ text: 'javascript:alert(1) http:// ' }, { text: 'http://%' }])
  })
})

describe('a snippet', () => {
  it('is marked where words were found', () => {
    expect(markedParts('the port is taken', [[4, 8], [12, 17]])).toEqual([
      { text: 'the ', marked: false },
      { text: 'port', marked: true },
      { text: ' is ', marked: false },
      { text: 'taken', marked: true },
    ])
  })

  it('is whole whatever the places are', () => {
    const text = 'the port'
    for (const marks of [[[4, 99]], [[5, 2]], [[4, 8], [0, 3]], [[]], []]) {
      expect(markedParts(text, marks).map((part) => part.text).join('')).toBe(text)
    }
  })
})
