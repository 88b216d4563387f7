import { describe, expect, it } from 'vitest'
import { en } from '../src/lang/en'
import { ja } from '../src/lang/ja'
import { zh } from '../src/lang/zh'

const sources = import.meta.glob<string>(['../src/**/*.vue', '../src/**/*.ts', '!../src/lang/*'], {
  query: '?raw',
  import: 'default',
  eager: true,
})
const source = Object.values(sources).join('\n')
const keys = Object.keys(en)
const places = (words: string): string[] => (words.match(/\{\w+\}/g) ?? []).sort()

describe('the words of the page', () => {
  it('are the same keys in each language, in the same order', () => {
    expect(Object.keys(zh)).toEqual(keys)
    expect(Object.keys(ja)).toEqual(keys)
    expect(keys).toEqual([...keys].sort())
  })

  it('are used, each of them', () => {
    expect(keys.filter((key) => !source.includes(`'${key}'`))).toEqual([])
  })

  it('are there for each key that is used', () => {
    const used = [...source.matchAll(/\bt\(\s*'([^']+)'/g)].map((match) => match[1] ?? '')
    expect(used.length).toBeGreaterThan(200)
    expect(used.filter((key) => !(key in en))).toEqual([])
  })

  it('have the same places for values, and are never empty', () => {
    for (const [key, words] of Object.entries(en)) {
      for (const other of [zh, ja] as Record<string, string>[]) {
        expect(other[key], key).toBeTruthy()
        expect(places(other[key] ?? ''), key).toEqual(places(words))
      }
    }
  })
})
