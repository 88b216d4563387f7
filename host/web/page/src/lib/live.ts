// What a view shows, fetched again when its topics change.
import { onScopeDispose, ref, shallowRef, type Ref, type ShallowRef } from 'vue'
import { useStream, type Topic } from '../stores/stream'
import { useTold } from '../stores/told'
import { ApiError, Cancelled } from './api'
import { t } from './i18n'

/** The least time between two fetches that changes ask for, in milliseconds. */
const GAP = 200

export interface Live<A> {
  data: ShallowRef<A | null>
  error: ShallowRef<ApiError | null>
  busy: Ref<boolean>
  reload: () => Promise<void>
}

function problem(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'internal', String(error), null)
}

/**
 * Fetches something, and again when a topic changes. However often that is, one fetch is under way at a time, and one more
 * follows it.
 */
export function useLive<A>(topics: readonly Topic[], fetchIt: (signal: AbortSignal) => Promise<A>): Live<A> {
  const data = shallowRef<A | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const busy = ref(false)
  const gone = new AbortController()
  let turn = 0
  let running = false
  let again = false
  let begun = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  async function reload(): Promise<void> {
    const own = ++turn
    busy.value = true
    begun = Date.now()
    running = true
    try {
      const answer = await fetchIt(gone.signal)
      if (own === turn) {
        data.value = answer
        error.value = null
      }
    } catch (failed) {
      if (own === turn && !(failed instanceof Cancelled)) error.value = problem(failed)
    } finally {
      if (own === turn) {
        busy.value = false
        running = false
        if (again) {
          again = false
          changed()
        }
      }
    }
  }

  function changed(): void {
    if (running) {
      again = true
      return
    }
    const wait = GAP - (Date.now() - begun)
    clearTimeout(timer)
    if (wait <= 0) void reload()
    else timer = setTimeout(() => void reload(), wait)
  }

  const stop = useStream().listen(topics, changed)
  onScopeDispose(() => {
    stop()
    clearTimeout(timer)
    turn++
    gone.abort()
  })
  void reload()
  return { data, error, busy, reload }
}

/** Does something of the person's wish, and says what came of it. Returns nothing if it failed or was left. */
export async function attempt<A>(work: () => Promise<A>, done?: (answer: A) => string | string[]): Promise<A | undefined> {
  const told = useTold()
  const [before, place] = [told.told, told.top]
  if (place !== null) told.forget(place)
  try {
    const answer = await work()
    // What the verb has told itself needs no second line.
    const lines = told.told > before ? [] : (done?.(answer) ?? [])
    for (const line of typeof lines === 'string' ? [lines] : lines) told.say('done', line, null, place)
    return answer
  } catch (error) {
    if (!(error instanceof Cancelled)) {
      const { message, hint } = problem(error)
      told.say('failed', message || t('error.unknown'), hint, place)
    }
    return undefined
  }
}
