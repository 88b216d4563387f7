// The share of a processor that processes take: from the processor time of two looks.
import type { ProcessSummary } from '../types'

interface Look {
  cpu: number
  at: number
}

/** The name of a process among those of all projects. */
export function nameOf(process: ProcessSummary): string {
  return `${process.project}\n${process.id}`
}

/** Remembers looks, and returns the share of each process since the one before. */
export function cpuShares(): (processes: readonly ProcessSummary[], now: number) => Map<string, number> {
  const before = new Map<string, Look>()
  const shares = new Map<string, number>()
  const key = (process: ProcessSummary): string => `${nameOf(process)}\n${process.pid ?? ''}`
  return (processes, now) => {
    const seen = new Set<string>()
    for (const process of processes) {
      const name = key(process)
      if (!process.usage) continue
      seen.add(name)
      const look = before.get(name)
      // Looks that are too near to each other say nothing.
      if (look && now - look.at < 500) continue
      if (look) shares.set(name, Math.max(0, process.usage.cpu_ms - look.cpu) / (now - look.at))
      before.set(name, { cpu: process.usage.cpu_ms, at: now })
    }
    for (const name of [...before.keys()]) {
      if (seen.has(name)) continue
      before.delete(name)
      shares.delete(name)
    }
    const found = processes.map((process): [string, number | undefined] => [nameOf(process), shares.get(key(process))])
    return new Map(found.filter((pair): pair is [string, number] => pair[1] !== undefined))
  }
}
