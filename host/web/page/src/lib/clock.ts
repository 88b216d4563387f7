// The time now, while a view that shows spans of time is there and seen.
import { onScopeDispose, ref, type Ref } from 'vue'

export function useClock(every: number, tick?: () => void): Ref<number> {
  const now = ref(Date.now())
  const timer = setInterval(() => {
    if (document.hidden) return
    now.value = Date.now()
    tick?.()
  }, every)
  onScopeDispose(() => clearInterval(timer))
  return now
}
