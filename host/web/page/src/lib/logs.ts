// Sources of log lines: one process, all processes of the project, or a task.
import { shallowRef, type ShallowRef } from 'vue'
import { at, get } from './api'
import { appendTail } from './merge'
import type { LogLine, MergedLogPage, ProcessLogPage, TaskLog } from '../types'

export type LogKind = 'process' | 'processes' | 'task'

/** A line; in a log of several processes, with the id of its process. */
export interface Line extends LogLine {
  id?: string
}

/** Maximum number of lines in the page. */
export const MAX_LINES = 100_000
/** Number of lines per request. */
const PAGE_LINES = 1_000

export interface LogSource {
  /** `true` if older lines were not read. */
  missed: boolean
  /** The query of the event stream that follows these logs. */
  followed: ShallowRef<{ process?: string; task?: string }>
  /** Appends new lines to `known`, or returns another list if lines between are missing. */
  read: (known: Line[], signal: AbortSignal) => Promise<Line[]>
  /** Reads all lines from the beginning. */
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
        const page: ProcessLogPage = await get(path, { from: next, lines: PAGE_LINES }, signal)
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
      if (known.length > 0 && appendTail(known, await tail(PAGE_LINES, signal), isSame)) return known
      return source.readAll()
    },
    async readAll() {
      const lines = await tail(MAX_LINES)
      source.missed = lines.length >= MAX_LINES
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
        const page: MergedLogPage = await get('/logs', { from: before, lines: PAGE_LINES }, signal)
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
      // Each page is in order, but a later page has lines of the same time.
      return lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
    },
  }
  return source
}

export function logSource(kind: LogKind, id: string): LogSource {
  return kind === 'process' ? ofProcess(id) : kind === 'task' ? ofTask(id) : ofProcesses()
}
