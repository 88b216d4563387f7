// Requests to the server. Each is a command of aiw; a question of it is shown, and the request sent again with the answer.
import { useAsk, type Answered } from '../stores/ask'
import { useSession } from '../stores/session'
import { useTold } from '../stores/told'
import type { Asked, Failed } from '../types'

const API = '/api/v1'

/** An error of a verb, or why the server could not be asked. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
    readonly hint: string | null,
  ) {
    super(message)
  }
}

/** The person left a question unanswered, or the page went away: nothing to report. */
export class Cancelled extends Error {}

type Method = 'GET' | 'POST' | 'DELETE'
type Query = Record<string, string | number | boolean | null | undefined>

/** Builds a path, with what is put in escaped as one segment each. */
export function at(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.reduce((path, part, index) => path + encodeURIComponent(names[index - 1] ?? '') + part)
}

/** Returns the address of a path, with the words of its query and the chosen project. */
export function address(path: string, query: Query = {}): string {
  const { project } = useSession()
  const words = Object.entries({ ...query, project }).filter(([, value]) => value !== null && value !== undefined && value !== '')
  const search = new URLSearchParams(words.map(([name, value]) => [name, String(value)])).toString()
  return `${API}${path}${search ? `?${search}` : ''}`
}

async function failure(response: Response): Promise<ApiError> {
  const fallback = `${response.status} ${response.statusText}`.trim()
  try {
    const { error } = (await response.json()) as Failed
    return new ApiError(response.status, error.kind, error.message, error.hint ?? null)
  } catch {
    return new ApiError(response.status, 'internal', fallback, null)
  }
}

/** Returns the messages of the verb. */
function messagesOf(response: Response): string[] {
  const header = response.headers.get('x-aiw-told')
  if (!header) return []
  try {
    const lines: unknown = JSON.parse(header)
    return Array.isArray(lines) ? lines.map(String) : []
  } catch {
    // A header that is cut is no reason to lose the answer.
    return []
  }
}

/** Answers a question of a verb from a form; null shows the question to the user. */
export type Answers = (asked: Asked) => Answered | null

async function request<A>(method: Method, url: string, body: object | null, signal?: AbortSignal, answers?: Answers): Promise<A> {
  const session = useSession()
  const place = useTold().top
  const headers: Record<string, string> = { accept: 'application/json', ...session.headers() }
  const init: RequestInit = { method, headers, credentials: 'omit', cache: 'no-store' }
  if (signal) init.signal = signal
  const person: Record<string, Answered> = {}
  for (;;) {
    if (body) {
      headers['content-type'] = 'application/json'
      init.body = JSON.stringify(Object.keys(person).length > 0 ? { ...body, person } : body)
    }
    let response: Response
    try {
      response = await fetch(url, init)
    } catch (error) {
      if (signal?.aborted) throw new Cancelled()
      throw new ApiError(0, 'unavailable', error instanceof Error ? error.message : String(error), null)
    }
    const told = messagesOf(response)
    // Messages of a response with a question are shown with the question.
    if (response.status !== 409) told.forEach((line) => useTold().say('told', line, null, place))
    if (response.ok) return (await response.json()) as A
    if (response.status === 401) session.end()
    if (response.status !== 409) throw await failure(response)
    const { ask } = (await response.json()) as { ask: Asked }
    const answer = answers?.(ask) ?? (await useAsk().show(ask, null, told))
    if (!answer) throw new Cancelled()
    person[ask.digest] = answer
  }
}

export function get<A>(path: string, query: Query = {}, signal?: AbortSignal): Promise<A> {
  return request('GET', address(path, query), null, signal)
}

export function post<A>(path: string, body: object = {}, query: Query = {}, signal?: AbortSignal, answers?: Answers): Promise<A> {
  return request('POST', address(path, query), body, signal, answers)
}

export function remove<A>(path: string): Promise<A> {
  return request('DELETE', address(path), {})
}
