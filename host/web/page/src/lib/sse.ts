// Server-sent events of a fetched stream (https://html.spec.whatwg.org/multipage/server-sent-events.html): EventSource
// sends no header, and so no token.

export interface ServerEvent {
  event: string
  data: string
}

/** The longest event, in UTF-16 units. */
const MAX_LENGTH = 1 << 20

/** Returns what takes pieces of a stream, and returns the events that each piece completes. */
export function eventParser(): (piece: string) => ServerEvent[] {
  let rest = ''
  return (piece) => {
    const blocks = (rest + piece).split('\n\n')
    rest = blocks.pop() ?? ''
    if (rest.length > MAX_LENGTH) throw new Error('an event is too long')
    return blocks.map(parse).filter((event) => event !== null)
  }
}

/** Returns an event; null for a comment. */
function parse(block: string): ServerEvent | null {
  let event = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
    if (name === 'event' && value) event = value
    else if (name === 'data') data.push(value ?? '')
  }
  return data.length > 0 ? { event, data: data.join('\n') } : null
}

/** Calls a function with each event of a stream, until it ends. */
export async function readEvents(body: ReadableStream<Uint8Array>, heard: (event: ServerEvent) => void): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const events = eventParser()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      events(decoder.decode(value, { stream: true })).forEach(heard)
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
