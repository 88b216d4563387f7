// Walks the page in a real browser: every view in both themes, with axe, at a phone's width, and with hostile names.
//
//     node test/browser.mjs 'http://127.0.0.1:40123/#code=…' [DIRECTORY FOR SCREENSHOTS]
//
// Prints a line for each check, and exits with 1 if one fails. The browser is that of AIW_TEST_CHROMIUM.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { drive, PATIENCE } from './driver.mjs'

const [address, screenshots] = process.argv.slice(2)
if (!address) {
  console.error('the address with its code is missing')
  process.exit(64)
}
const origin = new URL(address).origin

const PAGES = ['/', '/processes', '/logs', '/tasks', '/servers', '/routing', '/profiles', '/history', '/providers', '/usage', '/plugins', '/registries', '/workflows', '/ci', '/events', '/sync', '/settings']
/** Dialogs that need nothing: where each opens, by what, and its first field. */
const DIALOGS = [
  ['/processes', 'main .page-head .btn-primary', '#new-id'],
  ['/tasks', 'main .page-head .btn-primary', '#task-prompt, dialog[open] .nothing'],
  ['/servers', 'main .page-head .btn-primary', '#server-name'],
  ['/profiles', 'main .page-head .btn-primary', '#profile-name'],
  ['/providers', 'main button[title="aiw provider add"]', '#provider-preset'],
  ['/providers', 'main button[title="aiw pool add"]', '#pool-name'],
  ['/providers', 'main button[title="aiw budget set"]', '#budget-name'],
  ['/settings', 'button[aria-keyshortcuts]', '[role=combobox]'],
  ['/settings', 'button[aria-label=Keys]', 'kbd'],
]
/** Markup that would run, a right-to-left override, and a space without a width. */
const HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\u202egpj.exe\u200b'
const SHOWN = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\\u{202e}gpj.exe\\u{200b}'

const { browser, context, page, check, allow, complained, comesTrue, settled, go, axeFindings, tooWide, unreachable, text, end } = await drive()

// A page without a session shows why, and nothing else.
const stranger = await browser.newContext()
stranger.setDefaultTimeout(PATIENCE)
const alone = await stranger.newPage()
await alone.goto(`${origin}/`)
await alone.waitForSelector('main')
check('a page without a session says so', (await alone.innerText('body')).includes('aiw web --open') ? '' : 'it does not')
check('a page without a session shows nothing else', (await alone.$$('nav, select, table')).length ? 'it does' : '')
await stranger.close()

// The code becomes a session, and is gone from the address.
await page.goto(address)
await settled()
check('the code leaves the address', page.url().includes('code=') ? page.url() : '')
check('no cookie is set', (await context.cookies()).length ? JSON.stringify(await context.cookies()) : '')
check('the first page has its views', (await page.$$('nav a')).length === PAGES.length ? '' : 'links are missing')
check('the first page complains of nothing', await complained())

// A fresh code that is pasted into the open tab is another session.
const fresh = process.env.AIW_FRESH_ADDRESS
if (fresh) {
  const token = () => page.evaluate(() => sessionStorage.getItem('aiw.token'))
  const before = await token()
  await Promise.all([page.waitForEvent('load'), page.evaluate((hash) => (location.hash = hash), new URL(fresh).hash)])
  await settled()
  check('a fresh code works in an open tab', (await token()) !== before && !page.url().includes('code=') ? '' : page.url())
  check('a fresh code: no complaints', await complained())
}

// The project's file is not allowed yet, which needs the person: in the overview, in the title and in the icon.
const needed = (count) => [document.title.startsWith(count ? `(${count}) ` : 'Overview'), document.querySelector('link[rel=icon]').href.includes('attention') === count > 0].every(Boolean)
check('what needs the person is in the title and in the icon', (await page.waitForFunction(needed, 1).then(() => '', () => page.title())))
check('what needs the person is shown first', (await page.innerText('main .alert-warning')).includes('waits for your consent') ? '' : await text())
check('what needs the person: axe', await axeFindings())
await page.click('main .alert-warning button:has-text("Mute")')
check('what is muted is neither shown nor counted', (await page.waitForFunction(needed, 0).then(() => '', () => page.title())) || ((await page.$$('main .alert-warning')).length ? 'it is shown' : ''))

for (const theme of ['light', 'dark']) {
  const current = await page.getAttribute('html', 'data-bs-theme')
  if (current !== theme) await page.click(`button[aria-label="${theme === 'dark' ? 'Dark' : 'Light'}"]`)
  check(`the theme is ${theme}`, (await comesTrue((theme) => document.documentElement.dataset.bsTheme === theme, theme)) ? '' : 'it is not')
  for (const path of PAGES) {
    await go(path)
    check(`${path} in ${theme}: axe`, await axeFindings())
    check(`${path} in ${theme}: the keyboard reaches everything`, await unreachable())
    check(`${path} in ${theme}: nothing failed`, (await page.$$('main .alert-danger')).length ? await page.innerText('main .alert-danger') : '')
    if (screenshots) await page.screenshot({ path: join(screenshots, `${path.slice(1) || 'overview'}-${theme}.png`) })
    // The other halves of pages with tabs.
    for (const tab of await page.$$('[role=tab][aria-selected=false]')) {
      await tab.click()
      await settled()
      check(`${path} ${await tab.innerText()} in ${theme}: axe`, await axeFindings())
    }
    check(`${path} in ${theme}: no complaints`, await complained())
  }
  // The first of each list in its own view.
  for (const path of ['/processes', '/tasks', '/servers', '/providers', '/workflows']) {
    await go(path)
    const link = `main table a[href^="#${path}/"]`
    if (!(await page.$(link))) continue
    const to = await page.getAttribute(link, 'href')
    await page.click(link)
    await settled(to.slice(1))
    check(`the first of ${path} in ${theme}: axe`, await axeFindings())
    check(`the first of ${path} in ${theme}: no complaints`, await complained())
    if (screenshots) await page.screenshot({ path: join(screenshots, `${path.slice(1)}-one-${theme}.png`) })
  }
  for (const [path, opener, field] of DIALOGS) {
    await go(path)
    await page.click(opener)
    await page.waitForSelector(`dialog[open] ${field}`)
    check(`the dialog with ${field} in ${theme}: axe`, await axeFindings())
    check(`the dialog with ${field} in ${theme}: the keyboard reaches everything`, await unreachable())
    if (screenshots) await page.screenshot({ path: join(screenshots, `dialog-${field.replace(/\W/g, '')}-${theme}.png`) })
    await page.keyboard.press('Escape')
    check(`Escape closes the dialog with ${field} in ${theme}`, (await comesTrue(() => !document.querySelector('dialog[open]'))) ? '' : 'it is open')
  }
  check(`dialogs in ${theme}: no complaints`, await complained())
}

// A form whose first field is fetched.
await go('/providers')
await page.click('main .page-head .btn-primary')
await page.waitForSelector('#provider-preset')
check('the form of a provider begins at its first field', (await comesTrue(() => document.activeElement?.id === 'provider-preset')) ? '' : 'it does not')
await page.keyboard.press('Escape')

// A phone, and a small one: neither the page nor a table scrolls sideways.
for (const width of [390, 360]) {
  await page.setViewportSize({ width, height: 740 })
  for (const path of PAGES) {
    await go(path)
    check(`${path} fits ${width} pixels`, await tooWide())
  }
}
for (const [path, opener, field] of DIALOGS) {
  // The list of keys is for who has keys.
  if (field === 'kbd') continue
  await go(path)
  await page.click(opener)
  await page.waitForSelector(`dialog[open] ${field}`)
  const wide = await page.$eval('dialog[open]', (dialog) => dialog.scrollWidth - dialog.clientWidth)
  check(`the dialog with ${field} fits 360 pixels`, wide > 0 ? `it is ${wide} pixels too wide` : '')
  await page.keyboard.press('Escape')
  await page.waitForSelector('dialog[open]', { state: 'detached' })
}
await go('/processes')
const button = await page.$('main tbody button[aria-label^="Remove"]')
const place = await button.boundingBox()
check('the buttons of a row are in sight at 360 pixels', place && place.x >= 0 && place.x + place.width <= 360 ? '' : JSON.stringify(place))
check('a row that is a list: axe', await axeFindings())
await page.click('button[aria-controls=menu]')
check('the menu of a phone opens', (await page.waitForSelector('#menu').catch(() => null)) ? '' : 'it does not')
if (screenshots) await page.screenshot({ path: join(screenshots, 'phone.png') })
await page.click('button[aria-controls=menu]')
await page.setViewportSize({ width: 1280, height: 900 })

// The keyboard.
await go('/')
await page.keyboard.press('g')
await page.keyboard.press('p')
await settled('/processes')
check('`g p` goes to the processes', page.url().endsWith('#/processes') ? '' : page.url())
await page.keyboard.press('/')
check('`/` goes to the search field', (await comesTrue(() => document.activeElement?.hasAttribute('data-search'))) ? '' : 'it does not')
await page.keyboard.press('Escape')
await page.evaluate(() => document.activeElement?.blur())
await page.keyboard.press('?')
check('`?` lists the keys', (await page.waitForSelector('dialog[open] kbd').catch(() => null)) ? '' : 'it does not')
await page.keyboard.press('Escape')

check('keys: no complaints', await complained())

// Hostile texts, put into the server's own answers.
const process_ = { id: 'hostile', project: '/', source: 'file', state: 'running', pid: 1, reason: HOSTILE, command: HOSTILE, shell: false, stdin_open: true, restart: 'no', restarts: 0 }
const logged = (text, stream = 'stdout') => ({ id: 'hostile', time: '2026-01-02T03:04:05.678Z', stream, text })
const task = { id: 'hostile', pid: null, root_pid: 1, cli: 'claude', provider: HOSTILE, role: null, state: 'ended', outcome: 'failed', exit_code: 1, signal: null, started: '2026-01-01T00:00:00Z', ended: '2026-01-01T00:00:01Z', unseen: false, prompt: HOSTILE, cwd: HOSTILE, log: '/', session: null }
const tool = { server: 'hostile', name: HOSTILE, proxied: 'x', description: HOSTILE, read_only: false, tokens: 1, blocked: true, injection_findings: [HOSTILE], input_schema: { type: 'object', properties: { [HOSTILE]: { type: 'string', description: HOSTILE } } } }
const ciRun = { id: 7, name: HOSTILE, number: 1, attempt: 1, title: HOSTILE, branch: HOSTILE, commit: 'c', event: 'push', status: 'completed', conclusion: 'failure', created: '2026-01-01T00:00:00Z', updated: '2026-01-01T00:00:00Z', url: 'javascript:window.hit=1' }
const answers = {
  'GET /processes': { processes: [process_], problem: HOSTILE },
  'GET /processes/hostile': process_,
  'GET /processes/hostile/log': {
    lines: [logged(HOSTILE), logged(`\x1b[31m${HOSTILE}\x1b[0m`, 'stderr'), logged(HOSTILE, 'aiw'), logged('x'.repeat(1 << 20)), logged(`\x1b]8;;javascript:window.hit=1\x1b\\link\x1b]8;;\x1b\\`)],
    next: 5, more: false, missed: false, state: 'running',
  },
  'GET /processes/hostile/definition': { id: 'hostile', source: 'file', command: [HOSTILE], shell: false, cwd: HOSTILE, env: { [HOSTILE]: null }, restart: 'no', needs: [HOSTILE], auto_start: true, replicas: null },
  'GET /tasks/hostile': { task: { ...task, duration_ms: 1, depth: 0, private: false, final_message: HOSTILE }, resume: HOSTILE },
  'GET /tasks/hostile/log': { id: 'hostile', log: '/', lines: [logged(HOSTILE), logged(HOSTILE, 'stderr')] },
  'GET /tasks': { tasks: [task], problems: [HOSTILE] },
  'GET /servers': { servers: [{ name: 'hostile', scope: 'aiw', transport: 'stdio', target: HOSTILE, enabled: true, state: 'invalid', unapproved: 1, plugin: null, tools: 1, error: HOSTILE }], problems: [HOSTILE] },
  'GET /servers/hostile': { name: 'hostile', scope: 'aiw', file: HOSTILE, enabled: true, declaration: { command: HOSTILE }, error: null, tools: 1, instructions: HOSTILE },
  'POST /servers/status': { servers: [{ name: 'hostile', transport: 'stdio', state: 'ready', tools: 0, blocked: [HOSTILE], skipped: [HOSTILE], tokens: 0, listed: false, listing: null, version: HOSTILE, protocol: null, error: null, latency_ms: 1, startup_duration_ms: 1 }], problems: [] },
  'POST /servers/hostile/tools': { tools: [tool] },
  'GET /history': { hits: [{ session: 's', cli: 'claude', project: HOSTILE, time: null, role: 'user', snippet: HOSTILE, score: 1, provider: null, resume: HOSTILE, path: '/', uuid: 'u', marks: [[0, 4]] }], waiting: 0, duration_ms: 1 },
  'GET /history/sessions/hostile': { session: { session: 'hostile', cli: 'claude', project: HOSTILE, title: HOSTILE, first: null, last: null, messages: 3, provider: HOSTILE, resume: HOSTILE, problem: HOSTILE }, messages: [{ uuid: 'u', time: null, role: 'user', tools: [], agent: HOSTILE, text: HOSTILE, path: '/', omitted_bytes: 5 }, { uuid: 'w', time: null, role: 'tool', tools: [HOSTILE], agent: null, text: HOSTILE, path: '/', omitted_bytes: 0 }, { uuid: 'x', time: null, role: 'assistant', tools: [], agent: null, text: HOSTILE, path: '/', omitted_bytes: 0 }], earlier: 1, later: 1 },
  'GET /logs': { lines: [{ ...logged(HOSTILE), id: HOSTILE }, logged(HOSTILE, 'stderr')], next: { hostile: 5 }, more: false, missed: false },
  'GET /events/list': { events: [{ time: '2026-01-01T00:00:00Z', kind: 'exited', subject: 'process', name: HOSTILE, reason: HOSTILE }], next: 1, gap: false },
  'GET /workflows/hostile': { workflow: { name: 'hostile', path: HOSTILE, state: 'approved', description: HOSTILE, tools: [HOSTILE], input_schema: { type: 'object', properties: { city: { type: 'string', description: HOSTILE } } }, sha256: null, problem: null }, text: HOSTILE },
  'GET /runs': { runs: [{ id: 'r', workflow: 'hostile', client: HOSTILE, started_at: '2026-01-01T00:00:00Z', duration_ms: 1, error: HOSTILE, bytes: 0, calls: [{ tool: HOSTILE, duration_ms: 1, bytes: 1, error: HOSTILE, arguments: HOSTILE }], cancelled: [HOSTILE] }] },
  'GET /profiles': { profiles: [{ name: HOSTILE, scope: 'settings', allow: [HOSTILE], deny: [HOSTILE] }] },
  'POST /route': { tools: [{ server: HOSTILE, tool: HOSTILE, proxied: 'x', score: 1, keyword_score: 1, semantic_score: null, matched: [HOSTILE], similar: [HOSTILE], description: HOSTILE, input_schema: {}, output_schema: null }], total_tools: 1, duration_ms: 1, empty_reason: null },
  'GET /suggestions': { suggestions: [{ id: HOSTILE, process: 'x', habit: HOSTILE, confidence_level: 'maybe', times: 1, of: 2, confidence: 0.5, added_line: HOSTILE, events: [] }] },
  'GET /ci': { repository: HOSTILE, branch: null, runs: [ciRun], total: 1, token: 'none', limit: null, about: '', notes: [HOSTILE] },
  'GET /ci/7': { repository: HOSTILE, run: ciRun, jobs: [{ id: 1, name: HOSTILE, status: 'completed', conclusion: 'failure', steps: [{ number: 1, name: HOSTILE, status: 'completed', conclusion: 'failure' }] }], limit: null, about: '', notes: [] },
  'GET /ci/7/log': { repository: HOSTILE, run: ciRun, jobs: [{ id: 1, name: HOSTILE, conclusion: 'failure', step: HOSTILE, lines: [HOSTILE], skipped: 0, note: HOSTILE }], about: '', notes: [] },
  'GET /registries/search': { servers: [{ name: HOSTILE, source: 'hostile', title: null, description: HOSTILE, version: '1', status: 'active', status_message: null, publisher: null, repository: 'javascript:window.hit=1', website: 'data:text/html,x', updated: null, uses: null, kinds: [], aliases: [], looks_like: [HOSTILE], instructions: [] }], sources: [{ source: 'hostile', found: 1, cache_age_seconds: 0, cached_servers: null, problem: HOSTILE }] },
}
await page.route('**/api/v1/**', async (route) => {
  const url = new URL(route.request().url())
  const answer = answers[`${route.request().method()} ${url.pathname.slice('/api/v1'.length)}`]
  if (answer === undefined) return route.fallback()
  // A log is read on from where it ended.
  if (url.searchParams.has('from')) return route.fulfill({ json: { ...answer, lines: [] } })
  const told = JSON.stringify([HOSTILE]).replace(/[^\x20-\x7e]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
  await route.fulfill({ json: answer, headers: url.pathname.endsWith('/tools') ? { 'x-aiw-told': told } : {} })
})
const places = [
  ['/processes', null],
  ['/processes/hostile', null],
  ['/tasks', null],
  ['/tasks/hostile', null],
  ['/servers', null],
  ['/servers/hostile', 'main .page-head .btn-primary'],
  ['/history?q=hostile', null],
  ['/history/hostile', 'main summary'],
  ['/logs?all', null],
  ['/events', null],
  ['/registries', 'search'],
  ['/routing', 'search'],
  ['/profiles', null],
  ['/workflows/hostile', null],
  ['/ci', 'main tbody .btn'],
]
// What is shown already is not fetched again.
await go('/settings')
for (const [path, opener] of places) {
  await go(path)
  if (opener === 'search') {
    await page.fill('[data-search]', 'hostile')
    await page.keyboard.press('Enter')
    await page.waitForSelector('main .hit, main tbody tr')
  } else if (opener) {
    await page.click(opener)
    await page.waitForSelector('main .hit, main details[open], dialog[open]')
  }
  await comesTrue((shown) => document.body.innerText.includes(shown), SHOWN)
  const whole = await text()
  check(`${path}: hostile texts are text`, whole.includes(SHOWN) ? '' : 'they are not shown as they are')
  check(`${path}: what hides is visible`, /[\u202e\u200b]/.test(whole) ? 'it hides' : '')
  check(`${path}: no markup of others`, (await page.$$('#app img, #app script, #app iframe')).length ? 'there is' : '')
  check(`${path}: no link but to http`, (await page.$$('a[href^="javascript:" i], a[href^="data:" i]')).length ? 'there is' : '')
}
await page.click('dialog[open] .btn:has-text("What failed")')
await page.waitForSelector('dialog[open] pre.foreign')
check('a failed run of CI: its log is text', (await page.innerText('dialog[open] pre.foreign')).includes(SHOWN) ? '' : 'it is not')
check('a run of CI: axe', await axeFindings())
await page.keyboard.press('Escape')

// A workflow is run by its schema, stopped, and run again.
let runs = 0
let stopped = ''
page.on('requestfailed', (request) => {
  if (request.url().includes('/run')) stopped = request.failure()?.errorText ?? ''
})
await page.route('**/api/v1/workflows/hostile/run**', async (route) => {
  // The first goes on until it is stopped.
  if (runs++ > 0) await route.fulfill({ json: { result: { city: route.request().postDataJSON().input.city, said: HOSTILE }, error: null, calls: [{ tool: HOSTILE, ms: 1, bytes: 1 }], logs: [{ level: 'log', line: HOSTILE }] } })
})
await go('/workflows/hostile')
await page.click('main .page-head .btn-primary')
await page.fill('#field-0', 'Oslo')
check('the form of a run: axe', await axeFindings())
await page.click('dialog[open] button[type=submit]')
await page.click('dialog[open] .btn:has-text("Stop")')
await page.waitForSelector('dialog[open] .spinner-border', { state: 'detached' })
// The browser tells it a moment later.
for (let turn = 0; !stopped && turn < PATIENCE / 50; turn++) await page.waitForTimeout(50)
check('a run is stopped by ending its request', stopped.includes('ABORTED') ? '' : stopped || 'it goes on')
await page.click('dialog[open] button[type=submit]')
await page.waitForSelector('dialog[open] pre.foreign')
const ran = await page.innerText('dialog[open]')
check('a run is sent what was typed, and its result is text', ran.includes('"city": "Oslo"') && ran.includes(SHOWN) ? '' : ran)
await page.keyboard.press('Escape')

await go('/processes/hostile')
await comesTrue(() => document.querySelectorAll('.log-line').length === 5)
check('colours of logs are classes', (await page.$('.log-line .sgr-1')) ? '' : 'they are not')
check('lines of stderr and of aiw are marked', (await page.$$eval('.log-stderr .log-mark, .log-aiw .log-mark', (marks) => marks.map((mark) => mark.innerText.trim()).join())) === 'stderr,aiw' ? '' : (await page.innerText('.log-lines')).slice(0, 500))
check('a link of a terminal is text', (await page.innerText('.log-lines')).includes('link') && !(await page.$('.log-lines a')) ? '' : 'it is not')
check('times are not shown unasked', (await page.$('.log-line .log-time[title]')) ? 'they are' : '')
await page.click('input[role=switch]')
await comesTrue(() => document.querySelectorAll('.log-line .log-time[title]').length === 5)
const clocks = await page.$$eval('.log-line .log-time[title]', (times) => times.map((time) => time.textContent.trim()))
check('times are shown when asked', clocks.length === 5 && clocks.every((clock) => /^\d\d:\d\d:05\.678$/.test(clock)) ? '' : clocks.join())
await page.click('input[role=switch]')
check('what takes input has a line for it', (await page.$('main form input')) ? '' : 'it has none')
await page.click('dl.facts button')
await page.waitForSelector('#edit-process')
check('a hostile definition is text', (await page.inputValue('#edit-cwd')) === HOSTILE && (await page.innerText('dialog[open]')).includes(SHOWN) ? '' : await page.innerText('dialog[open]'))
check('the form of a definition: axe', await axeFindings())
if (screenshots) await page.screenshot({ path: join(screenshots, 'edit.png') })
await page.keyboard.press('Escape')
const longest = await page.$$eval('.log-line', (lines) => Math.max(...lines.map((line) => line.textContent.length)))
check('a line of 1 MB is cut', longest > 10_000 ? `${longest} characters are in the page` : '')
check('nothing of others ran', (await page.evaluate(() => window.hit)) ? 'it did' : '')

// A question of a verb: shown as text, answered, sent again with the answer.
let sent = null
await page.route('**/api/v1/servers/hostile/approve**', async (route) => {
  const body = route.request().postDataJSON()
  const ask = { digest: 'd', kind: 'plan', question: HOSTILE, text: HOSTILE, details: [HOSTILE], effects: [HOSTILE], options: [], values: [{ name: 'KEY', description: HOSTILE, required: true, secret: true, default: null, placeholder: null, choices: [] }] }
  if (!body.person) return route.fulfill({ status: 409, json: { ask } })
  sent = { body, token: route.request().headers().authorization }
  await route.fulfill({ json: { done: ['approved'] } })
})
allow(/status of 409/)
await go('/servers/hostile')
await page.click('main .page-head .btn-primary')
// The second click of a double click is not an answer.
await page.evaluate(() => {
  const look = () => (window.answersAtOnce ??= document.querySelector('button[form=ask]') && !document.querySelector('button[form=ask]').disabled)
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true })
})
await page.click('main .alert-warning .btn')
await page.waitForSelector('dialog[open] pre.foreign')
check('a question is not answered as it appears', (await page.evaluate(() => window.answersAtOnce)) === false ? '' : 'it is')
check('a question is shown as text', (await page.innerText('dialog[open]')).includes(SHOWN) ? '' : 'it is not')
check('a question: axe', await axeFindings())
if (screenshots) await page.screenshot({ path: join(screenshots, 'question.png') })
const secret = await page.$('dialog[open] input[type=password][autocomplete=off]')
check('a secret is typed hidden', secret ? '' : 'it is not')
await secret?.fill('hunter2')
await page.click('dialog[open] button[type=submit]')
await page.waitForSelector('dialog[open]', { state: 'detached' })
for (let turn = 0; !sent && turn < PATIENCE / 50; turn++) await page.waitForTimeout(50)
const given = sent?.body.person?.d
check('the answer is sent by its digest', given?.yes === true && given.values?.KEY?.[0] === 'hunter2' ? '' : JSON.stringify(sent))
check('a write has the token', /^Bearer [0-9a-f]{64}$/.test(sent?.token ?? '') ? '' : 'it has not')
check('hostile texts: no complaints', await complained())

// A pool: its plan is shown, and its digest is posted.
let pool = null
await page.route('**/api/v1/pools**', async (route) => {
  if (route.request().method() !== 'POST') return route.fallback()
  const body = route.request().postDataJSON()
  const ask = { digest: 'p', kind: 'plan', question: 'Add this pool?', text: null, details: ['work: one, two=m'], effects: [], options: [], values: [] }
  if (!body.person) return route.fulfill({ status: 409, json: { ask } })
  pool = body
  await route.fulfill({ json: { name: 'work', members: [], strategy: 'priority', default_for: [] } })
})
const provider = { preset: 'x', secret: 'set', clis: [], gateway: [], base_urls: {}, default: false, health: null }
answers['GET /providers'] = { providers: [{ ...provider, name: 'one' }, { ...provider, name: 'two' }], problems: [] }
await go('/providers')
await page.click('main button[title="aiw pool add"]')
await page.waitForSelector('dialog[open] .row-fields select')
await page.fill('#pool-name', 'work')
await page.selectOption('dialog[open] .row-fields:nth-of-type(1) select', 'one')
await page.click('dialog[open] button:has-text("Add a member")')
await page.selectOption('dialog[open] .row-fields:nth-of-type(2) select', 'two')
await page.fill('dialog[open] .row-fields:nth-of-type(2) input', 'm')
check('the form of a pool: axe', await axeFindings())
await page.click('dialog[open] button[form=new-pool]')
await page.waitForSelector('dialog[open] button[form=ask]')
await page.click('dialog[open] button[form=ask]')
await page.waitForSelector('dialog[open]', { state: 'detached' })
check('a pool is added by the digest of its plan', JSON.stringify(pool?.members) === '["one","two=m"]' && pool?.person?.p?.yes === true ? '' : JSON.stringify(pool))
check('pools: no complaints', await complained())

// What fails while a dialog is open is said in the dialog: all else is behind it.
await page.route('**/api/v1/processes', async (route) => {
  if (route.request().method() !== 'POST') return route.fallback()
  await route.fulfill({ status: 422, json: { error: { kind: 'user', message: 'this can not be', hint: HOSTILE } } })
})
allow(/status of 422/)
await go('/processes')
await page.click('main .page-head .btn-primary')
await page.fill('#new-id', 'x')
await page.fill('#new-command', 'sleep 1')
await page.click('dialog[open] button[type=submit]')
await comesTrue(() => document.querySelector('dialog[open]')?.innerText.includes('this can not be'))
const said = await page.innerText('dialog[open]')
check('a failure in a dialog is said there, with its hint', said.includes('this can not be') && said.includes(SHOWN) ? '' : said)
await page.keyboard.press('Escape')
await page.waitForSelector('dialog[open]', { state: 'detached' })
check('a failure in a dialog goes with it', (await text()).includes('this can not be') ? 'it stays' : '')
check('a failure: no complaints', await complained())

// 100,000 lines: few of them are in the page.
const many = Array.from({ length: 100_000 }, (_, at) => logged(`line ${at}`, at % 10 === 9 ? 'stderr' : 'stdout'))
// Among them a long one, and one that would run and turn around what follows.
many[70_000] = logged('x'.repeat(1 << 20))
many[70_001] = logged(HOSTILE)
answers['GET /processes/hostile'] = { ...process_, stdin_open: false }
answers['GET /processes/hostile/log'] = undefined
await page.route('**/api/v1/processes/hostile/log**', async (route) => {
  const from = Number(new URL(route.request().url()).searchParams.get('from') ?? 0)
  const lines = many.slice(from, from + 1_000)
  const next = from + lines.length
  await route.fulfill({ json: { lines, next, more: next < many.length, missed: false, state: 'failed' } })
})
await go('/processes')
const longTasks = async (what) => {
  const tasks = await page.evaluate(() => window.longTasks.splice(0))
  console.log(`     ${what}: ${tasks.length} tasks of more than 50 ms${tasks.length ? `, of ${tasks.join(', ')} ms` : ''}`)
}
await page.evaluate(() => window.longTasks.splice(0))
await go('/processes/hostile')
await comesTrue(() => document.body.innerText.includes('line 99999'))
const drawn = (await page.$$('.log-line')).length
check('of 100,000 lines the last is seen', (await text()).includes('line 99999') ? '' : 'it is not')
check('of 100,000 lines few are in the page', drawn > 0 && drawn < 200 ? '' : `${drawn} are`)
check('what takes no input has no line for it', (await page.$('main form input.mono')) ? 'it has one' : '')
await longTasks('100,000 lines are read')
for (const at of [0, 12_345, 50_000, 69_995, 99_900]) {
  await page.$eval('.log', (log, at) => (log.scrollTop = at * 18), at)
  const wanted = at === 69_995 ? SHOWN : `line ${at + 10}`
  await comesTrue((wanted) => document.querySelector('.log').innerText.includes(wanted), wanted)
  check(`line ${at + 10} is seen where it is`, (await page.innerText('.log')).includes(wanted) ? '' : (await page.innerText('.log')).slice(0, 300))
}
await page.$eval('.log', async (log) => {
  for (let at = 0; at < 100; at++) {
    log.scrollTop = at * 18_000
    await new Promise((done) => requestAnimationFrame(done))
  }
})
await longTasks('they are scrolled from end to end')
await page.fill('[data-search]', 'line 4242')
await comesTrue(() => /Lines found: 11\b/.test(document.body.innerText))
check('a log is searched', /Lines found: 11\b/.test(await text()) ? '' : 'it is not')
await page.fill('[data-search]', 'line')
await comesTrue(() => /Lines found: 99,998\b/.test(document.body.innerText))
check('a search that finds almost all', /Lines found: 99,998\b/.test(await text()) ? '' : (await text()).match(/Lines found.*/)?.[0])
await longTasks('they are searched')
await page.fill('[data-search]', 'line 4242')
await comesTrue(() => /Lines found: 11\b/.test(document.body.innerText))
await page.keyboard.press('Enter')
await comesTrue(() => document.querySelector('.log-here')?.innerText.trim() === 'line 4242')
check('Enter goes to the first line found', (await page.$('.log-here'))?.innerText && (await page.innerText('.log-here')).trim() === 'line 4242' ? '' : await page.innerText('.log'))
const [download] = await Promise.all([page.waitForEvent('download'), page.click('button:has-text("Download")')])
const saved = readFileSync(await download.path(), 'utf8')
check('a log is downloaded whole', saved.split('\n').length === 100_001 ? '' : `${saved.split('\n').length} lines`)
check('logs: no complaints', await complained())

await end()
