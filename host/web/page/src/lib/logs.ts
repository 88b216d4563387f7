// Where the lines of a log come from: one process, all processes of the project, or a task.
import { shallowRef, type ShallowRef } from 'vue'
import { at, get } from './api'
import { appendTail } from './merge'
import type { LogLine, MergedLogPage, ProcessLogPage, TaskLog } from '../types'

export type LogKind = 'process' | 'processes' | 'task'

/** A line; of several processes, with the id of its own. */
export interface Line extends LogLine {
  id?: string
}

/** The most lines that are kept. */
export const MOST = 100_000
/** As many are fetched at once. */
const PAGE = 1_000

export interface LogSource {
  /** Whether older lines are not among those that were read. */
  missed: boolean
  /** The logs whose changes the stream of events tells. */
  followed: ShallowRef<{ process?: string; task?: string }>
  /** Appends what is new, or returns another list in place of the known one. */
  read: (known: Line[], signal: AbortSignal) => Promise<Line[]>
  /** Reads from the beginning. */
  readAll: () => Promise<Line[]>
}

function ofProcess(id: string): LogSource {
  const path = at`/processes/${id}/log`
  let next: number | null = null
  const source: LogSource = {
    missed: false,
    followed: shallowRef({ process: id }),
    async read(known, signal) {
      let lines = known
      for (;;) {
        const page: ProcessLogPage = await get(path, { from: next, lines: PAGE }, signal)
        if (next !== null && page.missed) lines = []
        if (page.missed) source.missed = true
        for (const line of page.lines) lines.push(line)
        const moved = page.next !== next
        next = page.next
        if (!page.more || !moved) return lines
      }
    },
    async readAll() {
      next = 0
      source.missed = false
      return source.read([], new AbortController().signal)
    },
  }
  return source
}

function ofTask(id: string): LogSource {
  const path = at`/tasks/${id}/log`
  const tail = async (lines: number, signal?: AbortSignal): Promise<Line[]> => (await get<TaskLog>(path, { lines }, signal)).lines
  const source: LogSource = {
    missed: false,
    followed: shallowRef({ task: id }),
    async read(known, signal) {
      const isSame = (a: Line, b: Line): boolean => a.time === b.time && a.text === b.text
      if (known.length > 0 && appendTail(known, await tail(PAGE, signal), isSame)) return known
      return source.readAll()
    },
    async readAll() {
      const lines = await tail(MOST)
      source.missed = lines.length >= MOST
      return lines
    },
  }
  return source
}

function ofProcesses(): LogSource {
  let next: Record<string, number> = {}
  const cursors = (): string => Object.entries(next).map(([id, from]) => `${id}:${from}`).join()
  const source: LogSource = {
    missed: false,
    followed: shallowRef({}),
    async read(known, signal) {
      for (;;) {
        const before = cursors()
        const page: MergedLogPage = await get('/logs', { from: before, lines: PAGE }, signal)
        if (page.missed) source.missed = true
        for (const line of page.lines) known.push(line)
        next = page.next
        const process = Object.keys(next).join()
        if (source.followed.value.process !== process) source.followed.value = { process }
        if (!page.more || cursors() === before) return known
      }
    },
    async readAll() {
      next = Object.fromEntries(Object.keys(next).map((id) => [id, 0]))
      source.missed = false
      const lines = await source.read([], new AbortController().signal)
      // Each page has its own part of each log.
      return lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
    },
  }
  return source
}

export function logSource(kind: LogKind, id: string): LogSource {
  return kind === 'process' ? ofProcess(id) : kind === 'task' ? ofTask(id) : ofProcesses()
}
