import { describe, expect, it } from 'vitest'
import { pieces, plain } from '../src/lib/ansi'
import { appendTail } from '../src/lib/merge'
import { has } from '../src/lib/found'
import { cpuShares } from '../src/lib/share'
import { eventParser, readEvents, type ServerEvent } from '../src/lib/sse'
import { needable } from '../src/lib/needs'
import { link, quoted, visible, words } from '../src/lib/text'
import { changedVariables, variableLines } from '../src/lib/variables'
import type { EditableProcess, ProcessSummary } from '../src/types'

describe('a text that somebody else wrote', () => {
  it('shows what would hide in it or turn it around', () => {
    expect(visible('a\u202eb')).toBe('a\\u{202e}b')
    expect(visible('x\u200by\ufeff')).toBe('x\\u{200b}y\\u{feff}')
    expect(visible('bell\x07 esc\x1b')).toBe('bell\\u{7} esc\\u{1b}')
    expect(visible('tag\u{e0041}')).toBe('tag\\u{e0041}')
    expect(visible('half \ud800 pair')).toBe('half \\u{d800} pair')
  })

  it('keeps what is seen', () => {
    expect(visible('<b>日本語 é 😀\n\t')).toBe('<b>日本語 é 😀\n\t')
    expect(visible(null)).toBe('')
    expect(visible({ a: 1 })).toBe('{"a":1}')
  })

  it('keeps what its writing needs', () => {
    for (const text of [
      'plain — text',
      '❤\ufe0f ☀\ufe0f ©\ufe0f 1\ufe0f\u20e3 #\ufe0f\u20e3 🏳\ufe0f\u200d🌈',
      '👩\u200d💻 👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d🚀 🧑🏿\u200d🤝\u200d🧑🏻 ❤\ufe0f\u200d🔥',
      'می\u200cخواهم خانه\u200cها',
      'क्\u200dष क्\u200cष ශ්\u200dරී ক্\u200cত',
      '登录 新闻 日本語 한국어 ไทย עברית',
      'e\u0301 ñ \u00a0«x»\u202f!',
      `a${'\u20dd\u0300'.repeat(4)}b${'\u0488'.repeat(8)}`,
    ]) {
      expect(visible(text)).toBe(text)
    }
  })

  it('shows each character that its writing does not need', () => {
    const rows: [string, number][] = [
      ['a\ufe0f', 1],
      ['1\ufe0f2', 1],
      ['😀\ufe0f\ufe0f', 1],
      ['😀\ufe0e', 1],
      ['a\u200db', 1],
      ['👩\u200da', 1],
      ['👩\u200d\u200d💻', 2],
      ['\u200d💻', 1],
      ['a\u200cb', 1],
      ['می\u200c', 1],
      ['می\u200c\u200cخ', 2],
      ['دا\u200cخ', 1],
      ['क्\u200c', 1],
      ['葛\u{e0100}', 1],
      ['🏴\u{e0067}\u{e0062}\u{e007f}', 3],
      ['\u2800\u3164\u034f\u180b\ufffc', 5],
      ['a\u2028b\u0085c\rd', 3],
      [`a${'\u0301'.repeat(50)}`, 42],
      // A whole order in variation selectors.
      [`😀${'\ufe00\u{e0150}\u{e0165}'.repeat(5)}`, 15],
    ]
    for (const [text, count] of rows) {
      expect([text, visible(text).match(/\\u\{[0-9a-f]+\}/g)?.length]).toEqual([text, count])
    }
  })

  it('hides nothing, by the properties of Unicode', () => {
    // Of each property and of each sign that is empty, in their order.
    const unseen =
      '00 08 0b 1f 7f 9f ad 34f 600 605 61c 6dd 70f 890 8e2 115f 1160 17b4 17b5 180b 180e 180f 200b 200c 200d 200e 200f 2028 2029 202a 202e 2060 2063 2064 2065 2066 206f 2800 3164 d800 dfff e000 f8ff fdd0 fe00 fe0f feff ffa0 fff0 fff8 fff9 fffb fffc ffff 110bd 110cd 13430 13441 13442 16fe4 1bca0 1bca3 1d159 1d173 1d17a 1fffe e0001 e0020 e007f e0100 e01ef e0fff f0000 10fffd 10ffff'
    for (const hex of unseen.split(' ')) {
      const text = `a${String.fromCodePoint(Number.parseInt(hex, 16))}b`
      expect(visible(text)).toBe(`a\\u{${hex.replace(/^0(?=.)/, '')}}b`)
    }
  })

  it('shows a return within a line, and no end of a line', () => {
    expect(visible('// fine\rwipe()')).toBe('// fine\\u{d}wipe()')
    expect(visible('a\r\nb\r')).toBe('a\nb')
    expect(visible('a\r\r\nb')).toBe('a\\u{d}\nb')
  })

  it('is read in time however much of it hides', () => {
    const begun = Date.now()
    for (const one of ['\u200b', '\u200c', '\u0301', 'م\u200c', '👩\u200d', '\ufe0f']) visible(one.repeat(50_000))
    expect(Date.now() - begun).toBeLessThan(4_000)
  })

  it('becomes a link only for http and https', () => {
    expect(link('https://example.com/a')).toBe('https://example.com/a')
    for (const bad of ['javascript:alert(1)', ' https://x', 'data:text/html,x', '//x', 'httpx://a', '', null]) {
      expect(link(bad)).toBeUndefined()
    }
  })
})

describe('a command line', () => {
  it('is split as a shell splits it', () => {
    expect(words(`npm run 'a b' "c \\" d" e\\ f ''`)).toEqual(['npm', 'run', 'a b', 'c " d', 'e f', ''])
    expect(words(`echo "open`)).toBeNull()
    expect(words('  ')).toEqual([])
    expect(words(`a$'b\\tc\\'\\q'd $x "$'y'"`)).toEqual(["ab\tc'\\qd", '$x', "$'y'"])
    expect(words(`$'open\\'`)).toBeNull()
    for (const code of ['\\x41', '\\101', '\\u0041', '\\cA']) expect([words(`$'${code}'`), words(`'${code}'`)]).toEqual([null, [code]])
  })

  it('may have several lines', () => {
    expect(words('cat "one\ntwo"\n  three')).toEqual(['cat', 'one\ntwo', 'three'])
    expect(words('cat one \\\n  two\\\nthree "fo\\\nur" \'fi\\\nve\'')).toEqual(['cat', 'one', 'twothree', 'four', 'fi\\\nve'])
  })

  it('is the same after it was quoted', () => {
    const all = ['plain', 'two words', "it's", '$HOME', '', 'a"b', '\\', 'one\ntwo', '\n', '\ttab\t', `'"\n\\\n"'`, 'a\r\nb', "\\r\r\t'$'", "$'a'", '\\\n', 'ü\u2028']
    for (const word of all) expect(words(quoted(word))).toEqual([word])
    const line = all.map(quoted).join(' ')
    expect(words(line)).toEqual(all)
    // A field with lines has no returns in its text.
    expect(line).not.toContain('\r')
  })
})

describe('what a process can start after', () => {
  const listed = (id: string, source?: string): ProcessSummary => ({ id, source }) as ProcessSummary
  const edited = (id: string, replicas: number | null, needs: string[] = []): EditableProcess => ({ id, replicas, needs }) as EditableProcess
  const all = [listed('on:failed', 'file'), listed('m-1', 'file'), listed('m-2', 'file'), listed('m-3', 'home'), listed('db', 'file'), listed('gone')]

  it('is defined, and not what a hook runs', () => {
    expect(needable(all)).toEqual(['db', 'm-1', 'm-2', 'm-3'])
  })

  it('is neither itself nor one of its replicas', () => {
    expect(needable(all, edited('db', null))).toEqual(['m-1', 'm-2', 'm-3'])
    expect(needable(all, edited('m', 2))).toEqual(['db', 'm-3'])
    expect(needable(all, edited('m', null))).toEqual(['db', 'm-1', 'm-2', 'm-3'])
  })

  it('has what it needs already', () => {
    expect(needable(all, edited('db', null, ['m']))).toEqual(['m', 'm-1', 'm-2', 'm-3'])
  })
})

describe('a line of a log', () => {
  it('has its colours as classes', () => {
    expect(pieces('\x1b[31mred\x1b[0m \x1b[1;92mgreen\x1b[m')).toEqual([
      { text: 'red', classes: 'sgr-1' },
      { text: ' ', classes: '' },
      { text: 'green', classes: 'sgr-10 sgr-bold' },
    ])
    expect(pieces('\x1b[38;5;196mx')[0]?.classes).toBe('sgr-9')
    expect(pieces('\x1b[48;2;0;0;255mx')[0]?.classes).toBe('sgr-on-12')
    expect(pieces('\x1b[7;31mx')[0]?.classes).toBe('sgr-on-1')
  })

  it('loses all other escapes', () => {
    expect(plain('a\x1b[2Kb\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d\x1b(Be')).toBe('abcde')
    expect(pieces('a\x1b[?25lb\x1b[>4;2mc').map((piece) => piece.text).join('')).toBe('abc')
    expect(pieces('cut \x1b[3').map((piece) => piece.text).join('')).toBe('cut 3')
  })

  it('is read in time however long it is', () => {
    const begun = Date.now()
    pieces('\x1b[31m'.repeat(200_000) + 'x')
    plain('\x1b]'.repeat(200_000))
    expect(Date.now() - begun).toBeLessThan(2_000)
  })
})

describe('the tail of a log', () => {
  const same = (a: string, b: string): boolean => a === b

  it('goes on where the known lines end', () => {
    const known = ['a', 'b', 'c']
    expect(appendTail(known, ['b', 'c', 'd', 'e'], same)).toBe(true)
    expect(known).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(appendTail(known, ['d', 'e'], same)).toBe(true)
    expect(known).toHaveLength(5)
  })

  it('says that lines are missing in between', () => {
    expect(appendTail(['a', 'b'], ['x', 'y'], same)).toBe(false)
  })
})

describe('the share of a processor', () => {
  const process = (cpu_ms: number): ProcessSummary =>
    ({ id: 'api', project: '/p', pid: 7, usage: { processes: 1, memory: 1, cpu_ms } }) as ProcessSummary

  it('is the processor time between two looks', () => {
    const look = cpuShares()
    expect(look([process(1_000)], 0).has('/p\napi')).toBe(false)
    expect(look([process(1_500)], 1_000).get('/p\napi')).toBe(0.5)
    expect(look([process(1_600)], 1_100).get('/p\napi')).toBe(0.5)
  })
})

describe('variables in a form', () => {
  const env = { PLAIN: null, KEY: 'token' }
  it('stay as they are if nothing is typed', () => {
    expect(variableLines(env)).toBe('PLAIN\nKEY=secret:token')
    expect(changedVariables(env, variableLines(env))).toEqual({})
  })

  it('are set, and removed with their lines', () => {
    expect(changedVariables(env, 'PLAIN=\nNEW=a=b\n\n')).toEqual({ PLAIN: '', NEW: 'a=b', KEY: null })
    expect(changedVariables(env, 'PLAIN\nKEY=secret:other')).toEqual({ KEY: 'secret:other' })
    expect(changedVariables(env, 'PLAIN\nKEY')).toEqual({})
  })

  it('have a name, and a value unless it is known', () => {
    for (const bad of ['NEW', '=x', 'constructor']) expect(changedVariables(env, bad)).toBeNull()
  })
})

describe('a search', () => {
  it('knows the lines that it found', () => {
    const found = [1, 4, 9, 10]
    expect([0, 1, 4, 5, 9, 10, 11].filter((index) => has(found, index))).toEqual(found)
    expect(has([], 0)).toBe(false)
  })
})

describe('a stream of events', () => {
  const STREAM = 'event: open\ndata: {}\n\n: alive\n\nevent: changed\ndata: {"topics":["é"]}\n\ndata:a\ndata: b\n\n'
  const EVENTS = [
    { event: 'open', data: '{}' },
    { event: 'changed', data: '{"topics":["é"]}' },
    { event: 'message', data: 'a\nb' },
  ]

  it('is heard in whatever pieces it comes', async () => {
    const bytes = new TextEncoder().encode(STREAM)
    for (let size = 1; size <= bytes.length; size++) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))
      const body = new ReadableStream<Uint8Array>({ start: (to) => (pieces.forEach((piece) => to.enqueue(piece)), to.close()) })
      const heard: ServerEvent[] = []
      await readEvents(body, (event) => heard.push(event))
      expect(heard).toEqual(EVENTS)
    }
  })

  it('tells an event once it is whole, and holds no endless one', () => {
    const events = eventParser()
    expect(events('event: changed\ndata: {}\n')).toEqual([])
    expect(events('\n')).toEqual([{ event: 'changed', data: '{}' }])
    expect(() => Array.from({ length: 40 }, () => events('x'.repeat(1 << 16)))).toThrow('too long')
  })

  it('ends with an error of its reader', async () => {
    let left = false
    const body = new ReadableStream<Uint8Array>({
      start: (to) => to.enqueue(new TextEncoder().encode(STREAM)),
      cancel: () => void (left = true),
    })
    await expect(readEvents(body, () => { throw new Error('no JSON') })).rejects.toThrow('no JSON')
    expect(left).toBe(true)
  })
})
