import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { contestantsNamed } from '../../bench/contestants/contestants.ts'
import { contestantNames } from '../../bench/contestants/names.ts'
import { OptionsError, readOptions } from '../../bench/options.ts'
import { scenarios } from '../../bench/scenarios.ts'

describe('the options of the benchmark', () => {
  it('run everything in three rounds and write the results by default', () => {
    assert.deepEqual(readOptions([]), {
      contestants: contestantNames,
      scenarios: scenarios.map(({ name }) => name),
      rounds: 3,
      seconds: 1,
      ratePerS: 2000,
      assertRatio: null,
      warmUpRequests: 40_000,
      write: true,
    })
  })

  it('are short with --quick, which writes nothing', () => {
    const { contestants, scenarios: chosen, warmUpRequests, write } = readOptions(['--quick'])
    assert.deepEqual(contestants, ['direct', 'token-sidecar', 'http-proxy', 'nginx'])
    assert.deepEqual(chosen, ['small-32', 'post-32'])
    assert.equal(warmUpRequests, 5000)
    assert.equal(write, false)
  })

  it('choose contestants and scenarios by name, in the order of the tables, over --quick too', () => {
    const options = readOptions(['--quick', '--only', 'nginx,token-sidecar', '--scenarios', 'tls-32,idle'])
    assert.deepEqual(options.contestants, ['token-sidecar', 'nginx'])
    assert.deepEqual(options.scenarios, ['idle', 'tls-32'])
  })

  it('take numbers', () => {
    const options = readOptions(['--rounds', '5', '--seconds', '2', '--rate', '500', '--assert-ratio', '2.5'])
    assert.deepEqual(
      [options.rounds, options.seconds, options.ratePerS, options.assertRatio],
      [5, 2, 500, 2.5],
    )
  })

  const wrong: [string[], RegExp][] = [
    [['--only', 'nginx,apache'], /apache is none of/],
    [['--only', ','], /names nothing/],
    [['--scenarios', 'huge'], /huge is none of/],
    [['--rounds', '0'], /--rounds/],
    [['--rounds', '1.5'], /--rounds/],
    [['--seconds', '0.5'], /--seconds/],
    [['--rate', ''], /--rate/],
    [['--assert-ratio', 'two'], /--assert-ratio/],
    [['--assert-ratio', '2', '--only', 'token-sidecar'], /needs http-proxy/],
    [['--assert-ratio', '2', '--scenarios', 'idle'], /needs one of small-32, post-32/],
    [['--fast'], /--fast/],
    [['nginx'], /nginx/],
  ]
  for (const [args, message] of wrong) {
    it(`refuse ${args.join(' ')}`, () => {
      assert.throws(
        () => readOptions(args),
        (error) => error instanceof OptionsError && message.test(error.message),
      )
    })
  }

  it('name only contestants that exist', () => {
    assert.deepEqual(
      contestantsNamed(contestantNames).map(({ name }) => name),
      contestantNames,
    )
  })
})
