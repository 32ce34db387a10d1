import assert from 'node:assert/strict'
import { answer, type RawRequest } from '../../support/raw-upstream.ts'
import { heldToken } from '../../support/token-source.ts'
import { assertProblem, eventually, type Suite, TOKEN, TOKEN_HEADER } from './world.ts'

const FRESH = 'tok-fresh-9876543210'

/** Rejects the old token, accepts every other one. */
async function rejectOld(request: RawRequest): Promise<void> {
  await request.body
  const isOld = request.fields.get(TOKEN_HEADER) === TOKEN
  answer(
    request,
    isOld ? 401 : 200,
    [`X-Which: ${isOld ? 'first' : 'second'}`],
    isOld ? 'rejected' : 'accepted',
  )
}

export function replayCases({ check, start }: Suite): void {
  const fresh = () => heldToken(FRESH, 2)

  check(
    'replay',
    'a rejected call is sent again with the replacement, and the caller sees only the second answer',
    async (t) => {
      const replacement = fresh()
      const world = await start(t, { script: rejectOld, tokens: { replace: async () => replacement } })
      const { token, rejections, proofs } = world.tokens
      const before = performance.now()
      const got = await world.call('GET', '/a%2Fb?c', ['X-App: 1'])
      assert.deepEqual([got.status, got.text], [200, 'accepted'])
      assert.equal(world.upstream.requests.length, 2)
      const second = await world.upstream.request(1)
      assert.equal(second.target, '/a%2Fb?c')
      assert.deepEqual(second.fields.all(TOKEN_HEADER), [FRESH])
      assert.equal(second.fields.get('x-app'), '1')
      assert.equal(rejections.length, 1)
      assert.equal(rejections[0]?.rejected, token)
      assert.equal(rejections[0]?.waiting.replayable, true)
      assert.ok((rejections[0]?.sentAt ?? 0) >= before)
      assert.deepEqual(proofs, [token])
      assert.equal(token.acceptedSentAt, -1)
      assert.ok(replacement.acceptedSentAt >= before)
      assert.deepEqual(world.forwarder.counters.replays, { accepted: 1, rejected: 0, failed: 0 })
      await eventually(() => assert.deepEqual([token.inFlight, replacement.inFlight], [0, 0]))
    },
  )

  check('replay-body', 'a kept body is sent again byte for byte, with a length or chunked', async (t) => {
    const world = await start(t, { script: rejectOld, tokens: { replace: async () => fresh() } })
    const body = 'b'.repeat(40_000)
    const client = await world.client()
    const byLength = await client.call(world.message('POST', '/', [], body))
    assert.equal(byLength.text, 'accepted')
    assert.equal(String(await (await world.upstream.request(1)).body), body)
    world.tokens.token = heldToken(TOKEN)
    const chunks = `4e20\r\n${body.slice(0, 20_000)}\r\n4e20\r\n${body.slice(20_000)}\r\n0\r\n\r\n`
    const chunked = await client.call(world.message('POST', '/', ['Transfer-Encoding: chunked']) + chunks)
    assert.equal(chunked.text, 'accepted')
    assert.equal(String(await (await world.upstream.request(3)).body), body)
  })

  check('replay-early', 'a call rejected in the middle of its upload is sent again whole', async (t) => {
    const script = async (request: RawRequest) => {
      if (request.fields.get(TOKEN_HEADER) === TOKEN) answer(request, 401, [], 'rejected')
      else await rejectOld(request)
    }
    const world = await start(t, { script, tokens: { replace: async () => fresh() } })
    const client = await world.client()
    client.write(world.message('POST', '/', ['Content-Length: 20']))
    client.write('first half')
    await eventually(() => assert.equal(world.upstream.requests.length, 2))
    client.write('other half')
    assert.equal((await client.answer('POST')).text, 'accepted')
    assert.equal(String(await (await world.upstream.request(1)).body), 'first halfother half')
  })

  check('replay-null', 'without a replacement the rejection passes unchanged', async (t) => {
    const world = await start(t, { script: rejectOld })
    const got = await world.call('POST', '/', [], 'body')
    assert.deepEqual(
      [got.status, got.reason, got.fields.get('x-which'), got.text],
      [401, 'Status', 'first', 'rejected'],
    )
    assert.equal(world.upstream.requests.length, 1)
    assert.deepEqual(world.forwarder.counters.replays, { accepted: 0, rejected: 0, failed: 0 })
  })

  check(
    'replay-rejected',
    'a replay that is rejected too is the last when no newer token comes: the first rejection passes',
    async (t) => {
      let count = 0
      const world = await start(t, {
        script: (request) => answer(request, 401, [], `rejection ${++count}`),
        tokens: { replace: async (rejected) => (rejected.generation === 1 ? fresh() : null) },
      })
      const client = await world.client()
      for (const requests of [2, 3]) {
        const got = await client.call(world.message('POST', '/', [], 'body'))
        assert.deepEqual([got.status, got.text], [401, `rejection ${requests === 2 ? 1 : 3}`])
        assert.equal(world.upstream.requests.length, requests)
      }
      const told = world.tokens.rejections.map(({ rejected, waiting }) => [
        rejected.generation,
        waiting.isReplay,
      ])
      assert.deepEqual(told, [
        [1, false],
        [2, true],
        [2, false],
      ])
      assert.deepEqual(world.tokens.proofs, [])
      assert.deepEqual(world.forwarder.counters.replays, { accepted: 0, rejected: 1, failed: 0 })
    },
  )

  check(
    'replay-twice',
    'a call under which a second token died is sent once more, with its body',
    async (t) => {
      const second = fresh()
      const third = heldToken('tok-third', 3)
      const world = await start(t, {
        script: async (request) => {
          const body = await request.body
          const isThird = request.fields.get(TOKEN_HEADER) === 'tok-third'
          answer(request, isThird ? 200 : 401, [], isThird ? `accepted ${body}` : 'rejected')
        },
        tokens: { replace: async (rejected) => (rejected.generation === 1 ? second : third) },
      })
      const { token } = world.tokens
      const got = await world.call('POST', '/', [], 'body')
      assert.deepEqual([got.status, got.text], [200, 'accepted body'])
      assert.equal(world.upstream.requests.length, 3)
      assert.deepEqual(world.tokens.proofs, [second])
      assert.deepEqual(world.forwarder.counters.replays, { accepted: 1, rejected: 1, failed: 0 })
      await eventually(() => assert.deepEqual([token.inFlight, second.inFlight, third.inFlight], [0, 0, 0]))
    },
  )

  check('replay-last', 'a call is sent three times at most, and the first rejection passes', async (t) => {
    let count = 0
    const world = await start(t, {
      script: (request) => answer(request, 401, [], `rejection ${++count}`),
      tokens: { replace: async ({ generation }) => heldToken(`tok-${generation + 1}`, generation + 1) },
    })
    const got = await world.call('GET', '/')
    assert.deepEqual([got.status, got.text], [401, 'rejection 1'])
    assert.equal(world.upstream.requests.length, 3)
    assert.equal(world.tokens.rejections.at(-1)?.waiting.replayable, false)
    assert.deepEqual(world.forwarder.counters.replays, { accepted: 0, rejected: 2, failed: 0 })
  })

  check(
    'replay-early-twice',
    'a call rejected twice in the middle of its upload is sent again whole, or its last rejection passes',
    async (t) => {
      let last = 3
      const world = await start(t, {
        script: async (request) => {
          const which = request.fields.get(TOKEN_HEADER)
          if (which !== `tok-${last}`) return answer(request, 401, [`X-Which: ${which}`], 'rejected')
          await request.body
          answer(request, 200, [], 'accepted')
        },
        tokens: {
          replace: async ({ generation }) => {
            return generation === 3 ? null : heldToken(`tok-${generation + 1}`, generation + 1)
          },
        },
      })
      for (last of [3, 4]) {
        const before = world.upstream.requests.length
        world.tokens.token = heldToken(TOKEN)
        const client = await world.client()
        client.write(world.message('POST', '/', ['Content-Length: 20']))
        client.write('first half')
        await eventually(() => assert.equal(world.upstream.requests.length, before + 3))
        client.write('other half')
        const got = await client.answer('POST')
        if (last === 3) assert.equal(got.text, 'accepted')
        else assert.deepEqual([got.status, got.text], [401, 'rejected'])
      }
    },
  )

  check(
    'replay-failed',
    'a replay that gets no answer is answered 502, never by a rejection that may be out of date',
    async (t) => {
      const world = await start(t, {
        script: async (request) => {
          await request.body
          if (request.fields.get(TOKEN_HEADER) === TOKEN) answer(request, 401)
          else request.socket.destroy()
        },
        tokens: { replace: async () => fresh() },
      })
      assert.equal((await world.call('POST', '/', [], 'body')).status, 502)
      assert.equal(world.upstream.requests.length, 2)
      assert.deepEqual(world.forwarder.counters.replays, { accepted: 0, rejected: 0, failed: 1 })
    },
  )

  check(
    'replay-limit',
    'a body beyond the limit is not sent again: the rejection passes and the tokens are told',
    async (t) => {
      const world = await start(t, {
        options: { replayBodyLimitBytes: 1000 },
        script: rejectOld,
        tokens: { replace: async () => fresh() },
      })
      const body = 'b'.repeat(1001)
      const byLength = await world.call('POST', '/', [], body)
      assert.deepEqual([byLength.status, byLength.text], [401, 'rejected'])
      world.tokens.token = heldToken(TOKEN)
      const chunks = `\r\n3e9\r\n${body}\r\n0\r\n`
      const chunked = await world.call('POST', '/', ['Transfer-Encoding: chunked', chunks])
      assert.deepEqual([chunked.status, chunked.text], [401, 'rejected'])
      assert.equal(world.upstream.requests.length, 2)
      assert.equal(world.tokens.rejections.length, 2)
      assert.equal(world.tokens.rejections[0]?.waiting.replayable, false)
      assert.equal(world.forwarder.counters.unreplayable, 2)
      world.tokens.token = heldToken(TOKEN)
      assert.equal((await world.call('POST', '/', [], body.slice(1))).status, 200)
      // The limit is on the body, not on how it is framed.
      world.tokens.token = heldToken(TOKEN)
      const fitting = `\r\n1f4\r\n${'b'.repeat(500)}\r\n1f4\r\n${'b'.repeat(500)}\r\n0\r\n`
      assert.equal((await world.call('POST', '/', ['Transfer-Encoding: chunked', fitting])).status, 200)
    },
  )

  check('replay-memory', 'kept bodies share a limit and give their memory back', async (t) => {
    const world = await start(t, {
      options: { replayMemoryLimitBytes: 1000 },
      script: rejectOld,
      tokens: { replace: async () => fresh() },
    })
    assert.equal((await world.call('POST', '/', [], 'b'.repeat(1001))).status, 401)
    for (let round = 0; round < 5; round++) {
      assert.equal((await world.call('POST', '/', [], 'b'.repeat(900))).status, 200)
    }
  })

  check('replay-status', 'the statuses that mean a rejection are configured', async (t) => {
    const world = await start(t, {
      options: { rejectedStatus: new Set([403]) },
      script: (request) => answer(request, request.fields.get(TOKEN_HEADER) === TOKEN ? 403 : 401),
      tokens: { replace: async () => fresh() },
    })
    assert.equal((await world.call('GET', '/')).status, 401)
    assert.deepEqual(world.forwarder.counters.replays, { accepted: 1, rejected: 0, failed: 0 })
  })

  check(
    'replay-abort',
    'a caller that leaves while a replacement is awaited causes no second sending',
    async (t) => {
      const world = await start(t, {
        script: rejectOld,
        tokens: {
          replace: (_, __, { signal }) =>
            new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason as Error)),
            ),
        },
      })
      const client = await world.client()
      client.write(world.message('POST', '/', [], 'body'))
      await eventually(() => assert.equal(world.tokens.rejections.length, 1))
      client.destroy()
      await eventually(() => assert.equal(world.tokens.rejections[0]?.waiting.signal.aborted, true))
      await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
      assert.equal(world.upstream.requests.length, 1)
    },
  )

  check('replay-draining', 'a replacement that is refused leaves the upstream its say', async (t) => {
    const world = await start(t, {
      script: rejectOld,
      tokens: { replace: () => Promise.reject(new Error('no store')) },
    })
    const got = await world.call('GET', '/')
    assert.deepEqual([got.status, got.text], [401, 'rejected'])
    assertProblem(await world.call('GET', '*'), 'request_invalid')
  })
}
