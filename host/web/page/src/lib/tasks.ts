import type { TaskSummary } from '../types'

/** Whether a task has ended. */
export function isOver(task: TaskSummary): boolean {
  return task.state === 'ended'
}

/** Returns the outcome of an ended task, or the state of another. */
export function stateOfTask(task: TaskSummary): string {
  return task.outcome ?? task.state
}
