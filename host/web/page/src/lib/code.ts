/** What `aiw web` put into the address: the code of a new session, and the project to open. */
export interface Opened {
  code: string | null
  project: string | null
}

/** Takes it out of the address. In an open tab, the router makes a path of it first. */
export function take(): Opened | null {
  if (!/^#\/?code=/.test(location.hash)) return null
  const found = /^#\/?code=([\w-]+)(?:&project=([\w%.~-]*))?$/.exec(location.hash)
  history.replaceState(null, '', `${location.pathname}${location.search}#/`)
  try {
    return { code: found?.[1] ?? null, project: found?.[2] ? decodeURIComponent(found[2]) : null }
  } catch {
    return { code: found?.[1] ?? null, project: null }
  }
}

export const opened = take()
