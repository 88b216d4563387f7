// Keeps two pages open while their server dies: they come back by themselves, with what happened meanwhile.
//
//     node test/again.mjs 'http://127.0.0.1:40123/#code=…' 'http://127.0.0.1:40123/#code=…'
//
// Prints `ready` once they show the state of the process `late`; whoever started this kills the server then, starts
// `late`, and ends standard input. The browser is that of AIW_TEST_CHROMIUM.
import { chromium } from 'playwright-core'

const [address, second] = process.argv.slice(2)
const browser = await chromium.launch({ executablePath: process.env.AIW_TEST_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
const context = await browser.newContext({ locale: 'en-GB' })
// A guard, which a machine with other work may need.
context.setDefaultTimeout(120_000)
const processes = await context.newPage()
await processes.goto(address)
await processes.waitForSelector('main h1')
await processes.evaluate(() => (location.hash = '#/processes'))
const events = await context.newPage()
await events.goto(second)
await events.waitForSelector('main h1')
await events.evaluate(() => (location.hash = '#/events'))
const kept = [processes, events]
await processes.waitForFunction(() => /late\s[^]*Not started/.test(document.querySelector('main table')?.innerText ?? ''))
await events.waitForFunction(() => document.querySelector('main h1') && !document.querySelector('.loading'))
for (const page of kept) await page.evaluate(() => (window.kept = true))
console.log('ready')
process.stdin.resume()
await new Promise((done) => process.stdin.on('end', done))
let failed = 0
async function check(name, page, shows) {
  const seen = await page.waitForFunction(shows).then(() => true, () => false)
  const same = await page.evaluate(() => window.kept === true)
  if (!seen || !same) failed++
  console.log(`${seen && same ? 'ok  ' : 'FAIL'} ${name}${same ? '' : ': it was loaded again'}${seen ? '' : `: ${await page.innerText('main')}`}`)
}
await check('the processes are shown as they are now', processes, () => /late\s[^]*Running[^]*web\s/.test(document.querySelector('main table')?.innerText ?? ''))
await check('what happened meanwhile is among the events', events, () => /late/.test(document.querySelector('main')?.innerText ?? ''))
await browser.close()
process.exit(failed ? 1 : 0)
