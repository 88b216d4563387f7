// The code of a new session, out of the address.
export function take(): string | null {
  if (!location.hash.startsWith('#code=')) return null
  const found = /^#code=([\w-]+)$/.exec(location.hash)
  history.replaceState(null, '', `${location.pathname}${location.search}#/`)
  return found?.[1] ?? null
}

export const code = take()
