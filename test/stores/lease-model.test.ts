import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import { MemoryMedium } from '../../proxy/stores/memory.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import { leaseMs } from '../../proxy/token/lease-time.ts'
import type { TokenPolicy } from '../../proxy/token/state.ts'
import type { MintLease } from '../../proxy/token/store.ts'
import { FakeClock } from '../support/fake-clock.ts'

/*
 * Two processes, a store and a token API that revokes on mint, in every order of their steps. The store and the length of
 * the lease are the product's; the steps of a minter are written down here as docs/architecture.md has them.
 *
 * Time passes only while somebody waits for a lease, and then no longer than that: the least time is the worst case. What
 * is assumed of the world: a request takes effect at the latest MINT_QUARANTINE after its deadline, or never; and nobody
 * is stopped between looking at the clock and sending.
 */

const policy: TokenPolicy = {
  refreshLeadMs: null,
  holdTimeoutMs: 10_000,
  rotationHoldMs: 1_000,
  mintTimeoutMs: 4_000,
  mintQuarantineMs: 2_000,
  mintMinIntervalMs: 30_000,
  mintDailyBudget: 240,
}

/** What the protocol demands, so that a test can leave out one part of it. */
interface Rules {
  readonly leaseMs: number
  /** The request has to be answered this long after the lease was asked for, and is not sent in the second half of it. */
  readonly sendsInTimeOnly: boolean
  /** A lease whose request had an unknown outcome is left to run out. */
  readonly keepsLeaseOnUnknown: boolean
}

const rules: Rules = { leaseMs: leaseMs(policy), sendsInTimeOnly: true, keepsLeaseOnUnknown: true }

const DAY = '2026-11-22'
const sealer = createSealer(new Secret('one'), new URL('https://api.test/token'))
const never = new AbortController().signal

type Phase = 'idle' | 'leased' | 'announced' | 'sent' | 'answered' | 'unpublished' | 'done' | 'crashed'

interface Minter {
  readonly name: string
  /** Only one of the two has bad luck: its successor is the one that must not suffer. */
  readonly unlucky: boolean
  readonly store: EntryTokenStore
  phase: Phase
  askedAt: number
  lease: MintLease | null
  /** The request under way at the token API, whoever still waits for it. */
  request: { readonly effectBy: number; readonly answerBy: number; effective: boolean } | null
}

type Step = readonly [what: string, run: () => Promise<void>]

/** One order of steps, run from the start. */
class Run {
  readonly #rules: Rules
  readonly #clock = new FakeClock()
  readonly #medium = new MemoryMedium()
  readonly #minters: readonly Minter[]
  /** The token that the token API accepts. */
  #live = ''

  constructor(rules: Rules) {
    this.#rules = rules
    this.#minters = ['a', 'b'].map((name, index) => ({
      name,
      unlucky: index === 0,
      store: new EntryTokenStore(this.#medium, sealer, this.#clock, name),
      phase: 'idle',
      askedAt: 0,
      lease: null,
      request: null,
    }))
  }

  /** Everything that can happen next. */
  steps(): Step[] {
    return this.#minters.flatMap((minter) => [
      ...this.#ownSteps(minter),
      ...this.#effect(minter),
      ...(minter.unlucky && !['idle', 'done', 'crashed'].includes(minter.phase)
        ? [this.#step(minter, 'crashes', async () => 'crashed')]
        : []),
    ])
  }

  /** Whether callers get a dead token from the store while nothing there says that a mint is unfinished. */
  async endsDeadUnnoticed(): Promise<boolean> {
    const { lease } = await this.#medium.read(sealer.entryKey)
    const { token } = await this.#other().store.read(never)
    return (token?.value.reveal() ?? '') !== this.#live && lease === null
  }

  #ownSteps(minter: Minter): Step[] {
    const now = this.#clock.monotonic()
    const { lease, request } = minter
    switch (minter.phase) {
      case 'idle':
        return [this.#step(minter, 'acquires', () => this.#acquire(minter))]
      case 'leased':
        return [
          this.#step(minter, 'announces', async () => {
            // A lease that was taken over meanwhile ends the attempt.
            return lease === null || !(await succeeds(lease.begin(DAY, never))) ? 'done' : 'announced'
          }),
        ]
      case 'announced':
        return [
          this.#step(minter, 'sends', () => this.#send(minter)),
          ...(minter.unlucky
            ? [
                this.#step(minter, 'sends at the last moment', async () => {
                  await this.#clock.advance(policy.mintTimeoutMs / 2)
                  return this.#send(minter)
                }),
              ]
            : []),
        ]
      case 'sent':
        return [
          ...(request?.effective && now <= request.answerBy
            ? [this.#step(minter, 'is answered', async () => 'answered')]
            : []),
          ...(minter.unlucky || now > (request?.answerBy ?? 0)
            ? [this.#step(minter, 'gets no answer', () => this.#unanswered(minter))]
            : []),
        ]
      case 'answered':
        return [
          this.#step(minter, 'publishes', async () => {
            await lease?.publish(this.#tokenOf(minter), never)
            return 'done'
          }),
          ...(minter.unlucky
            ? [this.#step(minter, 'cannot reach the store', async () => 'unpublished')]
            : []),
        ]
      case 'unpublished':
        return [
          this.#step(minter, 'offers', async () => {
            await minter.store.offer(this.#tokenOf(minter), never)
            return 'done'
          }),
        ]
      default:
        return []
    }
  }

  /** Waits for as long as it has to. */
  async #acquire(minter: Minter): Promise<Phase> {
    for (;;) {
      minter.askedAt = this.#clock.monotonic()
      minter.lease = await minter.store.acquire(this.#rules.leaseMs, never)
      if (minter.lease !== null) break
      await this.#clock.advance(500)
    }
    // Everybody sees a lease at once: seen later, it would only last longer.
    for (const { store } of this.#minters) await store.read(never)
    return 'leased'
  }

  async #send(minter: Minter): Promise<Phase> {
    const now = this.#clock.monotonic()
    const deadline = minter.askedAt + policy.mintTimeoutMs
    const inTime = deadline - now >= policy.mintTimeoutMs / 2
    if (this.#rules.sendsInTimeOnly && !inTime) {
      await minter.lease?.release(never)
      return 'done'
    }
    const answerBy = inTime ? deadline : now + policy.mintTimeoutMs
    minter.request = { answerBy, effectBy: answerBy + policy.mintQuarantineMs, effective: false }
    return 'sent'
  }

  async #unanswered(minter: Minter): Promise<Phase> {
    if (!this.#rules.keepsLeaseOnUnknown) await minter.lease?.release(never)
    return 'done'
  }

  #effect(minter: Minter): Step[] {
    const { request, name } = minter
    if (request === null || request.effective || this.#clock.monotonic() > request.effectBy) return []
    const run = async () => {
      request.effective = true
      this.#live = name
    }
    return [[`${name}'s request takes effect`, run]]
  }

  #step(minter: Minter, what: string, run: () => Promise<Phase>): Step {
    return [
      `${minter.name} ${what}`,
      async () => {
        minter.phase = await run()
      },
    ]
  }

  #tokenOf({ name, lease }: Minter) {
    const generation = (lease?.state.token?.generation ?? 0) + 1
    return { value: new Secret(name), validTill: null, mintedAt: 0, generation }
  }

  #other(): Minter {
    const [, other] = this.#minters
    assert.ok(other)
    return other
  }
}

interface Findings {
  orders: number
  /** Of the orders that end with a dead token unnoticed, the steps. */
  readonly dead: string[]
}

/** Tries every order, depth first; each is run anew, since a store cannot be set back. */
async function everyOrder(rules: Rules): Promise<Findings> {
  const findings: Findings = { orders: 0, dead: [] }
  let choices: number[] = []
  for (;;) {
    const run = new Run(rules)
    const happened: string[] = []
    const widths: number[] = []
    for (let depth = 0; ; depth++) {
      const steps = run.steps()
      const [what, go] = steps[choices[depth] ?? 0] ?? []
      if (what === undefined || go === undefined) break
      widths.push(steps.length)
      happened.push(what)
      await go()
    }
    findings.orders++
    if (await run.endsDeadUnnoticed()) findings.dead.push(happened.join(', '))
    // The next order differs in the last step that could still be another one.
    choices = widths.map((_, depth) => choices[depth] ?? 0)
    while (choices.length > 0 && (choices.at(-1) ?? 0) + 1 >= (widths[choices.length - 1] ?? 0)) choices.pop()
    if (choices.length === 0) return findings
    choices[choices.length - 1] = (choices.at(-1) ?? 0) + 1
  }
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  )
}

describe('the right to mint, in every order of two minters’ steps', () => {
  it('never ends with a dead token that looks alive', async (test) => {
    const { orders, dead } = await everyOrder(rules)
    test.diagnostic(`${orders} orders`)
    assert.ok(orders > 400, `${orders} orders`)
    assert.deepEqual(dead, [])
  })

  const broken: Record<string, Partial<Rules>> = {
    'if the lease did not outlast the quarantine': {
      leaseMs: leaseMs({ ...policy, mintQuarantineMs: 0 }),
    },
    'if the lease were given back after an unanswered request': { keepsLeaseOnUnknown: false },
    'if a request were sent however long ago the lease was obtained': { sendsInTimeOnly: false },
  }
  for (const [flaw, change] of Object.entries(broken)) {
    it(`would do so ${flaw}`, async (test) => {
      const { orders, dead } = await everyOrder({ ...rules, ...change })
      test.diagnostic(`${dead.length} of ${orders} orders, such as: ${dead[0]}`)
      assert.ok(dead.length > 0)
    })
  }
})
