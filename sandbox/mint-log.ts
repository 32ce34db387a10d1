import type { MintResult } from './issuer.ts'

/** One request to the token API, or one foreign mint. Instants are epoch ms on the sandbox's clock. */
export interface MintEvent {
  /** Counts from 1. */
  readonly id: number
  /** Null when the secret belongs to nobody. */
  readonly client: string | null
  /** Made by `foreignMint`, not by a request. */
  readonly foreign: boolean
  /** Counts the TCP connections of the token API from 1; 0 for a foreign mint. */
  readonly connection: number
  readonly remotePort: number | null
  /** Requests of this client under way when this one began, itself included. One single-flight fleet never exceeds 1. */
  readonly inFlight: number
  readonly startedAt: number
  /** When the request took effect or was refused; null while it waits or when it never was. */
  processedAt: number | null
  /** When the answer was handed over, complete; null when the client never got one. */
  answeredAt: number | null
  /** When the exchange was over: answered, cut by us, or left by the client. */
  endedAt: number | null
  /** `faulty`: a fault answered in place of the rules; `wrong_method`: not a GET. Null until processed. */
  outcome: MintResult['outcome'] | 'faulty' | 'wrong_method' | null
  /** Of the token minted. */
  generation: number | null
  /** The fault that ended the exchange, by its kind. */
  fault: string | null
}

type Beginning = Pick<MintEvent, 'client' | 'connection' | 'remotePort' | 'startedAt'>

const MOST_EVENTS = 100_000

/** What happened at the token API, in order of arrival: the evidence for a test of single flight or of a budget. */
export class MintLog {
  #events: MintEvent[] = []
  #begun = 0
  #dropped = 0
  readonly #underWay = new Map<string | null, number>()

  /** The latest events, oldest first; at most 100,000 are kept. */
  get events(): readonly MintEvent[] {
    return this.#events
  }

  /** Events no longer kept. */
  get dropped(): number {
    return this.#dropped
  }

  begin(beginning: Beginning): MintEvent {
    const inFlight = (this.#underWay.get(beginning.client) ?? 0) + 1
    this.#underWay.set(beginning.client, inFlight)
    return this.#keep({ ...beginning, foreign: false, inFlight })
  }

  /** The exchange is over; a second call changes nothing. */
  end(event: MintEvent, at: number): void {
    if (event.endedAt !== null) return
    event.endedAt = at
    const inFlight = (this.#underWay.get(event.client) ?? 1) - 1
    if (inFlight === 0) this.#underWay.delete(event.client)
    else this.#underWay.set(event.client, inFlight)
  }

  foreign(client: string, generation: number, at: number): void {
    const event = this.#keep({
      client,
      connection: 0,
      remotePort: null,
      startedAt: at,
      foreign: true,
      inFlight: 0,
    })
    Object.assign(event, { processedAt: at, endedAt: at, outcome: 'minted', generation })
  }

  /** Forgets all events; requests under way still count as such. */
  clear(): void {
    this.#events = []
    this.#dropped = 0
  }

  #keep(start: Beginning & Pick<MintEvent, 'foreign' | 'inFlight'>): MintEvent {
    this.#begun += 1
    const event: MintEvent = {
      id: this.#begun,
      ...start,
      processedAt: null,
      answeredAt: null,
      endedAt: null,
      outcome: null,
      generation: null,
      fault: null,
    }
    if (this.#events.length >= MOST_EVENTS) {
      // A tenth at a time: removing one by one would move the whole array for each request.
      this.#dropped += this.#events.splice(0, MOST_EVENTS / 10).length
    }
    this.#events.push(event)
    return event
  }
}
