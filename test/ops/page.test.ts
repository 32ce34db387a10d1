import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import request from 'supertest'
import { type OpsDeps, opsApp } from '../../proxy/ops/app.ts'
import { html } from '../../proxy/ops/html.ts'
import { formatSpan } from '../../proxy/ops/time-span.ts'
import { TrafficCounters } from '../../proxy/relay/counters.ts'
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
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')
}

describe('status page', () => {
  it('shows what there is to know about a credential', async () => {
    const lastError = { code: 'mint_timeout', at: NOW - 65_000, errorId: 'e-77' }
    const text = words((await page({ credentials: () => [credential({ lastError })] })).text)
    for (const shown of [
      'Ready',
      'default – fresh',
      'Token 0a1b2c3d',
      'Generation 7',
      'Minted 1 h ago',
      'Valid till in 1 h',
      'Next refresh in 55 min',
      'Requests for tokens today 12 of 240',
      'Sent by this process 3, 1 failed',
      'Store redis, healthy',
      'Last error mint_timeout 1 min 5 s ago , error id e-77',
      'https://api.example.com/base',
      'Version 1.2.3, up 1 min 30 s',
    ]) {
      assert.ok(text.includes(shown), `${shown} in: ${text}`)
    }
  })

  it('shows the traffic and the problems that occurred, most frequent first', async () => {
    const counters = new TrafficCounters(['default'])
    Object.assign(counters, { inFlight: 9, held: 4, unreplayable: 2, upstreamActive: 5, upstreamIdle: 6 })
    counters.replays = { accepted: 3, rejected: 2, failed: 1 }
    assert.match(words((await page({ counters })).text), /None so far/)
    counters.problem('upstream_timeout')
    counters.problem('token_unavailable')
    counters.problem('token_unavailable')
    const text = words((await page({ counters })).text)
    assert.match(
      text,
      /In flight 9 .*waiting for a token 4 .*Sent again 6 .*accepted 3 .*could not be sent again 2/,
    )
    assert.match(text, /5 active, 6 idle/)
    assert.match(text, /token_unavailable 2 upstream_timeout 1/)
  })

  it('says why it is not ready, and what a missing or unending token means', async () => {
    const credentials = () => [
      emptyCredential(),
      credential({ name: 'my', validTill: null, nextRefreshAt: null }),
    ]
    const { text } = await page({ credentials })
    assert.match(text, /<title>not ready/)
    assert.match(words(text), /Not ready – no usable token for credential default: starting/)
    assert.match(words(text), /Token none Generation 0 Minted – Valid till –/)
    assert.match(words(text), /Valid till never expires Next refresh –/)
  })

  it('escapes every value', async () => {
    const attack = `<script>alert("1")</script>'&`
    const { text } = await page({
      version: attack,
      credentials: () => [
        credential({
          name: attack,
          usable: false,
          fingerprint: attack,
          lastError: { code: attack, at: NOW, errorId: attack },
          store: { kind: attack, healthy: false, errors: 0 },
        }),
      ],
      routes: [{ name: attack, prefix: attack, upstream: attack, credential: attack }],
    })
    assert.doesNotMatch(text, /<script/)
    // Version, three times in the reason, five for the credential, four for the route.
    assert.equal(text.split('&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;').length - 1, 13)
  })

  it('carries nothing but its own style, and the policy lets only that style through', async () => {
    const { text, headers } = await page()
    assert.doesNotMatch(text, /<script|<link|<img|\bon\w+=|\bstyle=|https?:\/\/(?!api\.example\.com)/)
    const style = /<style>(.*)<\/style>/s.exec(text)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    assert.ok(headers['content-security-policy']?.endsWith(`; style-src 'sha256-${hash}'`))
    assert.match(headers['content-type'] ?? '', /^text\/html; charset=utf-8$/)
  })

  it('is a proper document: language, title, viewport, one h1, balanced tags, unique ids', async () => {
    const { text } = await page()
    assert.match(text, /^<!doctype html>\n<html lang="en">/)
    assert.match(text, /<meta name="viewport" content="width=device-width/)
    assert.match(text, /<meta http-equiv="refresh" content="\d+">/)
    assert.equal(text.match(/<h1[ >]/g)?.length, 1)
    const open: string[] = []
    for (const [, close, name = ''] of text.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
      if (name === 'meta') continue
      if (close === '') open.push(name)
      else assert.equal(open.pop(), name)
    }
    assert.deepEqual(open, [])
    const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
    assert.equal(new Set(ids).size, ids.length)
    for (const [, id] of text.matchAll(/aria-labelledby="([^"]+)"/g)) assert.ok(ids.includes(id))
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
