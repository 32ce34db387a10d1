import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Route } from '../../proxy/relay/forwarder.ts'
import { rewriteLocation, rewriteRefresh } from '../../proxy/relay/location.ts'

const HOST = 'localhost:8080'

function seen(upstream: string, prefix: string, location: string, host: string | null = HOST): string {
  return rewriteLocation(location, { upstream: new URL(upstream), prefix } as Route, host)
}

describe('Location', () => {
  it('leads back to the sidecar when it names the upstream', () => {
    const cases: [location: string, expected: string][] = [
      ['https://api.example/a%2Fb?c#d', 'http://localhost:8080/a%2Fb?c#d'],
      ['HTTPS://API.example:443/a', 'http://localhost:8080/a'],
      ['//api.example/a', 'http://localhost:8080/a'],
      ['https://api.example', 'http://localhost:8080/'],
      ['https://api.example?a', 'http://localhost:8080/?a'],
    ]
    for (const [location, expected] of cases)
      assert.equal(seen('https://api.example', '/', location), expected)
  })

  it('passes unchanged when it leads elsewhere, however much it looks like the upstream', () => {
    for (const location of [
      'https://storage.example/x?sig=1',
      'http://api.example/other-scheme',
      'https://api.example:8443/',
      'https://api.example.evil.example/',
      'https://api.example@evil.example/',
      'https://evil.example\\@api.example/',
      'mailto:a@api.example',
      'https://[bad',
      'relative/path',
      '?query',
      '#fragment',
      '',
      '/path?x',
    ]) {
      assert.equal(seen('https://api.example', '/', location), location, location)
    }
  })

  it('exchanges base path and prefix, both ways of writing it', () => {
    const upstream = 'https://api.example/middle-east/ksa/'
    assert.equal(seen(upstream, '/ksa', 'https://api.example/middle-east/ksa/a?b'), `http://${HOST}/ksa/a?b`)
    assert.equal(seen(upstream, '/ksa', '/middle-east/ksa/a'), '/ksa/a')
    assert.equal(seen(upstream, '/', '/middle-east/ksa'), '/')
    assert.equal(seen('https://api.example', '/gls', '/a'), '/gls/a')
  })

  it('keeps a path outside the base path at the upstream, where the sidecar has no address for it', () => {
    const upstream = 'https://api.example/base'
    assert.equal(seen(upstream, '/', '/other'), 'https://api.example/other')
    assert.equal(seen(upstream, '/', '/based'), 'https://api.example/based')
    assert.equal(seen(upstream, '/', 'https://api.example/based'), 'https://api.example/based')
  })

  it('is a path for a caller that sent no Host', () => {
    assert.equal(seen('https://api.example', '/gls', 'https://api.example/a', null), '/gls/a')
  })
})

describe('the Refresh a caller sees', () => {
  const stars = (refresh: string) => rewriteRefresh(refresh, (location) => `*${location}*`)

  it('has its URL rewritten like a Location, in quotes or not', () => {
    assert.equal(stars('5; url=https://api.example/a'), '5; url=*https://api.example/a*')
    assert.equal(stars('0;URL = "/a;b,c"'), '0;URL = "*/a;b,c*"')
    assert.equal(stars("1, url='/a'"), "1, url='*/a*'")
    assert.equal(stars('0; url="/never ends'), '0; url="*/never ends*')
  })

  it('passes unchanged when it has none', () => {
    for (const refresh of ['5', '', '5;', '5; /a', 'url=/a']) assert.equal(stars(refresh), refresh)
  })
})
