// Messages to the user: results, failures and messages of verbs. Each belongs to the dialog in which its action began, or to
// the page.
import { defineStore } from 'pinia'
import { computed, ref } from 'vue'

/** An open dialog; null is the page. */
export type Place = number | null

export interface Line {
  id: number
  kind: 'done' | 'told' | 'failed'
  text: string
  hint: string | null
  place: Place
}

/** Maximum number of lines per place. */
const MAX_LINES = 6
/** How long each stays, in milliseconds. Failures stay until they are closed. */
const STAYS = 8_000

export const useTold = defineStore('told', () => {
  const lines = ref<Line[]>([])
  /** The open dialogs, the topmost last. */
  const dialogs = ref<number[]>([])
  const top = computed<Place>(() => dialogs.value.at(-1) ?? null)
  /** How many lines verbs have told so far. */
  const told = ref(0)
  let last = 0

  function close(id: number): void {
    lines.value = lines.value.filter((line) => line.id !== id)
  }

  function linesOf(place: Place): Line[] {
    return lines.value.filter((line) => line.place === place).slice(-MAX_LINES)
  }

  function say(kind: Line['kind'], text: string, hint: string | null = null, place: Place = top.value): void {
    const id = ++last
    if (kind === 'told') told.value++
    // An action that outlives its dialog reports on the page.
    const known = place !== null && dialogs.value.includes(place) ? place : null
    lines.value.push({ id, kind, text, hint, place: known })
    if (kind !== 'failed') setTimeout(() => close(id), STAYS)
  }

  /** Drops the failures of a place. */
  function forget(place: Place): void {
    lines.value = lines.value.filter((line) => line.place !== place || line.kind !== 'failed')
  }

  function enter(): number {
    const id = ++last
    dialogs.value.push(id)
    return id
  }

  /** Closes a dialog: its failures are dropped, its other lines move to the page. */
  function leave(dialog: number): void {
    forget(dialog)
    dialogs.value = dialogs.value.filter((one) => one !== dialog)
    lines.value = lines.value.map((line) => (line.place === dialog ? { ...line, place: null } : line))
  }

  return { top, told, linesOf, say, close, forget, enter, leave }
})
