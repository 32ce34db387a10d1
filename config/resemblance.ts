/** Edits that a slip of the finger explains. */
const MOST_EDITS = 2

/** A name made ready to be compared with many others. */
export interface Compared {
  readonly name: string
  readonly words: string
  /** One bit for each letter in it; digits share theirs with some. */
  readonly letters: number
}

export const compared = (name: string): Compared => ({ name, words: words(name), letters: letters(name) })

/**
 * How many edits lie between the name of a variable and one of ours, or null when they are too many to be a slip: more
 * than two, or more than a third of a short name. The same words in another order or number count as no edit.
 */
export function resemblance(variable: Compared, { name, words, letters }: Compared): number | null {
  if (variable.words === words) return 0
  const limit = Math.min(MOST_EDITS, Math.floor(name.length / 3))
  // An edit rids a name of one letter at most. Nearly all of an environment is told apart here, and there may be much of it.
  if (bits(variable.letters & ~letters) > limit || bits(letters & ~variable.letters) > limit) return null
  return editsWithin(limit, variable.name, name)
}

function letters(name: string): number {
  let found = 0
  for (let i = 0; i < name.length; i++) found |= 1 << name.charCodeAt(i)
  return found
}

function bits(set: number): number {
  let count = 0
  for (let rest = set; rest !== 0; rest &= rest - 1) count++
  return count
}

/** `ALLOWED_HOST` and `HOSTS_ALLOWED` as the same text. */
function words(name: string): string {
  const singular = name.split('_').map((word) => (word.length > 3 ? word.replace(/S$/, '') : word))
  return singular.sort().join('_')
}

/**
 * Letters to insert, delete, replace or swap with their neighbour (optimal string alignment), or null when they are more than
 * `limit`: given up as soon as that is certain.
 */
export function editsWithin(limit: number, a: string, b: string): number | null {
  if (Math.abs(a.length - b.length) > limit) return null
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  let leastBefore = 0
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let leastOfRow = i
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replaced, at(previous, j) + 1, at(row, j - 1) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(beforePrevious, j - 2) + 1)
      }
      row.push(least)
      leastOfRow = Math.min(leastOfRow, least)
    }
    // Every way to the end leads through one of two rows in succession, and none gets shorter.
    if (leastOfRow > limit && leastBefore > limit) return null
    leastBefore = leastOfRow
    beforePrevious = previous
    previous = row
  }
  const edits = at(previous, b.length)
  return edits <= limit ? edits : null
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
