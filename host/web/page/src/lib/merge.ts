/**
 * Appends to known lines those of a newer tail of the same log. Returns false if the two do not meet: then lines between
 * them are missing.
 */
export function appendTail<T>(known: T[], tail: T[], same: (a: T, b: T) => boolean): boolean {
  const last = known[known.length - 1]
  if (last === undefined || tail.length === 0) {
    known.push(...tail)
    return known.length === tail.length
  }
  for (let at = tail.length - 1; at >= 0; at--) {
    let back = 0
    while (back <= at && back < known.length && same(tail[at - back] as T, known[known.length - 1 - back] as T)) back++
    if (back > at || back === known.length) {
      for (const line of tail.slice(at + 1)) known.push(line)
      return true
    }
  }
  return false
}
