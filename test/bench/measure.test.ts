import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { cpuNs, memory, parseRollup, parseSchedstat, parseStat } from '../../bench/measure.ts'

describe('the measures of a process', () => {
  it('take the first number of schedstat as nanoseconds on a processor', () => {
    assert.equal(parseSchedstat('412345678 99 1234\n'), 412_345_678)
    assert.throws(() => parseSchedstat('\n'), /not understood/)
  })

  it('add user and system ticks of stat, whatever the name of the program', () => {
    const rest = 'S 1 42 42 0 -1 4194560 1000 0 0 0 25 17 3 4 20 0 11 0 5555 1000000 2000'
    assert.equal(parseStat(`42 (node) ${rest}`), 420_000_000)
    assert.equal(parseStat(`42 (odd ) name (x) ${rest}`), 420_000_000)
    assert.throws(() => parseStat('42 (node) S 1'), /not understood/)
  })

  it('read resident, proportional and anonymous memory from smaps_rollup', () => {
    const text = [
      '55aa3d2a5000-7ffc342e6000 ---p 00000000 00:00 0                          [rollup]',
      'Rss:                2048 kB',
      'Pss:                1000 kB',
      'Pss_Anon:            112 kB',
      'Anonymous:           512 kB',
      'AnonHugePages:         0 kB',
    ].join('\n')
    assert.deepEqual(parseRollup(text), { rss: 2048 * 1024, pss: 1000 * 1024, anonymous: 512 * 1024 })
    assert.throws(() => parseRollup('Rss: 1 kB'), /no Pss/)
  })

  it('see a living process use its processor and its memory', {
    skip: !existsSync('/proc/self/stat'),
  }, () => {
    const before = cpuNs(process.pid)
    let work = 0
    const until = performance.now() + 30
    while (performance.now() < until) work += Math.sqrt(work + 1)
    assert.ok(cpuNs(process.pid) > before)
    const { rss, pss, anonymous } = memory(process.pid)
    assert.ok(rss >= pss && rss > anonymous && anonymous > 0)
  })
})
