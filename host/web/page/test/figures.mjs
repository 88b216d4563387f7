// Measures the page in a real browser, and opens streams without one: rows of `cargo xtask bench web`.
//
//     node test/figures.mjs EVENTS ADDRESS
//
// EVENTS is the file of the home's events. Rows go to standard output, with tabs between the words, the figure and its
// unit. After a line `@WORD` it waits for a line of standard input: the server is measured meanwhile, and
// `@code` is answered by another address with a code.
import { appendFileSync, readdirSync } from 'node:fs'
import { createServer, get, request } from 'node:http'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const [events, address] = process.argv.slice(2)
const origin = new URL(address).origin
const RUNS = 15
const STREAMS = 100
const SESSIONS = 4
const RATE = 1_000
const SECONDS = 5

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const middle = (samples) => samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)]
const row = (what, measured, unit) => console.log([`web: ${what}`, measured.toFixed(1), unit].join('\t'))

/** What a browser sends with a request of the page. */
const SAME = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }

/** Lets the caller measure, or answer. */
async function ask(word) {
  console.log(`@${word}`)
  return (await lines.next()).value
}

let written = 0
/** Appends events as the supervisors of processes do. */
function happen(count, name) {
  const time = new Date().toISOString().replace(/\.\d+Z/, 'Z')
  const event = () => `${JSON.stringify({ time, kind: 'ready', of: 'process', name: name ?? `p${written++}`, pid: 100_000 })}\n`
  appendFileSync(events, Array.from({ length: count }, event).join(''))
}
appendFileSync(events, '@0\n')
happen(300)

const browser = await chromium.launch({
  executablePath: process.env.AIW_TEST_CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB' })

// What the first page loads, as it comes over the wire.
const page = await context.newPage()
const wire = await context.newCDPSession(page)
await wire.send('Network.enable')
const asked = new Map()
let bytes = 0
wire.on('Network.requestWillBeSent', ({ requestId, request }) => asked.set(requestId, new URL(request.url).pathname))
wire.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
  if (!asked.get(requestId)?.startsWith('/api/')) bytes += encodedDataLength
})
await page.goto(address)
await page.waitForSelector('main h1')
await page.waitForFunction(() => !document.querySelector('.loading'))
await pause(500)
row('the first page, packed', bytes / 1e3, 'kB')

// All files of the page.
const dist = join(dirname(fileURLToPath(import.meta.url)), '../dist')
const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
let all = 0
for (const file of files) {
  const path = join(file.parentPath, file.name).slice(dist.length).replace('/index.html', '/')
  if (path === '/licences.txt') continue
  all += await new Promise((done, fail) => {
    const sent = get(`${origin}${path}`, { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
      if (answer.statusCode !== 200) fail(new Error(`${path}: ${answer.statusCode}`))
      let length = 0
      answer.on('data', (piece) => (length += piece.length))
      answer.on('end', () => done(length))
    })
    sent.on('error', fail)
  })
}
row('all files of the page, packed', all / 1e3, 'kB')

// The first paint over that of a blank page, each without a cache.
const blank = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>blank</title><p>blank'))
await new Promise((done) => blank.listen(0, '127.0.0.1', done))
const known = await context.storageState()
async function painted(url) {
  const fresh = await browser.newContext({ storageState: known, locale: 'en-GB' })
  const tab = await fresh.newPage()
  await tab.goto(url)
  const paint = await tab.evaluate(
    () =>
      new Promise((done) => {
        new PerformanceObserver((list) => {
          const first = list.getEntriesByName('first-contentful-paint')[0]
          if (first) done(first.startTime)
        }).observe({ type: 'paint', buffered: true })
      }),
  )
  await fresh.close()
  return paint
}
const paints = { page: [], blank: [] }
for (let run = 0; run < RUNS; run++) {
  paints.page.push(await painted(`${origin}/`))
  paints.blank.push(await painted(`http://127.0.0.1:${blank.address().port}/`))
}
blank.close()
row('the first paint, over that of a blank page', middle(paints.page) - middle(paints.blank), 'ms')

async function go(path) {
  await page.evaluate((path) => (location.hash = `#${path}`), path)
  await page.waitForSelector('main h1')
  await page.waitForFunction(() => !document.querySelector('.loading'))
  await pause(1_000)
}

// The server with one page, which shows events.
await go('/events')
await page.check('input[type=checkbox]')
await page.waitForFunction(() => document.querySelector('main tbody')?.innerText.includes('process p299'))
await pause(2_000)
await ask('one page')

// From an event to the page.
const waits = []
for (let run = 0; run < RUNS; run++) {
  const name = `seen-${run}`
  const seen = page.evaluate(
    (name) =>
      new Promise((done) => {
        const observer = new MutationObserver(() => {
          if (!document.querySelector('main tbody')?.textContent.includes(`process ${name} `)) return
          observer.disconnect()
          done(performance.timeOrigin + performance.now())
        })
        observer.observe(document.body, { childList: true, characterData: true, subtree: true })
      }),
    name,
  )
  await pause(600)
  const begun = performance.timeOrigin + performance.now()
  happen(1, name)
  waits.push((await seen) - begun)
}
row('from an event to the page', middle(waits), 'ms')

// Many events: the longest task of the page, in each of two views.
for (const [view, path] of [['the overview', '/'], ['the events', '/events']]) {
  await go(path)
  if (path === '/events') await page.check('input[type=checkbox]')
  await page.evaluate(() => {
    window.longest = 0
    window.observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration)
    })
    window.observer.observe({ type: 'longtask' })
  })
  const end = performance.now() + SECONDS * 1_000
  const begun = performance.now()
  let count = 0
  while (performance.now() < end) {
    const due = Math.floor(((performance.now() - begun) * RATE) / 1_000) - count
    if (due > 0) happen(due)
    count += Math.max(due, 0)
    await pause(10)
  }
  await pause(500)
  const longest = await page.evaluate(() => {
    window.observer.disconnect()
    return window.longest
  })
  row(`the longest task above 50 ms, ${RATE} events a second, ${view}`, longest, 'ms')
}
await browser.close()

// The server with many streams, each of which reads.
let open = 0
const streams = []
for (let at = 0; at < SESSIONS; at++) {
  const code = new URL(await ask('code')).hash.slice('#code='.length)
  const session = await new Promise((done, fail) => {
    const headers = { ...SAME, origin, 'content-type': 'application/json' }
    const sent = request(`${origin}/api/v1/session`, { method: 'POST', headers }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (piece) => (body += piece))
      answer.on('end', () => (answer.statusCode === 200 ? done(JSON.parse(body).token) : fail(new Error(`no session: ${answer.statusCode}`))))
    })
    sent.on('error', fail)
    sent.end(JSON.stringify({ code }))
  })
  for (let stream = 0; stream < STREAMS / SESSIONS; stream++) {
    await new Promise((done, fail) => {
      const headers = { ...SAME, authorization: `Bearer ${session}`, accept: 'text/event-stream' }
      const sent = get(`${origin}/api/v1/events?topics=tasks,processes,servers,events`, { headers, agent: false }, (answer) => {
        if (answer.statusCode === 200) open++
        answer.resume()
        done()
      })
      sent.on('error', fail)
      streams.push(sent)
    })
  }
}
if (open !== STREAMS) throw new Error(`${open} of ${STREAMS} streams were opened`)
happen(100)
await pause(2_000)
await ask('streams')
streams.forEach((stream) => stream.destroy())
process.exit(0)
