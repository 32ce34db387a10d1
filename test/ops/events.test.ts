import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import supertest from 'supertest'
import { opsApp } from '../../proxy/ops/app.ts'
import { createOps, type OpsDeps } from '../../proxy/ops/server.ts'
import { credential, emptyCredential, fixedClock, opsDeps } from './deps.ts'

interface PartsEvent {
  readonly edition: string
  readonly parts: Readonly<Record<string, string>>
}

/** One page that is open. */
class Stream {
  readonly #outgoing: ClientRequest
  readonly response: IncomingMessage
  readonly ended: Promise<unknown>
  #rest = ''
  #arrived = () => {}
  readonly messages: string[] = []

  constructor(outgoing: ClientRequest, response: IncomingMessage) {
    this.#outgoing = outgoing
    this.response = response
    this.ended = new Promise((resolve) => response.once('close', resolve))
    // Leaving is an error to the one who leaves.
    response.on('error', () => {})
    response.setEncoding('utf8').on('data', (text: string) => {
      const messages = (this.#rest + text).split('\n\n')
      this.#rest = messages.pop() ?? ''
      this.messages.push(...messages)
      this.#arrived()
    })
  }

  /** The next event. */
  async next(): Promise<PartsEvent> {
    while (true) {
      const message = this.messages.shift()
      if (message === undefined)
        await new Promise<void>((resolve) => {
          this.#arrived = resolve
        })
      else if (message.startsWith('event: parts\ndata: '))
        return JSON.parse(message.slice('event: parts\ndata: '.length))
    }
  }

  async leave(): Promise<void> {
    this.#outgoing.destroy()
    await this.ended
  }
}

async function open(url: string): Promise<Stream> {
  const outgoing = request(`${url}/events`, { agent: false }).end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return new Stream(outgoing, response)
}

async function listening(context: TestContext, changes: Partial<OpsDeps> = {}) {
  const ops = createOps(opsDeps(changes))
  context.after(() => ops.close())
  return { ops, url: await ops.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }) }
}

/** Counts how often the page is made: each time it asks for the credentials. */
function counted(changes: Partial<OpsDeps> = {}) {
  const seen = { made: 0, observers: new Set<() => void>() }
  const deps: Partial<OpsDeps> = {
    credentials: () => {
      seen.made++
      return [credential()]
    },
    observe: (changed) => {
      seen.observers.add(changed)
      return () => void seen.observers.delete(changed)
    },
    ...changes,
  }
  return { seen, deps }
}

describe('events of the status page', () => {
  it('begin with every part, then bring the ones that have changed', async (context) => {
    let credentials = [emptyCredential()]
    const { ops, url } = await listening(context, { credentials: () => credentials })
    const stream = await open(url)
    assert.match(stream.response.headers['content-type'] ?? '', /^text\/event-stream/)
    assert.equal(stream.response.headers['cache-control'], 'no-store')
    const first = await stream.next()
    const ids = [
      'title',
      'icon',
      'hero',
      'about',
      'announcement',
      'problems',
      'credential-0',
      'calls',
      'errors',
    ]
    assert.deepEqual(Object.keys(first.parts), ids)
    credentials = [credential({ fingerprint: 'cafe0123' })]
    ops.tick()
    const second = await stream.next()
    assert.equal(second.edition, first.edition)
    assert.deepEqual(Object.keys(second.parts), ['title', 'icon', 'hero', 'announcement', 'credential-0'])
    assert.match(second.parts['credential-0'] ?? '', /cafe0123/)
  })

  it('carry the very elements that the page is made of', async (context) => {
    const { url } = await listening(context)
    const page = await (await fetch(url)).text()
    const { parts, edition } = await (await open(url)).next()
    assert.match(page, new RegExp(`data-edition="${edition.replaceAll(/[+/]/g, '\\$&')}"`))
    for (const [id, html] of Object.entries(parts)) assert.ok(page.includes(html), id)
  })

  it('are framed so that every line of data belongs to one event', async (context) => {
    const name = 'a\n\nevent: parts\ndata: b\r'
    const { url } = await listening(context, { credentials: () => [credential({ name })] })
    const stream = await open(url)
    const { parts } = await stream.next()
    assert.ok(parts['credential-0']?.includes(name))
    assert.deepEqual(stream.messages, [])
  })

  it('come at once when a credential changes, once for a burst of changes', async (context) => {
    let generation = 7
    const { seen, deps } = counted({ credentials: () => [credential({ generation })] })
    const { url } = await listening(context, deps)
    const stream = await open(url)
    await stream.next()
    for (generation = 8; generation < 100; generation++) for (const changed of seen.observers) changed()
    const { parts } = await stream.next()
    assert.match(parts['credential-0'] ?? '', /token 100/)
    assert.match(parts['announcement'] ?? '', /token number 100/)
  })

  it('are made for nobody when nobody looks', async (context) => {
    const { seen, deps } = counted()
    const { ops, url } = await listening(context, deps)
    ops.tick()
    assert.deepEqual(seen, { made: 0, observers: new Set() })
    const streams = [await open(url), await open(url)]
    for (const stream of streams) await stream.next()
    assert.equal(seen.observers.size, 1)
    const made = seen.made
    ops.tick()
    assert.equal(seen.made, made + 1, 'once for all who look')
    for (const stream of streams) await stream.leave()
    await eventually(() => seen.observers.size === 0)
    ops.tick()
    assert.equal(seen.made, made + 1)
  })

  it('go to 16 pages; a seventeenth is told to come again, and may when one has left', async (context) => {
    const { ops, url } = await listening(context)
    const streams = await Promise.all(Array.from({ length: 16 }, () => open(url)))
    const refused = await fetch(`${url}/events`)
    assert.equal(refused.status, 503)
    assert.equal(refused.headers.get('retry-after'), '5')
    assert.equal(refused.headers.get('content-type'), 'application/problem+json')
    assert.equal(((await refused.json()) as { code: string }).code, 'too_many_watchers')
    assert.equal((await fetch(url)).status, 200)
    ops.tick()
    for (const stream of streams) await stream.next()
    await streams[0]?.leave()
    await eventually(async () => {
      const stream = await open(url)
      await stream.leave()
      return stream.response.statusCode === 200
    })
  })

  it('end when the ops address closes, which does not wait for the moment at which connections are cut', async (context) => {
    const { ops, url } = await listening(context, { clock: { ...fixedClock, after: () => () => {} } })
    const streams = [await open(url), await open(url)]
    await Promise.all([ops.close(), ...streams.map(({ ended }) => ended)])
  })

  it('are not for pages of other sites, which could take the places of those who watch', async () => {
    const app = opsApp(opsDeps())
    const crossSite = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
    for (const headers of [{ origin: 'https://evil.example' }, crossSite]) {
      const { body } = await supertest(app).get('/events').set(headers).expect(403)
      assert.equal(body.code, 'request_forbidden')
    }
    await supertest(app).get('/').set(crossSite).expect(200)
    // A page whose name was pointed here would be of this site.
    await supertest(app).get('/events').set('host', 'evil.example:9464').expect(403)
  })

  it('are told of by HEAD without beginning, and are only to be read', async () => {
    const app = opsApp(opsDeps())
    await supertest(app)
      .head('/events')
      .expect(200)
      .expect('content-type', /text\/event-stream/)
    await supertest(app).post('/events').expect(405).expect('allow', 'GET, HEAD')
  })
})

async function eventually(reached: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + 10_000
  while (!(await reached())) {
    assert.ok(performance.now() < until, 'it has not come about in 10 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
