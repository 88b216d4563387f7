// A search through many lines, in parts: the page answers meanwhile.
import { onScopeDispose, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { plain } from './ansi'

/** As long may a part take, in milliseconds. */
const PART = 8
/** As many lines are looked at between two looks at the clock. */
const STEP = 200

export interface Found {
  /** The indices of the lines that have what is searched for, in order. */
  indices: ShallowRef<number[]>
  /** Says that lines at the beginning are gone. */
  shift: (gone: number) => void
}

/** Whether a sorted list has a number. */
export function has(sorted: readonly number[], wanted: number): boolean {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return sorted[low] === wanted
}

/** Searches lines for a text in lower case; of lines that are added, only those. A filter leaves others out. */
export function useFound<L extends { text: string }>(lines: ShallowRef<L[]>, needle: Ref<string>, filter: Ref<((line: L) => boolean) | null>): Found {
  const indices = shallowRef<number[]>([])
  let next = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let searched: unknown = null

  function part(): void {
    timer = undefined
    const [wanted, fits] = [needle.value, filter.value]
    const all = lines.value
    if (!wanted || next >= all.length) return
    const until = performance.now() + PART
    const found = indices.value.slice()
    while (next < all.length && performance.now() < until) {
      for (const end = Math.min(next + STEP, all.length); next < end; next++) {
        const line = all[next]
        if (line && (fits?.(line) ?? true) && plain(line.text).toLowerCase().includes(wanted)) found.push(next)
      }
    }
    if (found.length !== indices.value.length) indices.value = found
    if (next < all.length) timer = setTimeout(part)
  }

  function begin(): void {
    clearTimeout(timer)
    next = 0
    indices.value = []
    part()
  }

  function shift(gone: number): void {
    next = Math.max(0, next - gone)
    indices.value = indices.value.map((index) => index - gone).filter((index) => index >= 0)
  }

  watch([needle, filter], begin)
  watch(lines, () => {
    // Another list of lines, or the one that is known with more at its end.
    if (searched !== lines.value) {
      searched = lines.value
      begin()
    } else if (timer === undefined) part()
  })
  onScopeDispose(() => clearTimeout(timer))
  return { indices, shift }
}
