// One question at a time: of a verb, or of the page before something that can't be undone.
import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import type { Asked } from '../types'

export interface Answered {
  yes?: boolean
  chosen?: number
  typed?: string
  values?: Record<string, string[]>
}

export interface Open {
  asked: Asked
  /** The command that does the same, for questions of the page. */
  command: string | null
  /** Messages of the verb before its question. */
  told: string[]
  done: (answer: Answered | null) => void
}

export const useAsk = defineStore('ask', () => {
  const open = shallowRef<Open | null>(null)
  const count = ref(0)
  const waiting: Open[] = []

  function next(): void {
    open.value = waiting.shift() ?? null
    if (open.value) count.value++
  }

  /** Shows a question. Null if the person leaves it unanswered. */
  function show(asked: Asked, command: string | null = null, told: string[] = []): Promise<Answered | null> {
    return new Promise((resolve) => {
      const done = (answer: Answered | null): void => {
        resolve(answer)
        next()
      }
      waiting.push({ asked, command, told, done })
      if (!open.value) next()
    })
  }

  /** Asks before something that can't be undone. */
  async function confirm(question: string, command: string): Promise<boolean> {
    const asked: Asked = {
      digest: '',
      kind: 'plan',
      question,
      text: null,
      details: [],
      effects: [],
      options: [],
      values: [],
    }
    return (await show(asked, command))?.yes === true
  }

  return { open, count, show, confirm }
})
