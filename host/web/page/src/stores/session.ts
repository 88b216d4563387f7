// Who the page is: the session that a code became, and the project that it looks at.
import { defineStore } from 'pinia'
import { ref } from 'vue'

interface About {
  csrf: string
  version: string
  home: string
  project: string
}

export const useSession = defineStore('session', () => {
  const state = ref<'starting' | 'open' | 'none' | 'unreachable'>('starting')
  const about = ref<About>({ csrf: '', version: '', home: '', project: '' })
  /** The chosen project; null is the one where the dashboard was started. */
  const project = ref<string | null>(sessionStorage.getItem('aiw.project'))

  async function begin(code: string | null): Promise<void> {
    const request: RequestInit = { credentials: 'same-origin', cache: 'no-store' }
    if (code !== null) {
      request.method = 'POST'
      request.headers = { 'content-type': 'application/json' }
      request.body = JSON.stringify({ code })
    }
    try {
      let response = await fetch('/api/v1/session', request)
      // A code that was used by this very browser, after a reload: its session may still be open.
      if (response.status === 401 && code !== null) {
        response = await fetch('/api/v1/session', { credentials: 'same-origin', cache: 'no-store' })
      }
      if (response.ok) {
        about.value = (await response.json()) as About
        state.value = 'open'
      } else {
        state.value = 'none'
      }
    } catch {
      state.value = 'unreachable'
    }
  }

  function choose(wanted: string | null): void {
    project.value = wanted
    if (wanted === null) sessionStorage.removeItem('aiw.project')
    else sessionStorage.setItem('aiw.project', wanted)
  }

  return { state, about, project, begin, choose }
})
