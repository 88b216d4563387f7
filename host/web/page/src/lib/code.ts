/** Takes the code of a new session out of the address. In an open tab, the router makes a path of it first. */
export function take(): string | null {
  if (!/^#\/?code=/.test(location.hash)) return null
  const found = /^#\/?code=([\w-]+)$/.exec(location.hash)
  history.replaceState(null, '', `${location.pathname}${location.search}#/`)
  return found?.[1] ?? null
}

export const code = take()
