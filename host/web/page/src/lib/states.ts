// The words and colours of states.
import type { Key } from './i18n'

type Look = [key: Key, classes: string]

const GREEN = 'dot-good'
const RED = 'dot-bad'
const YELLOW = 'dot-warn'
const BLUE = 'dot-busy'
const GREY = 'dot-quiet'

const LOOKS: Record<string, Look> = {
  not_started: ['state.not_started', GREY],
  starting: ['state.starting', BLUE],
  crash_looping: ['state.crash_looping', RED],
  running: ['state.running', GREEN],
  unhealthy: ['state.unhealthy', YELLOW],
  stopping: ['state.stopping', BLUE],
  stopped: ['state.stopped', GREY],
  failed: ['state.failed', RED],
  failure: ['state.failed', RED],
  timed_out: ['state.timeout', RED],
  success: ['state.succeeded', GREEN],
  in_progress: ['state.running', BLUE],
  cancelled: ['state.cancelled', GREY],
  queued: ['state.queued', BLUE],
  ended: ['state.ended', GREY],
  succeeded: ['state.succeeded', GREEN],
  signalled: ['state.signalled', RED],
  timeout: ['state.timeout', RED],
  lost: ['state.lost', RED],
  ready: ['state.ready', GREEN],
  disabled: ['state.disabled', GREY],
  enabled: ['state.enabled', GREEN],
  auth_required: ['state.auth_required', YELLOW],
  invalid: ['state.invalid', RED],
  blocked: ['state.blocked', YELLOW],
  set: ['state.set', GREEN],
  missing: ['state.missing', RED],
  approved: ['state.approved', GREEN],
  new: ['state.new', YELLOW],
  edited: ['state.edited', YELLOW],
  'tools changed': ['state.tools_changed', YELLOW],
  'tools missing': ['state.tools_missing', RED],
  broken: ['state.broken', RED],
  unseen: ['state.unseen', BLUE],
  active: ['state.active', GREEN],
  deprecated: ['state.deprecated', YELLOW],
  deleted: ['state.deleted', RED],
}

/** Returns the words and the classes of a state. One that the page does not know is shown as it is. */
export function lookOf(state: string): { key: Key | null; classes: string } {
  const look = LOOKS[state]
  return look ? { key: look[0], classes: look[1] } : { key: null, classes: GREY }
}

/** Sorts failed items first, then warnings. The order of the others is kept. */
export function failedFirst<A>(items: readonly A[], stateOf: (item: A) => string): A[] {
  const rank = (item: A): number => {
    const { classes } = lookOf(stateOf(item))
    return classes === RED ? 0 : classes === YELLOW ? 1 : 2
  }
  return [...items].sort((a, b) => rank(a) - rank(b))
}
