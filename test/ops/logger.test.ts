import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import type { LogFields } from '../../proxy/lib/log.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { createLogger, type LoggerOptions } from '../../proxy/ops/logger.ts'
import { NOW } from './deps.ts'

function recording(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const log = createLogger({ level: 'info', format: 'json', write, now: () => NOW, ...options })
  return { log, lines }
}

/** The fields of one line, as a reader of the log gets them. */
function logged(fields: LogFields, options: Partial<LoggerOptions> = {}): Record<string, unknown> {
  const { log, lines } = recording(options)
  log.info('event', fields)
  assert.equal(lines.length, 1)
  const { time: _time, level: _level, event: _event, ...rest } = JSON.parse(lines[0]!)
  return rest
}

/** Fields as an unchecked caller may pass them. */
function circular() {
  const node: Record<string, unknown> = { name: 'node' }
  node['self'] = node
  node['list'] = [node]
  return node
}

describe('logger', () => {
  it('writes one JSON object a line, before the call returns', () => {
    const { log, lines } = recording()
    log.info('token_minted', { credential: 'default', generation: 7 })
    assert.deepEqual(lines, [
      '{"time":"2030-01-01T00:00:00.000Z","level":"info","event":"token_minted","credential":"default","generation":7}\n',
    ])
  })

  it('writes the level asked for and the more important ones', () => {
    const levels = (level: LoggerOptions['level']) => {
      const { log, lines } = recording({ level })
      for (const method of ['debug', 'info', 'warn', 'error'] as const) log[method](method)
      return lines.map((line) => JSON.parse(line).level)
    }
    assert.deepEqual(levels('debug'), ['debug', 'info', 'warn', 'error'])
    assert.deepEqual(levels('info'), ['info', 'warn', 'error'])
    assert.deepEqual(levels('warn'), ['warn', 'error'])
    assert.deepEqual(levels('error'), ['error'])
  })

  it('keeps its own names when fields have the same', () => {
    assert.deepEqual(logged({ level: 'x', time: 1, event: 'y', message: 'm' }), {
      level_: 'x',
      time_: 1,
      event_: 'y',
      message: 'm',
    })
  })

  it('never forges a second line, whatever a value holds', () => {
    for (const format of ['json', 'pretty'] as const) {
      const { log, lines } = recording({ format })
      log.info('event', { path: 'a\nb\r{"level":"error"}', 'na\nme': '\u001b[2J\u009b2J\u2028' })
      assert.equal(lines.length, 1)
      for (const control of ['\r', '\n', '\u001b']) assert.ok(!lines[0]!.slice(0, -1).includes(control))
    }
  })
})

describe('secrets in a log', () => {
  const secret = new Secret('do-not-print')

  it('are redacted by their type, wherever they are', () => {
    const fields = {
      a: secret,
      b: [secret],
      c: { d: { e: secret } },
      f: new Map([['g', secret]]),
      h: new Set([secret]),
    }
    assert.deepEqual(logged(fields), {
      a: '[redacted]',
      b: ['[redacted]'],
      c: { d: { e: '[redacted]' } },
      f: { g: '[redacted]' },
      h: ['[redacted]'],
    })
  })

  it('are redacted by the name of their field, in any spelling', () => {
    const names = [
      'token',
      'accessToken',
      'access_token',
      'access-token',
      'x-cleartax-auth-token',
      'X-Clear-Auth-Token',
      'x-clear-client-secret',
      'clientSecret',
      'CLIENT_SECRET',
      'secretValue',
      'authorization',
      'Proxy-Authorization',
      'cookie',
      'set-cookie',
      'password',
      'callerKeys',
      'x-sidecar-key',
      'apiKey',
      'privateKey',
    ]
    const values: unknown[] = [
      'do-not-print',
      ['do-not-print'],
      { inner: 'do-not-print' },
      Buffer.from('do-not-print'),
    ]
    for (const format of ['json', 'pretty'] as const) {
      for (const name of names) {
        for (const value of values) {
          const { log, lines } = recording({ format })
          log.error('event', { [name]: value, headers: { [name]: value }, map: new Map([[name, value]]) })
          assert.equal(lines.length, 1)
          assert.doesNotMatch(lines[0]!, /do-not-print|ZG8tbm90|100,111/, `${name}: ${inspect(value)}`)
        }
      }
    }
    assert.deepEqual(logged({ token: 'x' }), { token: '[redacted]' })
  })

  it('are told from what only speaks of them', () => {
    const fields = {
      tokenUrl: 'https://api.example.com/token',
      token_generation: 7,
      secretFile: '/run/secrets/clear',
      credential: 'default',
      code: 'secret_rejected',
      maskToken: true,
      tokens: 3,
    }
    assert.deepEqual(logged(fields), fields)
  })

  it('are left out of URLs', () => {
    const url = new URL('redis://user:do-not-print@cache.example:6379/0?password=do-not-print')
    assert.deepEqual(logged({ store: url }), { store: 'redis://cache.example:6379/0' })
  })
})

describe('errors in a log', () => {
  const root = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })
  const middle = new TypeError('fetch failed', { cause: root })
  const error = Object.assign(new Error('no answer', { cause: middle }), { code: 'mint_unreachable' })

  it('are name, code, message and the codes of their causes, without a stack', () => {
    assert.deepEqual(logged({ error }), {
      error: {
        name: 'Error',
        code: 'mint_unreachable',
        message: 'no answer',
        causes: ['TypeError', 'ECONNREFUSED'],
      },
    })
  })

  it('have their stack at level debug', () => {
    const printed = logged({ error }, { level: 'debug' })['error'] as { stack: string }
    assert.match(printed.stack, /^Error: no answer\n {4}at /)
    const { log, lines } = recording({ level: 'debug', format: 'pretty' })
    log.info('event', { error })
    assert.match(lines[0]!, /\n {4}at /)
  })

  it('survive causes that go in a circle', () => {
    const circle = new Error('first')
    circle.cause = new Error('second', { cause: circle })
    const { causes } = logged({ error: circle })['error'] as { causes: string[] }
    assert.ok(causes.length > 0 && causes.length < 20)
  })
})

describe('help', () => {
  const helpOf = (level: 'info' | 'warn' | 'error', event: string, fields: LogFields) => {
    const { log, lines } = recording()
    log[level](event, fields)
    return JSON.parse(lines[0]!).help
  }

  it('names the section of the code, else of the event, on warnings and errors', () => {
    assert.equal(helpOf('warn', 'mint_failed', { code: 'mint_reset' }), 'docs/operations.md#mint_reset')
    assert.equal(helpOf('error', 'call_failed', { code: 'E1' }), 'docs/operations.md#call_failed')
    assert.equal(helpOf('warn', 'foreign_mint', {}), 'docs/operations.md#foreign_mint')
  })

  it('is left out where there is none, and cannot be forged by a field', () => {
    assert.equal(helpOf('info', 'foreign_mint', {}), undefined)
    assert.equal(helpOf('warn', 'no_such_event', {}), undefined)
    assert.deepEqual(logged({ help: 'elsewhere' }), { help_: 'elsewhere' })
  })
})

describe('a log call', () => {
  it('never throws, whatever the fields hold', () => {
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const unreadable = {
      get broken() {
        throw new Error('no')
      },
      fine: 1,
    }
    const fields = {
      circular: circular(),
      big: 10n ** 30n,
      nan: Number.NaN,
      infinite: Number.NEGATIVE_INFINITY,
      symbol: Symbol('s'),
      callback: () => 1,
      missing: undefined,
      nothing: null,
      unreadable,
      revoked: revoked.proxy,
      json: {
        toJSON() {
          throw new Error('no')
        },
      },
      endless: {
        toJSON() {
          return this
        },
      },
      date: new Date(NOW),
      invalid: new Date(Number.NaN),
      bytes: new Uint8Array(5),
      bare: Object.assign(Object.create(null), { a: 1 }),
      lone: '\ud800',
      weird: Object.defineProperty(new Error('x'), 'message', {
        get() {
          throw new Error('no')
        },
      }),
    }
    assert.deepEqual(logged(fields), {
      circular: { name: 'node', self: '[circular]', list: ['[circular]'] },
      big: '1000000000000000000000000000000',
      nan: 'NaN',
      infinite: '-Infinity',
      symbol: '[symbol]',
      callback: '[function]',
      nothing: null,
      unreadable: { broken: '[unreadable]', fine: 1 },
      revoked: '[unreadable]',
      json: '[unreadable]',
      endless: '[circular]',
      date: '2030-01-01T00:00:00.000Z',
      invalid: null,
      bytes: '[5 bytes]',
      bare: { a: 1 },
      lone: '\ud800',
      weird: '[unreadable]',
    })
    const { log, lines } = recording({ format: 'pretty' })
    log.info('event', fields)
    assert.equal(lines.length, 1)
    for (const odd of [revoked.proxy, null, unreadable, [], 'text'])
      log.info('event', odd as unknown as LogFields)
    assert.equal(lines.length, 6)
  })

  it('treats __proto__ as a name like any other', () => {
    const { log, lines } = recording()
    log.info('event', JSON.parse('{"__proto__":{"level":"error"}}'))
    assert.match(lines[0]!, /"__proto__":\{"level":"error"\}/)
  })

  it('keeps a line short though its fields are huge', () => {
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_value, index) => [`k${index}`, index]))
    let deep: unknown = 'end'
    for (let level = 0; level < 10_000; level++) deep = { deep }
    const { log, lines } = recording()
    log.info('event', {
      text: 'x'.repeat(1_000_000),
      list: new Array(1_000_000).fill('y'.repeat(100_000)),
      wide,
      deep,
    })
    assert.ok(lines[0]!.length < 600_000, String(lines[0]!.length))
    const { text } = JSON.parse(lines[0]!)
    assert.ok(text.endsWith('…'))
  })

  it('survives a write that fails, and goes on with the next line', () => {
    const lines: string[] = []
    let broken = true
    const { log } = recording({
      write(line) {
        if (broken) throw new Error('EPIPE')
        lines.push(line)
      },
    })
    for (let count = 0; count < 100; count++) log.info('lost')
    broken = false
    log.info('kept')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).event),
      ['kept'],
    )
  })

  it('may log from within the write', () => {
    const events: string[] = []
    const { log } = recording({
      write(line) {
        events.push(JSON.parse(line).event)
        if (events.length === 1) log.warn('inner')
      },
    })
    log.info('outer')
    assert.deepEqual(events, ['outer', 'inner'])
  })
})

describe('pretty log lines', () => {
  it('are aligned, and plain unless the stream shows colours', () => {
    const { log, lines } = recording({ format: 'pretty' })
    log.info('token_minted', { generation: 7, path: '/a/b', note: 'two words', list: [1] })
    log.warn('mint_failed')
    assert.deepEqual(lines, [
      '00:00:00.000 INFO  token_minted             generation=7 path=/a/b note="two words" list=[1]\n',
      '00:00:00.000 WARN  mint_failed\n',
    ])
  })

  it('are coloured by level on a terminal, and say the same', () => {
    const { log, lines } = recording({ format: 'pretty', colour: true })
    log.error('mint_failed', { code: 'mint_timeout' })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences.
    const colours = /\u001b\[\d+m/g
    assert.ok(lines[0]!.includes('\u001b[31mERROR'))
    assert.equal(
      lines[0]!.replace(colours, ''),
      '00:00:00.000 ERROR mint_failed              code=mint_timeout help=docs/operations.md#mint_timeout\n',
    )
  })
})
