// Another user's server on this machine, of which no browser is, tries to get a session: on another port while the
// dashboard runs, then on the dashboard's own port while it is down.
//
//     node test/thief.mjs 'http://127.0.0.1:40123/#code=…'
//
// Prints `up`, and waits for a line: the dashboard is down, and its port free. Prints `taken`, and waits for a line: the
// address at which the dashboard is up again, with a code. The browser is that of AIW_TEST_CHROMIUM. As root, the thief is another user.
import { fork } from 'node:child_process'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const [address] = process.argv.slice(2)
let { origin, port } = new URL(address)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

let failed = 0
function check(name, problem) {
  if (problem) failed++
  console.log(`${problem ? 'FAIL' : 'ok  '} ${name}${problem ? `: ${problem}` : ''}`)
}

/** Sends a request with all that a page of the dashboard says, and these headers. Returns its status. */
function forged(method, path, headers) {
  const own = { host: `127.0.0.1:${port}`, origin, 'content-type': 'application/json', ...headers }
  const page = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
  return new Promise((done, fail) => {
    const sent = request({ port, host: '127.0.0.1', method, path, headers: { ...own, ...page }, agent: false }, (answer) => {
      answer.destroy()
      done(answer.statusCode)
    })
    sent.on('error', fail)
    sent.end(method === 'POST' ? JSON.stringify({ id: 'forged', command: ['true'] }) : '')
  })
}

/** Tries each word that the thief has seen. Returns what was let in. */
async function tried(words) {
  const let_in = []
  for (const word of words) {
    const token = word.replace(/^Bearer /, '')
    for (const headers of [{ authorization: `Bearer ${token}` }, { cookie: word }, { cookie: `aiw-${port}=${token}` }, { 'x-aiw-csrf': token, cookie: word }]) {
      if (!Object.values(headers).every((value) => /^[\x20-\x7e]*$/.test(value))) continue
      for (const [method, path] of [['GET', '/api/v1/session'], ['GET', '/api/v1/events?topics=tasks'], ['POST', '/api/v1/processes']]) {
        const status = await forged(method, path, headers)
        // Not every word can be in a header.
        if (![400, 401, 431].includes(status)) let_in.push(`${method} ${path} with ${Object.keys(headers)}: ${status}`)
      }
    }
  }
  return let_in.join('; ')
}

/** Starts the thief at a port, as another user if that is allowed. Returns how it is asked what it has seen. */
async function thief(at) {
  const other = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {}
  const child = fork(fileURLToPath(new URL('taker.mjs', import.meta.url)), [String(at), origin], { cwd: '/', env: {}, ...other })
  const { listens } = await new Promise((done, fail) => {
    child.once('message', done)
    child.once('exit', (code) => fail(new Error(`the thief has ended with ${code}`)))
  })
  const seen = () => new Promise((done) => {
    child.once('message', ({ seen }) => done(seen))
    child.send('seen')
  })
  const ends = () => new Promise((done) => {
    child.once('exit', done)
    child.kill()
  })
  return { origin: `http://127.0.0.1:${listens}`, seen, ends }
}

const browser = await chromium.launch({ executablePath: process.env.AIW_TEST_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
const context = await browser.newContext({ locale: 'en-GB' })
// A guard, which a machine with other work may need.
context.setDefaultTimeout(120_000)
const page = await context.newPage()
await page.goto(address)
await page.waitForSelector('main h1')
const token = await page.evaluate(() => sessionStorage.getItem('aiw.token'))
check('a token lets its page in', (await forged('GET', '/api/v1/session', { authorization: `Bearer ${token}` })) === 200 ? '' : 'it does not')

// Another port: a page of the thief's, and all that it loads and sends.
const beside = await thief(0)
const visit = await context.newPage()
await visit.goto(beside.origin)
await visit.waitForFunction(() => window.done)
await page.evaluate((to) => fetch(to, { mode: 'no-cors' }).catch(() => {}), beside.origin)
const besides = await beside.seen()
check('a thief on another port is asked by the browser', besides.length > 5 ? '' : besides.join())
check('it sees no token', besides.some((word) => word.includes(token)) ? 'it does' : '')
check('it gets in with nothing that it sees', await tried([...new Set(besides)]))
await beside.ends()
await visit.close()
check('the page is still let in', (await forged('GET', '/api/v1/session', { authorization: `Bearer ${token}` })) === 200 ? '' : 'it is not')
console.log('up')

// The same port: the thief's page is the dashboard's origin.
await lines.next()
const instead = await thief(Number(port))
// The tab asks by itself whether its server is back.
for (let turn = 0; turn < 200 && !(await instead.seen()).some((word) => word.includes(token)); turn++) await page.waitForTimeout(50)
await page.reload()
await page.waitForFunction(() => window.done)
const seen = [...new Set(await instead.seen())]
check('a thief on the same port sees what the tab keeps', seen.some((word) => word.includes(token)) ? '' : 'it does not')
await instead.ends()
console.log('taken')

const again = (await lines.next()).value
const planted = origin
;({ origin, port } = new URL(again))
check('nothing that it saw is of use', await tried(seen))
// What it planted stands in the place of what that port has later.
await page.goto(planted)
check('the thief plants what a browser keeps', (await page.innerText('h1')) === 'planted' ? '' : await page.innerText('body'))
const fresh = await context.newPage()
await fresh.goto(again)
await fresh.waitForSelector('main h1')
check('the dashboard has another origin', (await fresh.innerText('main h1')) === 'planted' ? 'it has not' : '')
await page.goto(origin)
await page.waitForSelector('main.alone').catch(() => {})
check('the old tab has no session', (await page.innerText('body')).includes('aiw web --open') ? '' : await page.innerText('body'))
await browser.close()
process.exit(failed ? 1 : 0)
