/**
 * What a parser makes of a text: the value, or a sentence to be read after the variable's name (`must be …`).
 * A sentence repeats the text only for kinds that nobody keeps a secret in, such as durations.
 */
export type Parsed<T> = { readonly value: T } | { readonly problem: string }

/** Never throws. The text has no outer white space, unless the setting's row says otherwise, and is never empty. */
export type Parser<T> = (text: string) => Parsed<T>

/** `, not "60"`, or nothing when the text is too long to be worth repeating. */
export function notThis(text: string): string {
  return text.length <= 32 ? `, not ${JSON.stringify(text)}` : ''
}

/** A comma-separated list; a problem names the entry by its position and does not repeat it. */
export function listOf<T>(parseEntry: Parser<T>): Parser<T[]> {
  return (text) => {
    const values: T[] = []
    for (const [index, entry] of text.split(',').entries()) {
      const parsed = entry.trim() === '' ? { problem: 'must not be empty' } : parseEntry(entry.trim())
      if ('problem' in parsed) return { problem: `has a bad entry: number ${index + 1} ${parsed.problem}` }
      values.push(parsed.value)
    }
    return { value: values }
  }
}
