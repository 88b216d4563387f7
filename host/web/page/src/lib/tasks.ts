import type { TaskSummary } from '../types'

/** Whether a task has ended. */
export function isOver(task: TaskSummary): boolean {
  return task.state === 'ended'
}

/** Returns how a task has ended, or its state until then. */
export function stateOfTask(task: TaskSummary): string {
  return task.outcome ?? task.state
}
