// Processes that another one can start after.
import type { EditableProcess, ProcessSummary } from '../types'

/**
 * Returns the ids of processes that a process can need: of what is defined, and not of programs that hooks run. One that is
 * edited needs neither itself nor its replicas, and has those that it needs already.
 */
export function needable(processes: readonly ProcessSummary[], edited?: EditableProcess): string[] {
  const own = new Set(edited && [edited.id, ...Array.from({ length: edited.replicas ?? 0 }, (_, at) => `${edited.id}-${at + 1}`)])
  const defined = processes.filter((process) => process.source && !process.id.startsWith('on:')).map((process) => process.id)
  return [...new Set([...defined.filter((id) => !own.has(id)), ...(edited?.needs ?? [])])].sort()
}
