// A browser with checks and the rules of axe, for the scripts of this directory.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** How long is waited for what comes by itself, in milliseconds: a guard, which a machine with other work may need. */
export const PATIENCE = 120_000

/** Tags of the rules of WCAG 2.2 A and AA, which count with any impact. Others count with a serious or critical one. */
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

// A machine without a store is told so by a refusal.
export const NO_STORE = /status of 422.*\/api\/v1\/(sync|ci)/

/** Opens a browser. The browser is that of AIW_TEST_CHROMIUM. */
export async function launch() {
  return chromium.launch({ executablePath: process.env.AIW_TEST_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'], timeout: PATIENCE })
}

/** Opens a page in its own browser and returns it with the checks. */
export async function drive() {
  let failed = 0
  function check(name, problem) {
    if (problem) failed++
    console.log(`${problem ? 'FAIL' : 'ok  '} ${name}${problem ? `: ${problem}` : ''}`)
  }

  const browser = await launch()
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', locale: 'en-GB' })
  context.setDefaultTimeout(PATIENCE)
  const page = await context.newPage()

  /** What the browser complains of. Answers that a check makes fail on purpose are allowed for. */
  let complaints = []
  let allowed = [NO_STORE]
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.text()} (${message.location().url})`)
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('dialog', (dialog) => {
    complaints.push('a dialog of the browser was opened')
    void dialog.dismiss()
  })
  await page.addInitScript(() => {
    window.violations = []
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`))
    window.longTasks = []
    new PerformanceObserver((list) => list.getEntries().forEach((task) => window.longTasks.push(Math.round(task.duration)))).observe({ type: 'longtask' })
  })

  const driver = {
    browser,
    context,
    page,
    check,
    /** Allows complaints of these forms from now on, besides that of a machine without a store. */
    allow: (...patterns) => (allowed = [NO_STORE, ...patterns]),
    async complained() {
      const violations = await page.evaluate(() => window.violations.splice(0))
      const all = [...complaints, ...violations].filter((one) => !allowed.some((pattern) => pattern.test(one)))
      complaints = []
      return all.join('; ')
    },
    /** Returns whether something comes true in the page. */
    comesTrue: (predicate, argument) => page.waitForFunction(predicate, argument).then(() => true, () => false),
    /** Waits until the view of this path, if one is named, is there with what it fetches. */
    async settled(path) {
      await page.waitForSelector('main h1')
      // The address changes before the view, whose code is fetched.
      if (path) await page.waitForFunction((path) => document.querySelector('#app').__vue_app__.config.globalProperties.$router.currentRoute.value.fullPath === path, path)
      await page.waitForFunction(() => !document.querySelector('.loading'))
      await page.waitForTimeout(150)
    },
    async go(path) {
      await page.evaluate((path) => (location.hash = `#${path}`), path)
      await driver.settled(path)
    },
    async axeFindings() {
      // Colours that are on their way to another theme are none of either.
      await page.waitForFunction(() => !document.getAnimations().some((one) => one instanceof CSSTransition))
      await page.evaluate(axe)
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
      return violations
        .filter(({ impact, tags }) => impact === 'serious' || impact === 'critical' || tags.some((tag) => WCAG.includes(tag)))
        .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.any[0]?.message ?? ''}`).join(', ')}`)
        .join('; ')
    },
    /** Returns elements that look clickable and that the keyboard does not reach. Options are reached by their combobox. */
    async unreachable() {
      return page.evaluate(() => {
        const reached = 'a[href], button, input, select, textarea, summary, label, [tabindex="0"], [role=option], [role=tab]'
        const all = [...(document.querySelector('dialog[open]') ?? document.body).querySelectorAll('*')]
        const lost = all.filter((one) => getComputedStyle(one).cursor === 'pointer' && !one.closest(reached))
        return lost.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join('; ')
      })
    },
    text: () => page.evaluate(() => document.body.innerText),
    /** Returns what is wider than the window: the page, or a table. Empty if nothing is. */
    async tooWide() {
      return page.evaluate(() => {
        const root = document.documentElement
        const wide = root.scrollWidth - root.clientWidth
        const tables = [...document.querySelectorAll('main table')].filter((table) => table.scrollWidth > table.parentElement.clientWidth || getComputedStyle(table.parentElement).overflowX === 'auto')
        const narrow = [...document.querySelectorAll('main .stacked td')].filter((cell) => cell.offsetWidth < 0.9 * cell.parentElement.offsetWidth)
        return [narrow.length ? `${narrow.length} cells of a list are narrow` : '', wide > 0 ? `the page is ${wide} pixels too wide` : '', tables.length ? `${tables.length} tables do not fit` : ''].filter(Boolean).join(', ')
      })
    },
    /** Ends the browser, and the process with 1 if a check failed. */
    async end() {
      await browser.close()
      console.log(failed ? `${failed} checks failed` : 'all checks passed')
      process.exit(failed ? 1 : 0)
    },
  }
  return driver
}
