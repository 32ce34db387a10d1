import type { Finding } from './finding.ts'

const LABELS = { ok: 'ok', warning: 'warning', failed: 'FAILED' } as const
const COLOURS = { ok: 32, warning: 33, failed: 31 } as const
const LABEL_WIDTH = 8

/** Findings for people: a line each, below it what to do. */
export function findingLines(findings: readonly Finding[], colour: boolean): string {
  const lines = findings.flatMap(({ result, subject, found, todo }) => {
    const label = LABELS[result].padEnd(LABEL_WIDTH)
    const shown = colour ? `\u001b[${COLOURS[result]}m${label}\u001b[0m` : label
    return [`${shown} ${subject}: ${found}`, ...(todo === undefined ? [] : [`${' '.repeat(9)}→ ${todo}`])]
  })
  return `${lines.join('\n')}\n`
}

/** The same for programs. */
export function findingsJson(findings: readonly Finding[]): string {
  const count = (result: Finding['result']) => findings.filter((finding) => finding.result === result).length
  const counts = { ok: count('ok'), warning: count('warning'), failed: count('failed') }
  return `${JSON.stringify({ ...counts, findings }, null, 2)}\n`
}
