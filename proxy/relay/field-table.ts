const SLOT_BITS = 5
const SLOT_MASK = 31

interface Spelling<Kind> {
  readonly spelling: string
  readonly kind: Kind
}

/**
 * Recognises the few field names that mean something to the relay. Almost every name is told apart from all of these by its
 * length and first letter alone, so an ordinary field costs one look into an array.
 */
export class FieldTable<Kind extends number> {
  /** For each length and first letter of a name that is known: where in `#latest` to look. 0 for all others. */
  readonly #slots = new Uint16Array(256 << SLOT_BITS)
  /** The name of one length and first letter that was met last. */
  readonly #latest: (Spelling<Kind> | null)[] = [null]
  readonly #exact = new Map<string, Spelling<Kind>>()
  readonly #guarded: ReadonlyMap<string, Kind>
  readonly #lookAlike: Kind

  /**
   * `names` are recognised in any case. `guarded` are recognised also where another character that is no letter or digit
   * stands for a dash: servers that turn names into variables (CGI, WSGI, PHP) take `x_y` and `x.y` for `x-y`. Those, and
   * names among `names` so disguised, are of kind `lookAlike`. Kind 0 stands for every other name.
   */
  constructor(names: readonly (readonly [string, Kind])[], guarded: Iterable<string>, lookAlike: Kind) {
    this.#lookAlike = lookAlike
    const guards = new Map<string, Kind>()
    for (const name of guarded) guards.set(dashed(name), lookAlike)
    for (const [name, kind] of names) {
      for (const spelling of [name, titleCase(name)]) this.#exact.set(spelling, { spelling, kind })
      guards.set(dashed(name), kind)
    }
    for (const name of guards.keys()) {
      if (name.length > 255) throw new RangeError(`a field name of ${name.length} characters`)
      const slot = slotOf(name.length, name.charCodeAt(0))
      if (this.#slots[slot] === 0) this.#slots[slot] = this.#latest.push(null) - 1
    }
    this.#guarded = guards
  }

  /** The kind of the name that lies at `start` of `text`. */
  kindOf(text: string, start: number, length: number): Kind | 0 {
    if (length > 255) return 0
    const slot = this.#slots[slotOf(length, text.charCodeAt(start))] as number
    if (slot === 0) return 0
    const latest = this.#latest[slot] as Spelling<Kind> | null
    // A peer spells a name the same each time, and nearly all peers alike.
    if (latest !== null && text.startsWith(latest.spelling, start)) return latest.kind
    const name = text.slice(start, start + length)
    const exact = this.#exact.get(name)
    if (exact !== undefined) {
      this.#latest[slot] = exact
      return exact.kind
    }
    const lower = name.toLowerCase()
    const dashes = dashed(lower)
    const kind = this.#guarded.get(dashes)
    if (kind === undefined) return 0
    return lower === dashes ? kind : this.#lookAlike
  }
}

const slotOf = (length: number, firstCharacter: number): number =>
  (length << SLOT_BITS) | (firstCharacter & SLOT_MASK)

const dashed = (lower: string): string => lower.replace(/[^a-z0-9]/g, '-')

const titleCase = (lower: string): string => lower.replace(/\b[a-z]/g, (letter) => letter.toUpperCase())

/** A field value without the white space around it (RFC 9110, section 5.5). */
export function trimmed(text: string, start: number, length: number): string {
  let from = start
  let to = start + length
  while (from < to && isSpace(text.charCodeAt(from))) from++
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09

/** The members of a list field (RFC 9110, section 5.6.1), lower case, empty ones left out. */
export function listMembers(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
}
