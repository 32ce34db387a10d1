import { adviceFor } from '../lib/advice.ts'
import { wrapped } from '../lib/wrapped.ts'

/** The advice for a code as indented lines; none for a code that needs none. */
export function adviceLines(code: string): string[] {
  const advice = adviceFor(code)
  if (advice === null) return []
  const { meaning, causes, next, help } = advice
  return [
    ...wrapped(meaning, '  '),
    ...causes.flatMap((cause) => wrapped(cause, '    ', '  - ')),
    ...wrapped(next, '    ', '  → '),
    `  ${help}`,
  ]
}
