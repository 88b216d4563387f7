// Dialogs that an address opens: `?new` on a page, from the command palette.
import { ref, watch, type Ref } from 'vue'
import { useRoute, useRouter } from 'vue-router'

/** Returns whether a dialog is open. The word leaves the address as soon as it has opened it. */
export function useOpener(word: string): Ref<boolean> {
  const [route, router] = [useRoute(), useRouter()]
  const isOpen = ref(false)
  const take = (): void => {
    if (route.query[word] === undefined) return
    isOpen.value = true
    const { [word]: _, ...query } = route.query
    void router.replace({ query })
  }
  watch(() => route.query[word], take, { immediate: true })
  return isOpen
}
