// What was said to the person: what was done, what failed, and what verbs told meanwhile.
import { defineStore } from 'pinia'
import { ref } from 'vue'

export interface Line {
  id: number
  kind: 'done' | 'told' | 'failed'
  text: string
  hint: string | null
}

/** As many are shown at once. */
const MOST = 6
/** How long each stays, in milliseconds. Failures stay until they are closed. */
const STAYS = 8_000

export const useTold = defineStore('told', () => {
  const lines = ref<Line[]>([])
  /** How many dialogs are open: the topmost shows the lines, since all else is behind it. */
  const dialogs = ref(0)
  /** How many lines verbs have told so far. */
  const told = ref(0)
  let last = 0

  function close(id: number): void {
    lines.value = lines.value.filter((line) => line.id !== id)
  }

  function say(kind: Line['kind'], text: string, hint: string | null = null): void {
    const id = ++last
    if (kind === 'told') told.value++
    lines.value = [...lines.value, { id, kind, text, hint }].slice(-MOST)
    if (kind !== 'failed') setTimeout(() => close(id), STAYS)
  }

  return { lines, told, dialogs, say, close }
})
