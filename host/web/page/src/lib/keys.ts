// Keys of the whole page: `g p` goes to a page, `/` to its search, `?` lists them.
import type { Router } from 'vue-router'
import { ref } from 'vue'
import { PAGES } from '../routes'

/** Whether the list of keys is shown. */
export const listsKeys = ref(false)

/** How long the second key may take, in milliseconds. */
const PATIENCE = 1_500

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

export function listenToKeys(router: Router): void {
  let goes = 0
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    if (isTyping(event.target) || document.querySelector('dialog[open]')) return
    const page = Date.now() - goes < PATIENCE ? PAGES.find((page) => page.key === event.key) : undefined
    goes = 0
    if (page) {
      event.preventDefault()
      void router.push(page.path)
    } else if (event.key === 'g') {
      goes = Date.now()
    } else if (event.key === '/') {
      const search = document.querySelector<HTMLElement>('[data-search]')
      if (!search) return
      event.preventDefault()
      search.focus()
    } else if (event.key === '?') {
      event.preventDefault()
      listsKeys.value = true
    }
  })
}
