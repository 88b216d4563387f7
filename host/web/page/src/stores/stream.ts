// What changes on the machine: one stream a tab, which tells topics. Views fetch again what they show.
import { defineStore } from 'pinia'
import { ref } from 'vue'
import { address, get } from '../lib/api'
import { readEvents, type ServerEvent } from '../lib/sse'
import { useSession } from './session'

export type Topic =
  | 'tasks'
  | 'processes'
  | 'servers'
  | 'providers'
  | 'usage'
  | 'plugins'
  | 'events'
  | 'workflows'
  | 'documents'
  | 'logs'

const TOPICS = 'tasks,processes,servers,providers,usage,plugins,events,workflows,documents'

/** How long is waited before a stream that has ended is opened again, in milliseconds. */
const RETRY_DELAY = 2_000

interface Listener {
  topics: readonly Topic[]
  changed: () => void
}

export const useStream = defineStore('stream', () => {
  const connected = ref(false)
  /** Whether it was open before: the page says that it is gone only then. */
  const wasOpen = ref(false)
  const listeners = new Set<Listener>()
  let source: AbortController | null = null
  let follows: { process?: string; task?: string } | null = null
  let retry: ReturnType<typeof setTimeout> | undefined

  function everything(): void {
    listeners.forEach((listener) => listener.changed())
  }

  function close(): void {
    clearTimeout(retry)
    source?.abort()
    source = null
  }

  function open(): void {
    close()
    if (document.hidden || useSession().state !== 'open') return
    const own = new AbortController()
    source = own
    void read(own.signal)
      .catch(() => {})
      .then(() => {
        // One that was closed has its successor, or is not wanted.
        if (source !== own) return
        connected.value = false
        retry = setTimeout(again, RETRY_DELAY)
      })
  }

  async function read(signal: AbortSignal): Promise<void> {
    const session = useSession()
    const topics = follows ? `${TOPICS},logs` : TOPICS
    const headers = { accept: 'text/event-stream', ...session.headers() }
    const init: RequestInit = { headers, credentials: 'omit', cache: 'no-store', signal }
    const response = await fetch(address('/events', { topics, ...follows }), init)
    if (response.status === 401) session.end()
    if (!response.ok || !response.body) return
    await readEvents(response.body, heard)
  }

  function heard({ event, data }: ServerEvent): void {
    if (event === 'open') {
      connected.value = true
      wasOpen.value = true
      // What changed before the stream was open is not told: ask once more.
      everything()
    } else if (event === 'changed') {
      const { topics } = JSON.parse(data) as { topics: Topic[] }
      listeners.forEach((listener) => {
        if (listener.topics.some((topic) => topics.includes(topic))) listener.changed()
      })
    }
  }

  /** The stream has ended: the server is gone, or the session is over. */
  function again(): void {
    const alive = (): void => open()
    const dead = (): void => {
      if (useSession().state === 'open') retry = setTimeout(again, RETRY_DELAY)
    }
    get('/session').then(alive, dead)
  }

  /** How often a hidden page says that it is there still: a dashboard without pages ends after half an hour. */
  const STAYS = 5 * 60_000

  function start(): void {
    setInterval(() => {
      if (document.hidden && useSession().state === 'open') get('/session').catch(() => {})
    }, STAYS)
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) close()
      else open()
    })
    window.addEventListener('pagehide', close)
    open()
  }

  function listen(topics: readonly Topic[], changed: () => void): () => void {
    const listener = { topics, changed }
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  /** Follows the logs of processes, whose ids a comma separates, or of a task: topic `logs`. */
  function follow(what: { process?: string; task?: string } | null): void {
    if (JSON.stringify(what) === JSON.stringify(follows)) return
    follows = what
    open()
  }

  return { connected, wasOpen, start, open, listen, follow }
})
