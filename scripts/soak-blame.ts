import type { MintEvent } from '../sandbox/mint-log.ts'
import type { Outcome } from '../test/support/load.ts'

/** When the upstream, or the sidecar's process, was itself out of order; epoch ms. */
export interface Trouble {
  readonly from: number
  readonly until: number
  /** The failures it accounts for. */
  readonly explains: readonly string[]
}

/** HOLD_TIMEOUT, which a soak leaves at its default. */
const HOLD_MS = 10_000
/** How long before a call a token may have been revoked and yet not been noticed. */
const UNNOTICED_MS = 500

/** Why a failed call was bound to fail, whatever the sidecar did. */
export type Cause = 'the upstream’s own' | 'no token was to be had' | 'a third token died under the call'

/** Whose failure a failed call was; null: the sidecar's. */
export function causeOf(
  { startedAt, latencyMs, failure }: Outcome,
  troubles: readonly Trouble[],
  mints: readonly MintEvent[],
): Cause | null {
  if (failure === null) return null
  const endedAt = startedAt + latencyMs
  const inTrouble = troubles.some(
    ({ from, until, explains }) => startedAt <= until && endedAt >= from && explains.includes(failure),
  )
  if (inTrouble) return 'the upstream’s own'
  if (failure === 'status 401') {
    return deaths(mints, startedAt - UNNOTICED_MS, endedAt) > 2 ? 'a third token died under the call' : null
  }
  if (failure !== 'status 503 token_unavailable' || latencyMs < HOLD_MS - UNNOTICED_MS) return null
  return mints.some((mint) => gaveToken(mint, startedAt, endedAt)) ? null : 'no token was to be had'
}

/** A call is sent three times at most, so two tokens may die under it, whoever revoked them. */
function deaths(mints: readonly MintEvent[], from: number, until: number): number {
  return mints.filter(({ outcome, processedAt }) => {
    return outcome === 'minted' && processedAt !== null && processedAt >= from && processedAt <= until
  }).length
}

/** The sidecar got a whole answer with a token from it. */
function gaveToken({ foreign, outcome, fault, answeredAt }: MintEvent, from: number, until: number): boolean {
  if (foreign || outcome !== 'minted' || fault !== null || answeredAt === null) return false
  return answeredAt >= from && answeredAt <= until
}
