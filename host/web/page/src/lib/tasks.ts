import type { TaskSummary } from '../types'

/** Whether a task has ended. */
export function isOver(task: TaskSummary): boolean {
  return task.state === 'ended'
}
