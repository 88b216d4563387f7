// Variables of a definition in a form, one on each line. A value that is known stays where it is: its line has the name alone.

/** Returns the lines of variables. Each has the name of the secret that is its value, or null. */
export function variableLines(env: Readonly<Record<string, string | null>>): string {
  return Object.entries(env)
    .map(([name, secret]) => (secret === null ? name : `${name}=secret:${secret}`))
    .join('\n')
}

/** Returns what lines change: values by name, null for what is gone. Null if a line is not a variable. */
export function changedVariables(env: Readonly<Record<string, string | null>>, lines: string): Record<string, string | null> | null {
  const changed: Record<string, string | null> = {}
  const named = new Set<string>()
  for (const line of lines.split('\n')) {
    if (line.trim() === '') continue
    const at = line.indexOf('=')
    const name = (at < 0 ? line : line.slice(0, at)).trim()
    const value = at < 0 ? null : line.slice(at + 1)
    const known = Object.hasOwn(env, name) ? env[name] : undefined
    if (name === '' || (value === null && known === undefined)) return null
    named.add(name)
    if (value !== null && value !== `secret:${known ?? ''}`) changed[name] = value
  }
  for (const name of Object.keys(env)) if (!named.has(name)) changed[name] = null
  return changed
}
