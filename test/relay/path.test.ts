import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  climbs,
  createAllowList,
  fullyDecoded,
  hasDotSegment,
  hasOverlongForm,
  hidesSeparator,
  isOriginForm,
  isPlainTarget,
  normalForm,
} from '../../proxy/relay/path.ts'

describe('paths', () => {
  it('takes ordinary targets for plain and nothing that needs judgement', () => {
    for (const target of ['/', '/a', '/a/', '/a.b/c~d', "/a/b:c@d!$&'()*+,=", '/a?b=%2f/../c;d', '/?']) {
      assert.equal(isPlainTarget(target), true, target)
    }
    for (const target of [
      '',
      'a',
      '*',
      '//a',
      '/a//b',
      '/.',
      '/..',
      '/.a',
      '/a/..',
      '/a%20',
      '/a;b',
      '/a\\b',
    ]) {
      assert.equal(isPlainTarget(target), false, target)
    }
    for (const target of ['/a#b', '/a?b#c', '/a b', '/a?b c', '/\u00e9', '/a\u0000', '/a\r\nb', '/a\n']) {
      assert.equal(isPlainTarget(target), false, JSON.stringify(target))
      assert.equal(isOriginForm(target), false, JSON.stringify(target))
    }
  })

  it('judges hostile long targets in linear time', () => {
    const start = performance.now()
    for (const target of [
      `/${'a/'.repeat(8000)}\u0001`,
      `/${'%25'.repeat(5000)}2e`,
      `/${'.'.repeat(16000)}x/y`,
      `/${'..'.repeat(8000)}x`,
      `/${' '.repeat(16000)}x`,
      `/token${'.'.repeat(16000)}/x/y`,
    ]) {
      isPlainTarget(target)
      hasDotSegment(target)
      const decoded = fullyDecoded(target)
      if (decoded !== null) {
        climbs(decoded)
        normalForm(decoded)
      }
    }
    assert.ok(performance.now() - start < 500)
  })

  it('sees dot segments through one encoding, a backslash and parameters', () => {
    for (const path of [
      '/.',
      '/..',
      '/a/../b',
      '/a/%2e%2E/b',
      '/.%2e',
      '/a\\..\\b',
      '/a/..;x/b',
      '/..%3bx',
    ]) {
      assert.equal(hasDotSegment(path), true, path)
    }
    for (const path of ['/...', '/a..', '/..a', '/.well-known', '/a%2f..%2fb', '/%252e%252e', '/a.b']) {
      assert.equal(hasDotSegment(path), false, path)
    }
  })

  it('sees a climb through any number of encodings', () => {
    for (const path of ['/a%2f..%2fb', '/%252e%252e/b', '/a%5c..', '/a/%20..%00x', '/x%2f..;y']) {
      assert.equal(climbs(fullyDecoded(path) ?? ''), true, path)
    }
    for (const path of ['/a..b', '/a%2fb', '/...%2f', '/a%2f.%2fb']) {
      assert.equal(climbs(fullyDecoded(path) ?? ''), false, path)
    }
  })

  it('gives up on a path encoded over and over', () => {
    assert.equal(fullyDecoded(`/%${'25'.repeat(20)}2e`), null)
    assert.equal(fullyDecoded('/%25252e'), '/.')
    assert.equal(fullyDecoded('/100%/%zz'), '/100%/%zz')
  })

  it('folds every spelling into one normal form', () => {
    for (const spelling of [
      '/a/b',
      '/A/B/',
      '//a///b',
      '/a/./b',
      '/x/../a/b',
      '\\a\\b',
      '/a;x=1/b;y',
      '/a./b..',
      '/ a/b ',
      '/a/b\u0000.png',
      '/a/b?x',
      '/\u00ef\u00bd\u0081/b',
    ]) {
      assert.equal(normalForm(spelling), '/a/b', JSON.stringify(spelling))
    }
    assert.notEqual(normalForm('/a/b/c'), '/a/b')
  })

  it('recognises separators in disguise', () => {
    const hides = (path: string) => hidesSeparator(path, fullyDecoded(path) ?? '')
    for (const path of ['/a%2fb', '/a%2Fb', '/a%5Cb', '/a\\b', '/a%00', '/a%252fb', '/a%2%66b']) {
      assert.equal(hides(path), true, path)
    }
    for (const path of ['/a%20b', '/a//b/', '/']) assert.equal(hides(path), false, path)
  })

  it('recognises overlong forms of a slash or a dot, and leaves other bytes alone', () => {
    for (const path of ['/a%c0%afb', '/%c0%ae%c0%ae/', '/a%C1%9Cb', '/a%e0%80%afb', '/a%f0%80%80%afb']) {
      assert.equal(hasOverlongForm(fullyDecoded(path) ?? ''), true, path)
    }
    for (const path of ['/caf%c3%a9', '/%e2%82%ac', '/caf%e9', '/%C0', '/%f0%9f%98%80']) {
      assert.equal(hasOverlongForm(fullyDecoded(path) ?? ''), false, path)
    }
  })

  it('matches allow rules by method and whole segments', () => {
    const isAllowed = createAllowList([
      { method: 'GET', path: '/einv/*/status' },
      { method: '*', path: '/open/**' },
      { method: 'POST', path: '/a b' },
    ])
    assert.equal(isAllowed('GET', '/einv/42/status'), true)
    assert.equal(isAllowed('POST', '/einv/42/status'), false)
    assert.equal(isAllowed('GET', '/einv//status'), false)
    assert.equal(isAllowed('GET', '/einv/42/status/'), false)
    assert.equal(isAllowed('GET', '/einv/4/2/status'), false)
    assert.equal(isAllowed('GET', '/EINV/42/status'), false)
    for (const path of ['/open', '/open/', '/open/x', '/open/x/y']) {
      assert.equal(isAllowed('DELETE', path), true, path)
    }
    assert.equal(isAllowed('DELETE', '/opened'), false)
    assert.equal(isAllowed('POST', '/a%20b'), true)
    assert.equal(isAllowed('GET', '/e%69nv/42/stat%75s'), true)
  })

  it('takes an encoded star in an allow rule for a star', () => {
    const isAllowed = createAllowList([
      { method: 'GET', path: '/one/%2A' },
      { method: 'GET', path: '/all/%2a%2A' },
    ])
    for (const path of ['/one/*', '/one/%2A', '/all/**']) assert.equal(isAllowed('GET', path), true, path)
    for (const path of ['/one/x', '/all/x', '/all/x/y', '/all'])
      assert.equal(isAllowed('GET', path), false, path)
  })
})
