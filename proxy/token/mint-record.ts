import { MintHistory } from './mint-history.ts'
import { type CredentialStatus, MINT_DURATION_BOUNDS_S, type MintTally } from './status.ts'

/** What is counted about getting tokens since the process started. */
export class MintRecord {
  readonly #outcomes: MintTally = { minted: 0, adopted: 0, rejected: 0, quota: 0, error: 0, unknown: 0 }
  readonly #durationCounts: number[] = new Array(MINT_DURATION_BOUNDS_S.length + 1).fill(0)
  #durationSumS = 0
  #requests = 0
  #failed = 0
  readonly history = new MintHistory()
  foreign = 0
  storeErrors = 0

  tally(outcome: keyof MintTally): void {
    this.#outcomes[outcome]++
  }

  /** One request to the token API ended after `seconds`. */
  mintEnded(minted: boolean, seconds: number): void {
    this.#requests++
    if (!minted) this.#failed++
    const found = MINT_DURATION_BOUNDS_S.findIndex((bound) => seconds <= bound)
    const bucket = found < 0 ? MINT_DURATION_BOUNDS_S.length : found
    this.#durationCounts[bucket] = (this.#durationCounts[bucket] ?? 0) + 1
    this.#durationSumS += seconds
  }

  foreignMint(): void {
    this.foreign++
  }

  storeFailed(): void {
    this.storeErrors++
  }

  snapshot(): Omit<CredentialStatus['mints'], 'today' | 'budget'> {
    return {
      total: this.#requests,
      failed: this.#failed,
      outcomes: { ...this.#outcomes },
      durationCounts: [...this.#durationCounts],
      durationSumS: this.#durationSumS,
      recent: this.history.recent,
    }
  }
}
