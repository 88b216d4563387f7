// Dialogs that a query parameter opens, such as `/tasks?new` from the command palette.
import { ref, watch, type Ref } from 'vue'
import { useRoute, useRouter } from 'vue-router'

/** Returns the state of a dialog. The query parameter opens it and is removed from the address. */
export function useOpener(word: string): Ref<boolean> {
  const [route, router] = [useRoute(), useRouter()]
  const isOpen = ref(false)
  const openFromQuery = (): void => {
    if (route.query[word] === undefined) return
    isOpen.value = true
    const { [word]: _, ...query } = route.query
    void router.replace({ query })
  }
  watch(() => route.query[word], openFromQuery, { immediate: true })
  return isOpen
}
