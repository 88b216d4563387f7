// Light, dark, or as the system is.
import { ref } from 'vue'
import { recall, remember } from './i18n'

export type Theme = 'system' | 'light' | 'dark'

const dark = window.matchMedia('(prefers-color-scheme: dark)')
const known = recall('aiw.theme')

export const theme = ref<Theme>(known === 'light' || known === 'dark' ? known : 'system')
/** Whether the page is dark now. */
export const isDark = ref(false)

function show(): void {
  isDark.value = theme.value === 'dark' || (theme.value === 'system' && dark.matches)
  document.documentElement.setAttribute('data-bs-theme', isDark.value ? 'dark' : 'light')
}

export function choose(wanted: Theme): void {
  theme.value = wanted
  remember('aiw.theme', wanted === 'system' ? null : wanted)
  show()
}

dark.addEventListener('change', show)
show()
