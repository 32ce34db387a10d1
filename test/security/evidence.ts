/** Characters in a row that are enough to call it a leak: a piece this long is found wherever twice as much of the secret is. */
const PIECE_CHARS = 12

/** A spelling of a secret, cut into pieces. */
interface Form {
  readonly name: string
  readonly pieces: readonly string[]
}

/** All that was given out, by where it went. Bytes are held one character each. */
export class Evidence {
  readonly #texts = new Map<string, string[]>()

  add(where: string, bytes: Buffer | string): void {
    const text = typeof bytes === 'string' ? Buffer.from(bytes).toString('latin1') : bytes.toString('latin1')
    const texts = this.#texts.get(where)
    if (texts === undefined) this.#texts.set(where, [text])
    else texts.push(text)
  }

  /** How many bytes went where. */
  get sizes(): Record<string, number> {
    const sizes = [...this.#texts].map(([where, texts]) => [where, texts.join('').length])
    return Object.fromEntries(sizes)
  }

  text(where: string): string {
    return (this.#texts.get(where) ?? []).join('')
  }

  /** `NAME as FORM in PLACE` for each secret of which a good part is somewhere, in any spelling. */
  leaks(secrets: Readonly<Record<string, string>>, places: Iterable<string> = this.#texts.keys()): string[] {
    const forms = Object.entries(secrets).map(([name, secret]) => [name, formsOf(secret)] as const)
    return [...places].flatMap((where) => {
      const text = this.text(where)
      return forms.flatMap(([name, spellings]) =>
        spellings
          .filter(({ pieces }) => pieces.some((piece) => text.includes(piece)))
          .map((form) => `${name} as ${form.name} in ${where}`),
      )
    })
  }
}

/** Every way in which a secret of ASCII might be written: base64 as part of something longer looks three ways. */
export function formsOf(secret: string): Form[] {
  const bytes = Buffer.from(secret, 'latin1')
  const each = (write: (byte: number) => string) => [...bytes].map(write).join('')
  const hex = bytes.toString('hex')
  const percent = each((byte) => `%${byte.toString(16).padStart(2, '0')}`)
  const forms: [name: string, text: string, charsPerByte: number][] = [
    ['plain text', secret, 1],
    ['plain text backwards', [...secret].reverse().join(''), 1],
    ['JSON', JSON.stringify(secret).slice(1, -1), 1],
    ['URL component', encodeURIComponent(secret), 1],
    [
      'HTML',
      each((byte) => (/\w/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `&#${byte};`)),
      1,
    ],
    ['hex', hex, 2],
    ['hex in capitals', hex.toUpperCase(), 2],
    ['percent-encoded', percent, 3],
    ['percent-encoded in capitals', percent.toUpperCase(), 3],
    ['UTF-16', each((byte) => `${String.fromCharCode(byte)}\0`), 2],
    ['numbers', [...bytes].join(','), 3],
  ]
  for (const before of [0, 1, 2]) {
    for (const encoding of ['base64', 'base64url'] as const) {
      const text = Buffer.concat([Buffer.alloc(before), bytes])
        .toString(encoding)
        .replace(/=+$/, '')
      // The first and the last character also hold bits of the neighbours.
      forms.push([`${encoding} after ${before} bytes`, text.slice(before === 0 ? 0 : before + 1, -1), 1.34])
    }
  }
  return forms.map(([name, text, charsPerByte]) => ({
    name,
    pieces: cut(text, Math.ceil(PIECE_CHARS * charsPerByte)),
  }))
}

/** Pieces of one length, one after the other; the whole text when it is no longer than that. */
function cut(text: string, length: number): string[] {
  if (text.length <= length) return [text]
  const count = Math.floor(text.length / length)
  return Array.from({ length: count }, (_, at) => text.slice(at * length, (at + 1) * length))
}
