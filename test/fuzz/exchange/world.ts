import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { ProblemError } from '../../../proxy/lib/errors.ts'
import { silentLog } from '../../../proxy/lib/log.ts'
import type { Forwarder } from '../../../proxy/relay/forwarder.ts'
import { createRelay } from '../../../proxy/relay/relay.ts'
import type { HeldToken, Waiting } from '../../../proxy/token/source.ts'
import { plainOptions, plainRoute, TOKEN_HEADER } from '../../relay/contract/world.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { RawClient } from '../../support/raw-client.ts'
import { answer, answerOk } from '../../support/raw-upstream.ts'
import { heldToken, ScriptedTokens } from '../../support/token-source.ts'
import { HostileUpstream } from './hostile-upstream.ts'
import { tokenValue } from './judge.ts'
import { Quiescence } from './quiescence.ts'
import type { Plan, TokenPlan } from './script.ts'

/** Small, so that bodies do not fit. The last call of a run proves that all of it was given back. */
const REPLAY_MEMORY_BYTES = 4_096
/** How long a token may have to be waited for. */
const LATER_MS = 700
/** Real time: what is left to do after a run is done at once, on a machine that has nothing else to do. */
const PATIENCE_MS = 20_000

/** One relay between a hostile upstream and whoever connects, in a time of its own. */
export class FuzzWorld {
  readonly clock: FakeClock
  readonly quiescence: Quiescence
  readonly upstream: HostileUpstream
  readonly tokens: ScriptedTokens
  readonly relay: Forwarder
  readonly port: number
  /** Every token there has been. */
  readonly #all: readonly HeldToken[]

  private constructor(
    parts: Pick<FuzzWorld, 'clock' | 'quiescence' | 'upstream' | 'tokens' | 'relay' | 'port'>,
    all: readonly HeldToken[],
  ) {
    this.clock = parts.clock
    this.quiescence = parts.quiescence
    this.upstream = parts.upstream
    this.tokens = parts.tokens
    this.relay = parts.relay
    this.port = parts.port
    this.#all = all
  }

  static async start(plans: readonly Plan[], tokenPlan: TokenPlan): Promise<FuzzWorld> {
    const clock = new FakeClock()
    const quiescence = new Quiescence(clock)
    const upstream = new HostileUpstream(plans, quiescence, TOKEN_HEADER)
    await upstream.raw.listen()
    const all = [heldToken(tokenValue(1), 1)]
    const tokens = scriptedTokens(tokenPlan, all, clock)
    const options = {
      ...plainOptions(plainRoute(upstream.raw, tokens)),
      replayBodyLimitBytes: 2_048,
      replayMemoryLimitBytes: REPLAY_MEMORY_BYTES,
      maxHeaderBytes: 4_096,
      maxConnections: 16,
    }
    const relay = createRelay(options, { clock, log: silentLog })
    const port = Number(new URL(await relay.listen()).port)
    return new FuzzWorld({ clock, quiescence, upstream, tokens, relay, port }, all)
  }

  /** No call is under way. */
  get isIdle(): boolean {
    return this.relay.counters.inFlight === 0
  }

  /** That nothing is left of any call, and that the next ones are served at once. */
  async expectClean(): Promise<void> {
    const { counters } = this.relay
    await this.#eventually(() => {
      const { inFlight, held, upstreamActive } = counters
      assert.deepEqual({ inFlight, held, upstreamActive }, { inFlight: 0, held: 0, upstreamActive: 0 })
      for (const token of this.#all) assert.deepEqual([token.inFlight, token.unreplayableInFlight], [0, 0])
    })
    this.tokens.script = { replace: async () => this.tokens.token }
    this.upstream.reform()
    const first = await this.#call('GET', '')
    assert.equal(first.status, 200, `the next call failed: ${first.status} ${first.text}`)
    // Both of these fit only if every kept body was forgotten: a body that is not kept is not sent again.
    const bodies = ['a', 'b'].map((letter) => letter.repeat(REPLAY_MEMORY_BYTES / 2))
    const rejected = new Set<string>()
    this.upstream.raw.script = async (request) => {
      const body = (await request.body).toString('latin1', 0, 1)
      answer(request, rejected.has(body) ? 200 : 401)
      rejected.add(body)
    }
    const answers = await Promise.all(bodies.map((body) => this.#call('POST', body)))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
      'memory for bodies was not given back',
    )
    this.upstream.raw.script = answerOk
  }

  /** Ends it, and sees that nothing stays open. */
  async end(): Promise<void> {
    const drained = this.relay.drain(new AbortController().signal)
    await Promise.race([drained, late('draining')])
    await this.#eventually(() =>
      assert.equal(this.upstream.raw.sockets.size, 0, 'a connection to the upstream stays'),
    )
    assert.equal(this.clock.pending, 0, 'a timer stays')
  }

  async close(): Promise<void> {
    await this.relay.drain(AbortSignal.abort())
    await this.upstream.raw.close()
  }

  async #call(method: string, body: string) {
    const client = await RawClient.connect({ port: this.port, host: '127.0.0.1' })
    client.socket.on('error', () => {})
    try {
      const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
      return await Promise.race([
        client.call(`${method} /probe HTTP/1.1\r\nHost: localhost\r\n${length}\r\n${body}`),
        late('an answer to the next call'),
      ])
    } finally {
      client.destroy()
    }
  }

  async #eventually(assertion: () => void): Promise<void> {
    const end = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        assertion()
        return
      } catch (error) {
        if (performance.now() > end) throw error
      }
      await this.quiescence.quiet()
    }
  }
}

function late(what: string): Promise<never> {
  return delay(PATIENCE_MS, undefined, { ref: false }).then(() => {
    throw new assert.AssertionError({ message: `not within ${PATIENCE_MS} ms: ${what}` })
  })
}

/** Tokens that are there or not, come late or never, and are replaced or not, as planned. */
function scriptedTokens(plan: TokenPlan, all: HeldToken[], clock: FakeClock): ScriptedTokens {
  const newest = () => all.at(-1) as HeldToken
  const counts = { peeks: 0, waits: 0, replacements: 0 }
  const next = <K extends keyof TokenPlan>(kind: K) => plan[kind][counts[kind]++ % plan[kind].length]
  const later = ({ signal }: Waiting) => clock.sleep(LATER_MS, signal)
  const mint = () => {
    const token = heldToken(tokenValue(all.length + 1), all.length + 1)
    all.push(token)
    return token
  }
  return new ScriptedTokens(newest(), {
    peek: () => (next('peeks') === true ? newest() : null),
    async current(waiting) {
      const what = next('waits')
      if (what !== 'now') await later(waiting)
      if (what === 'fails') throw new ProblemError('token_unavailable', { retryAfterS: 3 })
      return newest()
    },
    async replace(rejected, _sentAt, waiting) {
      const what = next('replacements')
      if (what === 'later') await later(waiting)
      if (what === 'fails') throw new Error('the store is gone')
      if (what === 'none') return null
      return what === 'same' ? rejected : mint()
    },
  })
}
