import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as parse from '../../config/parsers.ts'
import { type SettingName, settings } from '../../config/settings.ts'
import { fc } from '../support/fast-check.ts'

/** Texts that get past the first checks more often than random characters do. */
const nearlyValid = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'https://',
        'redis://',
        'unix:/',
        'file:',
        'kubernetes:',
        'memory:',
        'GET ',
        '[::1]',
        'ms',
        'KiB',
      ),
      fc.constantFrom(
        '/',
        ':',
        ',',
        '**',
        '*',
        '.',
        '..',
        '%',
        '@',
        '?',
        '#',
        '\\',
        ' ',
        '\0',
        '\n',
        '[',
        ']',
        '-',
        '0',
        '401',
      ),
      fc.string({ maxLength: 6 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), nearlyValid)

function accepted<T>(parsed: parse.Parsed<T>): T {
  assert.ok('value' in parsed, JSON.stringify(parsed))
  return parsed.value
}

describe('every parser', () => {
  for (const name of Object.keys(settings) as SettingName[]) {
    it(`of ${name} gives a value or a sentence for any text, and never throws`, () => {
      fc.assert(
        fc.property(anyText, (text) => {
          const parsed = settings[name].parse(text)
          if ('problem' in parsed) assert.match(parsed.problem, /^(must|has|cannot) .+/s)
        }),
        { numRuns: 200 },
      )
    })
  }
})

describe('parsers of texts that may hold a secret', () => {
  const guarded: SettingName[] = [
    'CLIENT_SECRET',
    'CALLER_KEY',
    'UPSTREAM_URL',
    'TOKEN_URL',
    'TOKEN_STORE',
    'TOKEN_PREFIX',
  ]
  // A shape that no sentence of ours contains.
  const password = fc.stringMatching(/^[a-z0-9]{12}$/).map((text) => `Zq${text}`)
  const around = fc.constantFrom('', 'https://u:', 'redis://u:', 'rediss://', 'x ', '\n', 'a,b,c,')
  const after = fc.constantFrom('', '@host', '@host/x/y', ' ', '\r\n', '?#', '%', 'é')

  for (const name of guarded) {
    it(`of ${name} never repeat the text`, () => {
      fc.assert(
        fc.property(around, password, after, (before, secret, rest) => {
          const parsed = settings[name].parse(before + secret + rest)
          if ('problem' in parsed) assert.ok(!parsed.problem.includes(secret), parsed.problem)
        }),
      )
    })
  }
})

describe('durations', () => {
  it('come back from the text they are shown as', () => {
    const text = parse.duration({ zero: 'allowed' })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: parse.LONGEST_DURATION_MS }), (ms) => {
        assert.equal(accepted(text(parse.formatDuration(ms))), ms)
      }),
    )
  })

  it('are never longer than a timer of Node can be', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('ms', 's', 'm', 'h'), (count, unit) => {
        const parsed = parse.duration({ zero: 'allowed' })(`${count}${unit}`)
        if ('value' in parsed) assert.ok(parsed.value < 2 ** 31)
      }),
    )
  })
})

describe('sizes', () => {
  it('with a unit are the plain number times the unit', () => {
    const size = parse.size({ min: '0', max: '1024GiB' })
    const unit = fc.constantFrom(
      ['', 1] as const,
      ['KiB', 2 ** 10] as const,
      ['MiB', 2 ** 20] as const,
      ['GiB', 2 ** 30] as const,
    )
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1024 }), unit, (count, [name, bytes]) => {
        assert.equal(accepted(size(`${count}${name}`)), count * bytes)
      }),
    )
  })
})

describe('base URLs', () => {
  it('are stable: reading the result again changes nothing, and no slash is left at the end', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: false, withFragments: false }), (text) => {
        const parsed = parse.baseUrl(text)
        if ('problem' in parsed) return assert.match(parsed.problem, /"\.\."|port 0/)
        assert.equal(accepted(parse.baseUrl(parsed.value.href)).href, parsed.value.href)
        assert.ok(parsed.value.pathname === '/' || !parsed.value.pathname.endsWith('/'))
      }),
    )
  })

  it('never have credentials, a query or a fragment', () => {
    fc.assert(
      fc.property(anyText, (rest) => {
        const parsed = parse.baseUrl(`https://${rest}`)
        if ('problem' in parsed) return
        const { username, password, search, hash } = parsed.value
        assert.equal(username + password + search + hash, '')
      }),
    )
  })
})

describe('listen addresses', () => {
  it('come back from host and port', () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.domain(),
      fc.ipV6().map((address) => `[${address}]`),
    )
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        const bare = name.replace(/^\[|\]$/g, '')
        assert.deepEqual(accepted(parse.listenAddress(`${name}:${port}`)), {
          kind: 'tcp',
          host: name.startsWith('[') ? bare : bare.toLowerCase(),
          port,
        })
      }),
    )
  })
})

describe('ALLOW patterns', () => {
  it('come back from method and path', () => {
    const segment = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_~-]{1,8}$/), fc.constant('*'))
    const path = fc
      .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '/', '/**'))
      .map(
        ([segments, end]) =>
          segments.map((part) => `/${part}`).join('') + (segments.length === 0 && end === '' ? '/' : end),
      )
    const rule = fc.record(
      { method: fc.constantFrom('*', 'GET', 'POST', 'M-SEARCH'), path },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), (rules) => {
        const text = rules.map(({ method, path }) => `${method} ${path}`).join(', ')
        assert.deepEqual(accepted(parse.allowRules(text)), rules)
      }),
    )
  })
})

describe('Redis URLs', () => {
  it('are shown without their credentials', () => {
    const word = fc.stringMatching(/^[a-z0-9]{6,12}$/).map((text) => `Zq${text}`)
    fc.assert(
      fc.property(word, word, (user, password) => {
        const store = accepted(parse.storeLocation(`rediss://${user}:${password}@cache:6380/1`))
        assert.equal(store.kind === 'redis' && store.display, 'rediss://cache:6380/1')
        assert.ok(!JSON.stringify(store).includes(password))
      }),
    )
  })
})
