import type { Timers } from './clock.ts'
import type { BusinessEnding, Fault, TokenEnding } from './faults.ts'

/** What one request to the token API meets. */
export interface TokenDisturbance {
  beforeMs: number
  afterMs: number
  skewMs: number
  foreignMint: boolean
  ending: TokenEnding | null
}

/** What one business call meets. */
export interface BusinessDisturbance {
  latencyMs: number
  checkAtEnd: boolean
  ending: BusinessEnding | null
}

/** Closes and reopens the listener of an API. */
export interface Doors {
  shut(api: Fault['api']): void
  /** Resolves when the listener accepts again, on the same port. */
  open(api: Fault['api']): Promise<void>
}

interface Rule<F> {
  readonly id: number
  readonly fault: F
  readonly until: number
  left: number
  readonly cancelTimer: () => void
}

/** A fault that is still to come, as `list` shows it. */
export interface PendingFault {
  readonly id: number
  readonly fault: Fault
  /** Requests still to be hit; null = no limit. */
  readonly left: number | null
}

/** The script of faults: which are under way, and what they make of the next request. */
export class FaultPlan {
  readonly #timers: Timers
  readonly #doors: Doors
  #rules: Rule<Fault>[] = []
  #added = 0
  /** So that a load test without faults pays one comparison for each call. */
  #businessRules = 0
  /** Done when every listener that should accept does. */
  #opening: Promise<unknown> = Promise.resolve()

  constructor(timers: Timers, doors: Doors) {
    this.#timers = timers
    this.#doors = doors
  }

  /** Begins a fault now; returns its number. */
  add(fault: Fault): number {
    this.#added += 1
    const id = this.#added
    const timed = fault.forMs
    this.#rules.push({
      id,
      fault,
      until: timed === undefined ? Number.POSITIVE_INFINITY : this.#timers.now() + timed,
      left: fault.count ?? Number.POSITIVE_INFINITY,
      // A shut door is the one fault whose end must act by itself: no request can come to notice it.
      cancelTimer:
        fault.kind === 'refuse' && timed !== undefined
          ? this.#timers.after(timed, () => this.#remove((rule) => rule.id === id))
          : () => {},
    })
    this.#recount()
    if (fault.kind === 'refuse') this.#doors.shut(fault.api)
    return id
  }

  list(): PendingFault[] {
    this.#dropEnded()
    return this.#rules.map(({ id, fault, left }) => ({
      id,
      fault,
      left: Number.isFinite(left) ? left : null,
    }))
  }

  /** Ends all faults; resolves when every listener accepts again. */
  async clear(): Promise<void> {
    this.#remove(() => true)
    await this.#opening
  }

  /** What a request to the token API meets that arrives now; uses up one of each fault it meets. */
  forToken(client: string | null): TokenDisturbance {
    const met: TokenDisturbance = { beforeMs: 0, afterMs: 0, skewMs: 0, foreignMint: false, ending: null }
    if (this.#rules.length === 0) return met
    this.#dropEnded()
    for (const rule of this.#rules) {
      const { fault } = rule
      if (fault.api !== 'token' || fault.kind === 'refuse') continue
      if (fault.client !== undefined && fault.client !== client) continue
      switch (fault.kind) {
        case 'slow':
          met.beforeMs += fault.ms
          break
        case 'slow-answer':
          met.afterMs += fault.ms
          break
        case 'skew':
          met.skewMs += fault.ms
          break
        case 'foreign-mint':
          met.foreignMint = true
          break
        default:
          if (met.ending !== null) continue
          met.ending = fault
      }
      rule.left -= 1
    }
    return met
  }

  /** What a business call meets that arrives now, or null; uses up one of each fault it meets. */
  forBusiness(path: string): BusinessDisturbance | null {
    if (this.#businessRules === 0) return null
    this.#dropEnded()
    const met: BusinessDisturbance = { latencyMs: 0, checkAtEnd: false, ending: null }
    for (const rule of this.#rules) {
      const { fault } = rule
      if (fault.api !== 'business' || fault.kind === 'refuse') continue
      if (fault.path !== undefined && !path.startsWith(fault.path)) continue
      switch (fault.kind) {
        case 'latency':
          met.latencyMs += fault.ms
          break
        case 'check-at-end':
          met.checkAtEnd = true
          break
        default:
          if (met.ending !== null) continue
          met.ending = fault
      }
      rule.left -= 1
    }
    return met
  }

  #dropEnded(): void {
    const now = this.#timers.now()
    // A shut door is opened by its timer or by clear(), never in passing.
    this.#rules = this.#rules.filter(
      (rule) => rule.fault.kind === 'refuse' || (rule.left > 0 && now < rule.until),
    )
    this.#recount()
  }

  #remove(chosen: (rule: Rule<Fault>) => boolean): void {
    const removed = this.#rules.filter(chosen)
    this.#rules = this.#rules.filter((rule) => !removed.includes(rule))
    this.#recount()
    for (const rule of removed) rule.cancelTimer()
    const shut = new Set(removed.filter(isRefusal).map((rule) => rule.fault.api))
    for (const rule of this.#rules) if (isRefusal(rule)) shut.delete(rule.fault.api)
    this.#opening = Promise.all([this.#opening, ...[...shut].map((api) => this.#doors.open(api))])
  }

  #recount(): void {
    this.#businessRules = this.#rules.filter(({ fault }) => fault.api === 'business').length
  }
}

function isRefusal(rule: Rule<Fault>): boolean {
  return rule.fault.kind === 'refuse'
}
