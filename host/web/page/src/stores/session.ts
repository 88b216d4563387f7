// Who the page is: the session that a code became, and the project that it looks at.
//
// The token of the session is this tab's. It is not in localStorage: a page of another program that had this port before
// may still be open in another tab, and is of the same origin.
import { defineStore } from 'pinia'
import { ref } from 'vue'

interface About {
  version: string
  home: string
  project: string
}

const TOKEN = 'aiw.token'

export const useSession = defineStore('session', () => {
  const state = ref<'starting' | 'open' | 'none' | 'unreachable'>('starting')
  const about = ref<About>({ version: '', home: '', project: '' })
  let token = sessionStorage.getItem(TOKEN)
  /** The chosen project; null is the one where the dashboard was started. */
  const project = ref<string | null>(sessionStorage.getItem('aiw.project'))

  async function begin(code: string | null, opens: string | null): Promise<void> {
    const usual: RequestInit = { credentials: 'omit', cache: 'no-store' }
    try {
      if (code !== null) {
        const headers = { 'content-type': 'application/json' }
        const response = await fetch('/api/v1/session', { ...usual, method: 'POST', headers, body: JSON.stringify({ code }) })
        if (response.ok) {
          const answer = (await response.json()) as About & { token: string }
          token = answer.token
          sessionStorage.setItem(TOKEN, token)
          about.value = answer
          if (opens !== null) choose(opens === answer.project ? null : opens)
          state.value = 'open'
          return
        }
      }
      // A code that was used by this very tab, before a reload: its session may still be open.
      const response = token === null ? null : await fetch('/api/v1/session', { ...usual, headers: headers() })
      if (response?.ok) {
        about.value = (await response.json()) as About
        state.value = 'open'
      } else if (response === null || response.status === 401) {
        end()
      } else {
        state.value = 'unreachable'
      }
    } catch {
      state.value = 'unreachable'
    }
  }

  /** Returns the headers by which the server knows the session. */
  function headers(): Record<string, string> {
    return token === null ? {} : { authorization: `Bearer ${token}` }
  }

  /** The server knows no such session. */
  function end(): void {
    token = null
    sessionStorage.removeItem(TOKEN)
    state.value = 'none'
  }

  function choose(wanted: string | null): void {
    project.value = wanted
    if (wanted === null) sessionStorage.removeItem('aiw.project')
    else sessionStorage.setItem('aiw.project', wanted)
  }

  return { state, about, project, begin, headers, end, choose }
})
