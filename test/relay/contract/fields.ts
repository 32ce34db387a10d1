import assert from 'node:assert/strict'
import { answer } from '../../support/raw-upstream.ts'
import type { Suite } from './world.ts'

export function fieldCases({ check, start }: Suite): void {
  check('fields-pass', 'every other field passes as it is: value, repetition, unknown bytes', async (t) => {
    const world = await start(t)
    const fields = [
      'gstin: 29AAFCD5862R1ZR',
      'X-Request-Id:  r-1 ',
      'X-Two: a',
      'x-two: b',
      'X-Name: Jos\u00e9',
      'X-Empty:',
    ]
    await world.call('GET', '/', [
      ...fields,
      'User-Agent: app/1',
      'Accept-Encoding: br',
      'X-Forwarded-For: 10.0.0.1',
    ])
    const request = await world.upstream.request(0)
    assert.equal(request.fields.get('gstin'), '29AAFCD5862R1ZR')
    assert.equal(request.fields.get('x-request-id'), 'r-1')
    assert.deepEqual(request.fields.all('x-two'), ['a', 'b'])
    assert.equal(request.fields.get('x-name'), 'Jos\u00e9')
    assert.equal(request.fields.get('x-empty'), '')
    assert.equal(request.fields.get('user-agent'), 'app/1')
    assert.equal(request.fields.get('accept-encoding'), 'br')
    assert.equal(request.fields.get('x-forwarded-for'), '10.0.0.1')
    assert.deepEqual(request.fields.all('host'), [world.upstream.url.host])
    assert.equal(request.version, 'HTTP/1.1')
  })

  check('fields-none-added', 'nothing but Host, Connection and the token is added to a call', async (t) => {
    const world = await start(t)
    await world.call('GET', '/')
    const names = (await world.upstream.request(0)).fields.lines.map(([name]) => name.toLowerCase())
    const added = names.filter((name) => name !== 'connection').sort()
    assert.deepEqual(added, ['host', 'x-cleartax-auth-token'])
  })

  check('H01', 'fields named in Connection and hop-by-hop fields stay here', async (t) => {
    const world = await start(t)
    const hopByHop = [
      'Keep-Alive: 5',
      'TE: trailers',
      'Proxy-Connection: x',
      'Proxy-Authorization: x',
      'Upgrade: foo',
    ]
    await world.call('GET', '/', [
      'Connection: X-A, keep-alive',
      'Connection: x-b',
      'X-A: 1',
      'X-B: 2',
      'X-C: 3',
      ...hopByHop,
    ])
    const { fields } = await world.upstream.request(0)
    const names = ['x-a', 'x-b', 'keep-alive', 'te', 'proxy-connection', 'proxy-authorization', 'upgrade']
    for (const name of names) assert.equal(fields.get(name), null, name)
    assert.equal(fields.get('x-c'), '3')
    assert.doesNotMatch(fields.all('connection').join(), /x-/i)
  })

  check('H03', 'an empty first Connection line does not shield the second', async (t) => {
    const world = await start(t)
    await world.call('GET', '/', ['Connection:', 'Connection: X-A', 'X-A: 1'])
    assert.equal((await world.upstream.request(0)).fields.get('x-a'), null)
  })

  check(
    'H08',
    'fields named in the Connection of an answer stay here, others pass as they are',
    async (t) => {
      const fields = [
        'Connection: X-R1',
        'Connection: X-R2',
        'X-R1: 1',
        'X-R2: 2',
        'X-Keep: 3',
        'Keep-Alive: timeout=9',
      ]
      const more = [
        'Set-Cookie: a=1',
        'Set-Cookie: b=2',
        'X-Name: Jos\u00e9',
        'Date: Mon, 01 Jan 2024 00:00:00 GMT',
        'ETag: "x"',
      ]
      const world = await start(t, {
        script: (request) => answer(request, 418, [...fields, ...more], 'body'),
      })
      const got = await world.call('GET', '/')
      assert.equal(got.status, 418)
      assert.equal(got.reason, 'Status')
      assert.equal(got.text, 'body')
      for (const name of ['x-r1', 'x-r2']) assert.equal(got.fields.get(name), null, name)
      assert.notEqual(got.fields.get('keep-alive'), 'timeout=9')
      assert.equal(got.fields.get('x-keep'), '3')
      assert.deepEqual(got.fields.all('set-cookie'), ['a=1', 'b=2'])
      assert.equal(got.fields.get('x-name'), 'Jos\u00e9')
      assert.deepEqual(got.fields.all('date'), ['Mon, 01 Jan 2024 00:00:00 GMT'])
      assert.equal(got.fields.get('etag'), '"x"')
    },
  )

  check('fields-no-date', 'no Date is invented for an answer without one', async (t) => {
    const world = await start(t)
    assert.equal((await world.call('GET', '/')).fields.get('date'), null)
  })

  check('L05', 'of thousands of fields none is dropped unseen', async (t) => {
    const world = await start(t)
    const fields = [...Array.from({ length: 3000 }, () => 'a:'), 'X-Last: 1', 'X-Cleartax-Auth-Token: forged']
    const got = await world.call('GET', '/', fields)
    if (got.status >= 400) assert.equal(world.upstream.requests.length, 0)
    else {
      const request = await world.upstream.request(0)
      assert.equal(request.fields.get('x-last'), '1')
      assert.deepEqual(request.fields.all('x-cleartax-auth-token'), [world.tokens.token.value.reveal()])
    }
  })

  check(
    'Location',
    'a Location back to the upstream leads to the sidecar; others pass, none is followed',
    async (t) => {
      const world = await start(t)
      const { upstream, host } = world
      const cases: [location: string, seen: string][] = [
        [`${upstream.url.origin}/a%2Fb?c=d#e`, `http://${host}/a%2Fb?c=d#e`],
        [upstream.url.origin, `http://${host}/`],
        ['/local?x', '/local?x'],
        ['relative', 'relative'],
        ['https://storage.example/presigned?sig=1', 'https://storage.example/presigned?sig=1'],
        [`http://127.0.0.1:${upstream.port}1/`, `http://127.0.0.1:${upstream.port}1/`],
      ]
      const client = await world.client()
      for (const [location, seen] of cases) {
        upstream.script = (request) => answer(request, 302, [`Location: ${location}`])
        const got = await client.call(world.message('GET', '/'))
        assert.equal(got.status, 302)
        assert.equal(got.fields.get('location'), seen)
      }
      assert.equal(upstream.requests.length, cases.length)
    },
  )
}
