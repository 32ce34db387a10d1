import { Secret } from '../../../proxy/lib/secret.ts'
import type { MintOutcome, TokenMinter } from '../../../proxy/token/minter.ts'
import type { ProcessClock, World } from './world.ts'

/** What becomes of one request to the token API. */
export interface Fate {
  /** `drop`: lost on its way there, so never processed. */
  readonly kind:
    | 'ok'
    | 'drop'
    | 'refuse'
    | 'answer-lost'
    | '500-before'
    | '500-after'
    | 'garbage'
    | '401'
    | '429'
  /** From sending to processing, ms. */
  readonly thereMs: number
  /** From processing to the answer, ms. */
  readonly backMs: number
}

export const promptly: Fate = { kind: 'ok', thereMs: 20, backMs: 20 }

interface Request {
  readonly sentAt: number
  readonly timeoutMs: number
  /** When it was processed, or was certain never to be; null = it may still take effect. */
  overAt: number | null
}

const QUOTA = 288

/**
 * The token API as it is: a mint revokes the previous token at the instant it is processed, whatever becomes of its answer,
 * and 288 requests a UTC day are taken. What is wrong with the requests made of it is noted in `faults`.
 */
export class TokenApi {
  readonly world: World
  readonly lifeMs: number | null
  /** Fates of the requests to come; when they are used up, all goes well. */
  fates: Fate[] = []
  current: { readonly value: string; readonly validTill: number | null } = { value: 'none', validTill: null }
  readonly requests: Request[] = []
  readonly faults: string[] = []
  readonly perDay = new Map<string, number>()
  mints = 0
  /** See `leaseMs`: an effect that comes later than this after the sender gave up is beyond what the design reckons with. */
  readonly quarantineMs: number

  constructor(world: World, lifeMs: number | null, quarantineMs: number) {
    this.world = world
    this.lifeMs = lifeMs
    this.quarantineMs = quarantineMs
  }

  /** Somebody else mints with the same secret. */
  foreignMint(): void {
    this.#mint('foreign')
  }

  accepts(value: string): boolean {
    const { validTill } = this.current
    return value === this.current.value && (validTill === null || this.world.now < validTill)
  }

  minterOf(clock: ProcessClock, mintTimeoutMs: number): TokenMinter {
    return { mint: (signal) => this.#request(clock, signal, mintTimeoutMs) }
  }

  #request(clock: ProcessClock, signal: AbortSignal, timeoutMs: number): Promise<MintOutcome> {
    const { world } = this
    const fate = this.fates.shift() ?? promptly
    const request: Request = { sentAt: world.time, timeoutMs, overAt: null }
    const other = this.requests.findIndex(({ overAt }) => overAt === null)
    if (other >= 0) this.faults.push(`request ${this.requests.length} sent while ${other} may take effect`)
    this.requests.push(request)
    const day = new Date(world.now).toISOString().slice(0, 10)
    const today = (this.perDay.get(day) ?? 0) + 1
    this.perDay.set(day, today)

    return new Promise((resolve) => {
      const sentMono = clock.monotonic()
      const answer = (outcome: MintOutcome) => clock.deliver(() => resolve(outcome))
      // An effect later than the quarantine is not reckoned with: then the request is lost instead.
      let tooLateAt = Number.POSITIVE_INFINITY
      const over = () => {
        request.overAt ??= world.time
      }
      signal.addEventListener('abort', () => {
        if (clock.monotonic() - sentMono < timeoutMs / 2 - 1) this.faults.push('a mint was cut short')
        tooLateAt = world.time + this.quarantineMs
        world.in(this.quarantineMs - 1, over)
        answer({ kind: 'unknown', error: { code: 'mint_timeout' } })
      })
      if (fate.kind === 'refuse') {
        over()
        return answer({ kind: 'refused', reason: 'unreachable', error: { code: 'mint_unreachable' } })
      }
      if (fate.kind === 'drop') return over()
      world.in(Math.min(fate.thereMs, timeoutMs + this.quarantineMs - 10), () => {
        if (request.overAt !== null || world.time >= tooLateAt) return
        over()
        const outcome = this.#process(today > QUOTA ? '429' : fate.kind, clock)
        if (outcome !== null) world.in(fate.backMs, () => answer(outcome))
      })
    })
  }

  #process(kind: Fate['kind'], clock: ProcessClock): MintOutcome | null {
    switch (kind) {
      case '401':
        return { kind: 'refused', reason: 'secret_rejected', error: { code: 'mint_secret_rejected' } }
      case '429':
        return { kind: 'refused', reason: 'quota_exhausted', error: { code: 'mint_quota_exhausted' } }
      case '500-before':
        return { kind: 'unknown', error: { code: 'mint_status', status: 500 } }
      default: {
        const { value, validTill } = this.#mint('token')
        if (kind === 'answer-lost') return null
        if (kind === '500-after') return { kind: 'unknown', error: { code: 'mint_status', status: 500 } }
        if (kind === 'garbage') return { kind: 'unknown', error: { code: 'mint_garbage', status: 200 } }
        const token = {
          value: new Secret(value),
          // As `Date` in the answer lets the minter correct it.
          validTill: validTill === null ? null : validTill + clock.offset,
          mintedAt: clock.now(),
        }
        return { kind: 'minted', token }
      }
    }
  }

  #mint(name: string): { value: string; validTill: number | null } {
    this.mints++
    const validTill = this.lifeMs === null ? null : this.world.now + this.lifeMs
    this.current = { value: `${name}-${this.mints}`, validTill }
    return { value: this.current.value, validTill }
  }
}
