import assert from 'node:assert/strict'

export interface ParsedSample {
  readonly name: string
  readonly labels: Record<string, string>
  readonly value: number
}

export interface ParsedFamily {
  readonly help: string
  readonly type: string
  readonly samples: ParsedSample[]
}

/** Reads the Prometheus text format 0.0.4 strictly: each family is announced once, and each line and series belongs to it. */
export function parseExposition(text: string): Map<string, ParsedFamily> {
  const families = new Map<string, ParsedFamily>()
  const seen = new Set<string>()
  let help = { name: '', text: '' }
  let current: { name: string; family: ParsedFamily } | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    if (comment?.[1] === 'HELP') {
      help = { name: comment[2]!, text: comment[3]! }
    } else if (comment?.[1] === 'TYPE') {
      const name = comment[2]!
      assert.equal(help.name, name, 'HELP comes right before TYPE')
      assert.ok(!families.has(name), `${name} is announced once`)
      current = { name, family: { help: help.text, type: comment[3]!, samples: [] } }
      families.set(name, current.family)
    } else {
      assert.ok(!seen.has(seriesOf(line)), `one value for a series: ${line}`)
      seen.add(seriesOf(line))
      const sample = parseSample(line)
      assert.ok(current !== undefined && belongs(sample.name, current.name, current.family.type), line)
      current.family.samples.push(sample)
    }
  }
  return families
}

function belongs(sample: string, family: string, type: string): boolean {
  if (type !== 'histogram') return sample === family
  return ['_bucket', '_sum', '_count'].some((suffix) => sample === family + suffix)
}

function seriesOf(line: string): string {
  return line.slice(0, line.lastIndexOf(' '))
}

function parseSample(line: string): ParsedSample {
  const parts = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
  assert.ok(parts, `a sample: ${line}`)
  return { name: parts[1]!, labels: parseLabels(parts[2] ?? ''), value: parseValue(parts[3]!) }
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/y
  while (pair.lastIndex < text.length) {
    const found = pair.exec(text)
    assert.ok(found, `labels: ${text}`)
    const name = found[1]!
    assert.ok(!(name in labels), `label ${name} once: ${text}`)
    labels[name] = found[2]!.replace(/\\(.)/g, (_all, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  return labels
}

function parseValue(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  assert.match(text, /^-?\d+(\.\d+)?(e[+-]?\d+)?$/)
  return Number(text)
}
