/** Edits that a slip of the finger explains. */
const MOST_EDITS = 2

/**
 * How many edits lie between the name of a variable and one of ours, or null when they are too many to be a slip: more
 * than two, or more than a third of a short name. The same words in another order or number count as no edit.
 */
export function resemblance(variable: string, ours: string): number | null {
  const upper = variable.toUpperCase()
  if (words(upper) === words(ours)) return 0
  const limit = Math.min(MOST_EDITS, Math.floor(ours.length / 3))
  if (Math.abs(upper.length - ours.length) > limit) return null
  const distance = editDistance(upper, ours)
  return distance <= limit ? distance : null
}

/** `ALLOWED_HOST` and `HOSTS_ALLOWED` as the same text. */
function words(name: string): string {
  const singular = name.split('_').map((word) => (word.length > 3 ? word.replace(/S$/, '') : word))
  return singular.sort().join('_')
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replaced, at(previous, j) + 1, at(row, j - 1) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(beforePrevious, j - 2) + 1)
      }
      row.push(least)
    }
    beforePrevious = previous
    previous = row
  }
  return at(previous, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
