import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import request from 'supertest'
import { adviceFor } from '../../proxy/lib/advice.ts'
import { type OpsDeps, opsApp } from '../../proxy/ops/app.ts'
import { html } from '../../proxy/ops/html.ts'
import { formatSpan } from '../../proxy/ops/time-span.ts'
import { TrafficCounters } from '../../proxy/relay/counters.ts'
import type { RecentMint } from '../../proxy/token/status.ts'
import { credential, emptyCredential, NOW, opsDeps } from './deps.ts'

async function page(changes: Partial<OpsDeps> = {}) {
  const { text, headers } = await request(opsApp(opsDeps(changes)))
    .get('/')
    .expect(200)
  return { text, headers }
}

/** What a person reads: without tags, white space collapsed. */
function words(text: string): string {
  return text
    .replace(/<(style|script).*?<\/\1>/gs, '')
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&#39;', "'")
    .replace(/\s+/g, ' ')
}

function assertShows(text: string, ...shown: string[]): void {
  for (const part of shown) assert.ok(words(text).includes(part), `${part} in: ${words(text)}`)
}

const minted: RecentMint = {
  at: NOW - 3_600_000,
  outcome: 'minted',
  reason: 'refresh',
  durationMs: 84.4,
  generation: 7,
  fingerprint: '0a1b2c3d',
  error: null,
}

describe('status page', () => {
  it('says first whether calls go through', async () => {
    const { text } = await page()
    assert.match(text, /<title id="title">Ready – token-sidecar/)
    assertShows(text, 'Ready Calls go out with a valid token.', 'Nothing needs your attention.')
  })

  it('shows what there is to know about a credential', async () => {
    const { text } = await page()
    assertShows(
      text,
      'default fresh The token is in use.',
      'token 7 0a1b2c3d',
      '12 of 240 requests for tokens used today',
      'Sent by this process 3, 1 failed',
      'Store redis, healthy',
      'Store errors 2',
      'https://api.example.com/base',
      'Version 1.2.3, up 1 min 30 s',
    )
  })

  it('draws the life of the token: minted, refresh window, end, and where it is now', async () => {
    const { text } = await page()
    assertShows(
      text,
      'Minted 2029-12-31 23:00:00 1 h ago Refresh from 00:55:00 in 55 min Expires 01:00:00 in 1 h',
    )
    assert.match(text, /aria-label="A token of 2 h: 50 % of its life is over, refresh begins in 55 min"/)
    assert.match(text, /<rect class="window" x="95.8%" width="4.2%"/)
    assert.match(text, /<rect class="lived" width="50.0%"/)
  })

  it('says what a missing or unending token means', async () => {
    const credentials = () => [
      emptyCredential(),
      credential({ name: 'my', validTill: null, nextRefreshAt: null }),
    ]
    const { text } = await page({ credentials })
    assert.match(text, /<title id="title">Starting/)
    assertShows(
      text,
      'No usable token for credential default: the first one is being fetched. Calls wait for it.',
    )
    assertShows(text, 'Token none yet', 'Expires never')
  })

  it('lists the last mints with their outcomes', async () => {
    const failed: RecentMint = {
      ...minted,
      at: NOW - 61_000,
      outcome: 'rejected',
      reason: 'missing',
      generation: null,
      fingerprint: null,
      error: { code: 'mint_secret_rejected', errorId: 'e-9' },
    }
    const mints = { ...credential().mints, recent: [failed, minted] }
    const { text } = await page({ credentials: () => [credential({ mints })] })
    assertShows(
      text,
      'rejected mint_secret_rejected error id e-9 no usable token 84 ms',
      'minted 7 0a1b2c3d its end came near 84 ms',
    )
  })

  it('shows calls held and sent again, and the connections upstream', async () => {
    const counters = new TrafficCounters(['default'])
    Object.assign(counters, { inFlight: 9, held: 4, unreplayable: 2, upstreamActive: 5, upstreamIdle: 6 })
    counters.replays = { accepted: 3, rejected: 2, failed: 1 }
    const { text } = await page({ counters })
    assertShows(
      text,
      'In flight 9',
      'Held for a token 4',
      'Sent again 6',
      'Of these accepted 3',
      'Could not be sent again 2',
      '5 active, 6 idle',
    )
  })

  it('shows rate, latency and errors of the calls since it began to look', async () => {
    const counters = new TrafficCounters(['default'])
    const app = opsApp(opsDeps({ counters }))
    assertShows((await request(app).get('/')).text, 'None since the start.')
    for (let call = 0; call < 99; call++) counters.routes.get('default')?.answered('GET', 200, 0.002)
    counters.routes.get('default')?.answered('GET', 404, 0.2)
    counters.problem('upstream_timeout')
    const { text } = await request(app).get('/')
    assertShows(text, 'p50 1.8 ms p95 2.4 ms p99 2.5 ms', '404 1 1', 'upstream_timeout 1 1', '0 to 1 100 1')
    assert.match(text, /aria-label="404: 1 in ten minutes"/)
  })

  it('explains an open problem in words and says what to do', async () => {
    const lastError = { code: 'mint_secret_rejected', at: NOW - 65_000, errorId: 'e-77' }
    const { text } = await page({
      credentials: () => [emptyCredential({ state: 'rejected', lastError })],
    })
    const advice = adviceFor('mint_secret_rejected')
    assertShows(text, 'Not ready No usable token for credential default: the client secret is rejected.')
    assertShows(
      text,
      'mint_secret_rejected credential default · 2029-12-31 23:58:55 , 1 min 5 s ago · error id e-77',
    )
    assertShows(text, `What to do: ${advice?.next}`, advice?.meaning ?? '', ...(advice?.causes ?? []))
    assert.doesNotMatch(text, /Nothing needs your attention/)
  })

  it('warns while calls still go through, and keeps what is over apart', async () => {
    const store = { kind: 'redis', healthy: false, errors: 4 }
    const failing = await page({ credentials: () => [credential({ store })] })
    assertShows(
      failing.text,
      'Ready, with a warning',
      'store_unreachable credential default',
      'redis, failing',
    )
    const over = { code: 'mint_timeout', at: NOW - 60_000, errorId: null }
    const recovered = await page({
      credentials: () => [credential({ mintedAt: NOW - 30_000, lastError: over })],
    })
    assertShows(recovered.text, 'Nothing needs your attention. mint_timeout credential default')
    const long = { ...over, at: NOW - 700_000 }
    const past = await page({ credentials: () => [credential({ mintedAt: NOW - 30_000, lastError: long })] })
    assert.doesNotMatch(past.text, /mint_timeout/)
  })

  it('tells of a budget that is used up and of mints by somebody else', async () => {
    const mints = { ...credential().mints, today: 240 }
    const { text } = await page({ credentials: () => [credential({ mints, foreignMints: 2 })] })
    assertShows(text, 'mint_budget_exhausted credential default', 'foreign_mint credential default, 2 times')
  })

  it('tells of a budget that is nearly used up when no token is left because of it', async () => {
    const mints = { ...credential().mints, today: 200 }
    const lack = 'mint_budget_exhausted'
    const without = await page({ credentials: () => [emptyCredential({ mints, lack })] })
    assertShows(without.text, 'mint_budget_exhausted credential default')
    const { text } = await page({ credentials: () => [credential({ mints })] })
    assert.doesNotMatch(text, /mint_budget_exhausted/)
  })

  it('escapes every value', async () => {
    const attack = `<script>alert("1")</script>'&`
    const error = { code: attack, errorId: attack }
    const mints = { ...credential().mints, recent: [{ ...minted, generation: null, error }] }
    const { text } = await page({
      version: attack,
      credentials: () => [
        credential({
          name: attack,
          fingerprint: attack,
          lastError: { code: 'mint_timeout', at: NOW, errorId: attack },
          mints,
          store: { kind: attack, healthy: false, errors: 0 },
        }),
      ],
      routes: [{ name: attack, prefix: attack, upstream: attack, credential: attack }],
    })
    assert.equal(text.match(/<script/g)?.length, 1, 'the page’s own')
    const escaped = '&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;'
    assert.ok(text.split(escaped).length > 12)
  })

  it('carries its own style and script, and its policy lets only these through', async () => {
    const { text, headers } = await page()
    assert.doesNotMatch(
      text,
      /<link(?! id="icon" rel="icon" href="data:)|<img|\bon\w+="|\bstyle="|src=|https?:\/\/(?!api\.example)/,
    )
    const hash = (tag: string) => {
      const own = new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, 's').exec(text)?.[1] ?? ''
      return createHash('sha256').update(own).digest('base64')
    }
    assert.equal(
      headers['content-security-policy'],
      `default-src 'none'; style-src 'sha256-${hash('style')}'; script-src 'sha256-${hash('script')}'; connect-src 'self'; ` +
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    assert.match(headers['content-type'] ?? '', /^text\/html; charset=utf-8$/)
  })

  it('refreshes itself where no script runs, and names its addresses relative to its own', async () => {
    const { text } = await page()
    assert.match(text, /<noscript><meta http-equiv="refresh" content="\d+"><\/noscript>/)
    assert.deepEqual(
      [...text.matchAll(/href="([^"#d][^"]*)"/g)].map(([, href]) => href),
      ['status', 'metrics'],
    )
  })

  it('is a proper document: language, title, viewport, one h1, headings in order, balanced tags, unique ids', async () => {
    const { text } = await page()
    assert.match(text, /^<!doctype html>\n<html lang="en" data-edition="[^"]+">/)
    assert.match(text, /<meta name="viewport" content="width=device-width/)
    const levels = [...text.matchAll(/<h(\d)[ >]/g)].map(([, level]) => Number(level))
    assert.equal(levels.filter((level) => level === 1).length, 1)
    for (const [index, level] of levels.entries()) assert.ok(level <= (levels[index - 1] ?? 0) + 1)
    const open: string[] = []
    const markup = text.replace(/(<(style|script)[^>]*>).*?(<\/\2>)/gs, '$1$3')
    for (const [, close, name = '', empty] of markup.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
      if (name === 'meta' || name === 'link' || empty === '/') continue
      if (close === '') open.push(name)
      else assert.equal(open.pop(), name)
    }
    assert.deepEqual(open, [])
    const ids = [...markup.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
    assert.equal(new Set(ids).size, ids.length)
    for (const [, id] of markup.matchAll(/aria-labelledby="([^"]+)"/g)) assert.ok(ids.includes(id))
  })

  it('takes less than 60 KB with everything it needs', async () => {
    const mints = { ...credential().mints, recent: Array.from({ length: 12 }, () => minted) }
    const { text } = await page({ credentials: () => [credential({ mints })] })
    const sizeBytes = Buffer.byteLength(text)
    assert.ok(sizeBytes < 60 * 1024, `${sizeBytes} bytes`)
  })
})

describe('html', () => {
  it('escapes text and numbers, keeps what is HTML, joins lists and leaves out null', () => {
    const list = ['<a>', 'b'].map((item) => html`<li title="${item}">${item}</li>`)
    assert.equal(
      html`<ul>${list}</ul>${null}${1}`.text,
      '<ul><li title="&#60;a&#62;">&#60;a&#62;</li><li title="b">b</li></ul>1',
    )
  })
})

describe('span of time', () => {
  it('is told in its two largest units', () => {
    const spans: [number, string][] = [
      [0, '0 s'],
      [999, '0 s'],
      [59_999, '59 s'],
      [60_000, '1 min'],
      [725_000, '12 min 5 s'],
      [3_600_000 + 5000, '1 h'],
      [3 * 86_400_000 + 4 * 3_600_000 + 60_000, '3 d 4 h'],
    ]
    for (const [spanMs, told] of spans) assert.equal(formatSpan(spanMs), told)
  })
})
