import { notThis, type Parser } from './parsed.ts'

/** `true` or `false`, nothing else: `0`, `no` and `False` are typing errors more often than answers. */
export const boolean: Parser<boolean> = (text) => {
  if (text === 'true') return { value: true }
  if (text === 'false') return { value: false }
  return { problem: `must be true or false${notThis(text)}` }
}

/** A whole number in decimal digits, within a range. */
export function integer(min: number, max: number): Parser<number> {
  return (text) => {
    const value = Number(text)
    if (/^(0|[1-9]\d*)$/.test(text) && value >= min && value <= max) return { value }
    return { problem: `must be a whole number from ${min} to ${max}${notThis(text)}` }
  }
}

/** One of a few words, in lower case. */
export function oneOf<const T extends string>(words: readonly T[]): Parser<T> {
  return (text) => {
    const value = words.find((word) => word === text)
    if (value !== undefined) return { value }
    return { problem: `must be one of ${words.join(', ')}${notThis(text)}` }
  }
}

/** Path of a file. Whether it can be read shows when it is. */
export const filePath: Parser<string> = (text) => {
  if (text.endsWith('/') || text.includes('\0')) return { problem: 'must be the path of a file' }
  return { value: text }
}
