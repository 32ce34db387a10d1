import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Clock } from '../../proxy/lib/clock.ts'
import { systemClock } from '../../proxy/lib/clock.ts'
import type { LogFields } from '../../proxy/lib/log.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { KubernetesMedium } from '../../proxy/stores/kubernetes.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import { testTls } from '../sandbox/tls-fixture.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeKubernetes, type FakeKubernetesOptions, NAME, NAMESPACE } from './fake-kubernetes.ts'
import { countHints, DAY, publish, soon, token } from './store-use.ts'

const sealer = createSealer(new Secret('one'), new URL('https://api.test/token'))

describe('requests to an API server', () => {
  it('carry the token of the file, and once more what it holds now when the old one has run out', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    await a.store.read(soon())
    fake.issue('second-token')
    fake.expire('first-token')
    a.tokenFile = 'second-token\n'
    await publish(a, 1)
    assert.deepEqual(
      fake.seen.slice(1, 3).map(({ token, status }) => [token, status]),
      [
        ['first-token', 401],
        ['second-token', 200],
      ],
    )
    assert.deepEqual(a.warnings(), [])
  })

  it('read the token file each minute, so that a token is replaced while the old one is still good', async (test) => {
    const { fake, replica } = await place(test)
    const clock = new FakeClock(Date.now())
    const a = replica({ clock })
    await a.store.read(soon())
    fake.issue('second-token')
    a.tokenFile = 'second-token'
    await clock.advance(59_000)
    await a.store.read(soon())
    await clock.advance(2_000)
    await a.store.read(soon())
    assert.deepEqual(
      fake.seen.map(({ token }) => token),
      ['first-token', 'first-token', 'second-token'],
    )
  })

  for (const status of [401, 403, 404, 500, 503]) {
    it(`tell of ${status} once, with what was asked and without the token`, async (test) => {
      const { fake, replica } = await place(test)
      const a = replica()
      if (status === 404) fake.delete()
      else fake.fail({ status })
      for (let n = 0; n < 3; n++) await assert.rejects(a.store.acquire(8_000, soon()), { status })
      const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${NAME}`
      assert.deepEqual(a.warnings(), [
        `store_connection_failed KubernetesError: the API server answered ${status} to GET ${path}`,
      ])
      fake.heal()
      if (status === 404) fake.create()
      await publish(a, 1)
    })
  }

  it('stay away for as long as Retry-After says, and no longer', async (test) => {
    const { fake, replica } = await place(test)
    const clock = new FakeClock(Date.now())
    const a = replica({ clock })
    fake.fail({ status: 429, retryAfter: '3', count: 1 })
    await assert.rejects(a.store.read(soon()), { status: 429 })
    await clock.advance(2_900)
    await assert.rejects(a.store.read(soon()), { status: 429 })
    assert.equal(fake.seen.length, 1)
    await clock.advance(100)
    assert.equal((await a.store.read(soon())).token, null)
  })

  it('do not mind a Retry-After that is a date or nonsense', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    for (const retryAfter of ['Sun, 22 Nov 2026 12:00:00 GMT', 'soon', '-1'])
      fake.fail({ status: 429, retryAfter, count: 1 })
    for (let n = 0; n < 3; n++) await assert.rejects(a.store.read(soon()), { status: 429 })
    assert.equal((await a.store.read(soon())).token, null)
  })

  it('end after about a second when nothing answers, and work again at once', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    await a.store.read(soon())
    fake.fail({ kind: 'hang' })
    const began = performance.now()
    await assert.rejects(a.store.read(soon()), { name: 'TimeoutError' })
    assert.ok(performance.now() - began < 1_500)
    fake.heal()
    assert.equal((await a.store.read(soon())).token, null)
  })

  it('bear slow answers', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    fake.fail({ delayMs: 300 })
    await publish(a, 1)
    assert.deepEqual(a.warnings(), [])
  })

  it('are repeated, when a kept connection turns out to be closed, without anybody noticing', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    await a.store.read(soon())
    fake.fail({ kind: 'reset', count: 1 })
    assert.equal((await a.store.read(soon())).token, null)
    // A new connection that is reset is a fault of the server.
    fake.fail({ kind: 'reset', count: 2 })
    await assert.rejects(a.store.read(soon()), { code: 'ECONNRESET' })
    assert.equal((await a.store.read(soon())).token, null)
  })

  it('reject an answer that is no Secret, without repeating it', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    fake.fail({ kind: 'garbage', count: 1 })
    await assert.rejects(a.store.read(soon()), { message: 'the answer is not JSON' })
    assert.doesNotMatch(a.warnings().join(), /html/)
  })

  it('find their own change when its answer was lost', async (test) => {
    const { fake, replica } = await place(test)
    const [a, b] = [replica(), replica()]
    const lease = await a.store.acquire(8_000, soon())
    await lease?.begin(DAY, soon())
    fake.fail({ verb: 'patch', kind: 'lose-answer', count: 1 })
    await assert.rejects(lease?.publish(token(1), soon()) ?? Promise.resolve())
    assert.equal((await a.store.offer(token(1), soon())).token?.generation, 1)
    assert.equal((await b.store.read(soon())).token?.value.reveal(), 'token-1')
    assert.notEqual(await b.store.acquire(8_000, soon()), null)
  })

  it('give up when the Secret keeps changing', async (test) => {
    const { fake, replica } = await place(test)
    fake.fail({ verb: 'patch', status: 409 })
    await assert.rejects(replica().store.offer(token(1), soon()), { message: 'the Secret keeps changing' })
    assert.equal(fake.seen.filter(({ verb }) => verb === 'patch').length, 20)
  })

  it('leave what others keep in the Secret alone', async (test) => {
    const { fake, replica } = await place(test)
    fake.touch({ other: Buffer.from('"theirs"').toString('base64') })
    await publish(replica(), 1)
    assert.deepEqual(Object.keys(fake.entries).sort(), ['other', sealer.entryKey].sort())
    assert.equal(fake.entries['other'], 'theirs')
    assert.doesNotMatch(JSON.stringify(fake.entries), /token-1|one/)
  })

  it('go to a server of the cluster’s authority only', async (test) => {
    const { replica } = await place(test, { tls: testTls })
    const stranger = replica({ ca: undefined })
    await assert.rejects(stranger.store.read(soon()), /self.signed/)
    assert.match(stranger.warnings()[0] ?? '', /self.signed/)
    assert.equal((await replica({ ca: testTls.cert }).store.read(soon())).token, null)
  })

  it('keep a token’s end by the server’s clock, an hour ahead or behind', async (test) => {
    const { fake, replica } = await place(test)
    for (const hours of [1, -1]) {
      fake.touch({ [sealer.entryKey]: '' })
      const ahead = new FakeClock(Date.now() + hours * 3_600_000)
      const [a, b] = [replica({ clock: ahead }), replica()]
      const lease = await a.store.acquire(8_000, soon())
      await lease?.publish({ ...token(1), validTill: ahead.now() + 600_000 }, soon())
      const { token: read } = await b.store.read(soon())
      assert.ok(Math.abs((read?.validTill ?? 0) - Date.now() - 600_000) < 5_000)
      assert.ok(Math.abs((a.medium.clockOffsetMs ?? 0) + hours * 3_600_000) < 5_000)
    }
  })

  it('take no offset from a Date that is none', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    fake.clockOffsetMs = Number.NaN
    await publish(a, 1)
    assert.equal(a.medium.clockOffsetMs, 0)
    assert.equal((await a.store.read(soon())).token?.validTill, token(1).validTill)
  })
})

describe('the watch of a Secret', () => {
  const ends = ['end', 'reset', 'gone'] as const
  for (const how of ends) {
    it(`goes on after ${how}, and what changed meanwhile is told`, async (test) => {
      const { fake, replica } = await place(test)
      const [a, b] = [replica(), replica()]
      const hints = countHints(test, b)
      await hints.next()
      fake.breakWatches(how)
      await publish(a, 1)
      await hints.next()
      assert.equal((await b.store.read(soon())).token?.generation, 1)
      fake.touch()
      await hints.next()
      assert.equal(fake.watches, 1)
      assert.equal(b.warnings().length, how === 'reset' ? 1 : 0)
    })
  }

  it('begins where the last one ended, and anew when the server has forgotten that', async (test) => {
    const { fake, replica } = await place(test)
    const hints = countHints(test, replica())
    await hints.next()
    fake.breakWatches('end')
    fake.touch()
    await hints.next()
    fake.breakWatches('end')
    fake.touch()
    fake.compact()
    await hints.next()
    const asked = fake.seen.filter(({ verb }) => verb === 'watch')
    const from = asked.map(({ query }) => query.get('resourceVersion'))
    assert.deepEqual([from[0], from[1] !== null, from[2] !== null, from[3]], [null, true, true, null])
  })

  it('is given up when neither events nor bookmarks come, and not before', async (test) => {
    const { fake, replica } = await place(test, { bookmarkEveryMs: 20 })
    const clock = new FakeClock(Date.now())
    const hints = countHints(test, replica({ clock }))
    await hints.next()
    // Minutes pass by the sidecar's clock, but bookmarks come.
    for (let n = 0; n < 3; n++) {
      await clock.advance(90_000)
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
    assert.equal(fake.seen.length, 1)
    fake.breakWatches('silence')
    await new Promise((resolve) => setTimeout(resolve, 60))
    await clock.advance(100_000)
    await clock.advance(1_000)
    await hints.next()
    assert.equal(fake.seen.length, 2)
  })

  it('is tried again when it is not answered at all', async (test) => {
    const { fake, replica } = await place(test)
    const clock = new FakeClock(Date.now())
    fake.fail({ verb: 'watch', kind: 'hang', count: 1 })
    const hints = countHints(test, replica({ clock }))
    while (fake.connections === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await clock.advance(100_000)
    await clock.advance(1_000)
    await hints.next()
  })

  for (const status of [401, 403, 429]) {
    it(`is tried again after ${status}, more and more seldom, and the reason is told once`, async (test) => {
      const { fake, replica } = await place(test)
      const clock = new FakeClock(Date.now())
      fake.fail({ verb: 'watch', status })
      const a = replica({ clock })
      const hints = countHints(test, a)
      for (let n = 0; n < 120; n++) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        await clock.advance(500)
      }
      const tries = fake.seen.length / (status === 401 ? 2 : 1)
      assert.ok(tries >= 5 && tries <= 16, `${tries} tries in a minute`)
      assert.equal(a.warnings().length, 1)
      assert.match(a.warnings()[0] ?? '', new RegExp(`^store_watch_failed .* ${status} to GET `))
      fake.heal()
      await clock.advance(15_000)
      await hints.next()
    })
  }

  it('spares the API server most polls, but only while it lives', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    assert.equal(a.store.pollMs, 5_000)
    const hints = countHints(test, a)
    await hints.next()
    assert.equal(a.store.pollMs, 60_000)
    fake.fail({ verb: 'watch', status: 403 })
    fake.breakWatches('end')
    while (fake.seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(a.store.pollMs, 5_000)
  })

  it('is one connection for all who watch, and none when nobody does', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    const ends = [a, a, a].map(({ store }) => store.watch(() => {}))
    while (fake.watches === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(fake.watches, 1)
    for (const end of ends) end()
    while (fake.watches > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  it('is over after close(), as is everything else', async (test) => {
    const { fake, replica } = await place(test)
    const a = replica()
    const hints = countHints(test, a)
    await hints.next()
    await a.store.read(soon())
    await a.medium.close()
    a.store.watch(() => assert.fail('nobody watches any more'))
    while (fake.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(fake.seen.filter(({ verb }) => verb === 'watch').length, 1)
  })
})

interface ReplicaOptions {
  readonly clock?: Clock
  readonly ca?: string | undefined
}

async function place(test: TestContext, options: FakeKubernetesOptions = {}) {
  const fake = await FakeKubernetes.start(test, options)
  let started = 0
  const replica = ({ clock = systemClock, ca }: ReplicaOptions = {}) => {
    const lines: { level: string; event: string; fields: LogFields }[] = []
    const keep =
      (level: string) =>
      (event: string, fields: LogFields = {}) => {
        lines.push({ level, event, fields })
      }
    const mounted = { tokenFile: 'first-token' }
    const medium = new KubernetesMedium({
      access: { apiUrl: fake.url, ca, readToken: async () => mounted.tokenFile },
      namespace: NAMESPACE,
      name: NAME,
      clock,
      random: () => 0.5,
      log: { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') },
    })
    test.after(() => medium.close())
    return Object.assign(mounted, {
      medium,
      store: new EntryTokenStore(medium, sealer, clock, `replica-${++started}`),
      warnings: () =>
        lines
          .filter(({ level }) => level === 'warn')
          .map(({ event, fields }) => `${event} ${fields['error']}`),
    })
  }
  return { fake, replica }
}
