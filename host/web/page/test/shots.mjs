// Takes the screenshots of the documents: `cargo xtask web --shots` calls it with the address of a demo.
//
//     node test/shots.mjs 'http://127.0.0.1:40123/#code=…' DIRECTORY
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [address, directory] = process.argv.slice(2)
if (!address || !directory) {
  console.error('the address with its code, or the directory, is missing')
  process.exit(64)
}

const SHOTS = [
  ['overview-light', '/', 'light', 1100, 700],
  ['overview-dark', '/', 'dark', 1100, 700],
  ['processes', '/processes', 'light', 1100, 700],
  ['logs', '/processes/api', 'dark', 1100, 700],
  ['servers', '/servers', 'light', 1100, 700],
  ['phone', '/processes', 'light', 375, 740],
]

const browser = await chromium.launch({ executablePath: process.env.AIW_TEST_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage({ viewport: { width: 1100, height: 700 }, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC' })
await page.goto(address)
await page.waitForSelector('main h1')
for (const [name, path, theme, width, height] of SHOTS) {
  await page.setViewportSize({ width, height })
  await page.emulateMedia({ colorScheme: theme })
  await page.evaluate((path) => (location.hash = `#${path}`), path)
  await page.waitForSelector('main h1')
  await page.waitForFunction(() => !document.querySelector('.loading'))
  await page.waitForTimeout(500)
  await page.screenshot({ path: join(directory, `${name}.png`) })
}
await browser.close()
