// Keys of the whole page: `g p` goes to a page, `/` to its search, Ctrl-K opens the palette, `?` lists them.
import type { Router } from 'vue-router'
import { ref } from 'vue'
import { PAGES } from '../routes'

/** Whether the list of keys is shown. */
export const listsKeys = ref(false)
/** Whether the command palette is shown. */
export const showsPalette = ref(false)

/** How long the second key may take, in milliseconds. */
const PATIENCE = 1_500

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

export function listenToKeys(router: Router): void {
  let goes = 0
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
      // The browser has a use of its own for it.
      event.preventDefault()
      if (showsPalette.value) showsPalette.value = false
      else if (!document.querySelector('dialog[open]')) showsPalette.value = true
      return
    }
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
