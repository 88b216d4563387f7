import { describe, expect, it } from 'vitest'
import { en } from '../src/lang/en'

const sources = import.meta.glob<string>(['../src/**/*.vue', '../src/**/*.ts', '!../src/lang/*'], {
  query: '?raw',
  import: 'default',
  eager: true,
})
const source = Object.values(sources).join('\n')
const keys = Object.keys(en)

describe('the words of the page', () => {
  it('are sorted, and never empty', () => {
    expect(keys).toEqual([...keys].sort())
    expect(Object.values(en).filter((words) => words === '')).toEqual([])
  })

  it('are used, each of them', () => {
    expect(keys.filter((key) => !source.includes(`'${key}'`))).toEqual([])
  })

  it('are there for each key that is used', () => {
    const used = [...source.matchAll(/\bt\(\s*'([^']+)'/g)].map((match) => match[1] ?? '')
    expect(used.length).toBeGreaterThan(200)
    expect(used.filter((key) => !(key in en))).toEqual([])
  })
})
