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

/** Whether a failed call was failed by the upstream, by the token API or by a kill, and not by the sidecar. */
export function wasBoundToFail(
  { startedAt, latencyMs, failure }: Outcome,
  troubles: readonly Trouble[],
  mints: readonly MintEvent[],
): boolean {
  if (failure === null) return false
  const endedAt = startedAt + latencyMs
  const inTrouble = troubles.some(
    ({ from, until, explains }) => startedAt <= until && endedAt >= from && explains.includes(failure),
  )
  if (inTrouble) return true
  if (failure === 'status 401') return diedTwice(mints, startedAt - UNNOTICED_MS, endedAt)
  if (failure !== 'status 503 token_unavailable' || latencyMs < HOLD_MS - UNNOTICED_MS) return false
  return !mints.some((mint) => gaveToken(mint, startedAt, endedAt))
}

/**
 * A call is sent again once. Two tokens that died under it, not both by rotations of ours that went well, are more than that
 * can mend: a person who mints at the moment of a rotation, say.
 */
function diedTwice(mints: readonly MintEvent[], from: number, until: number): boolean {
  const deaths = mints.filter(({ outcome, processedAt }) => {
    return outcome === 'minted' && processedAt !== null && processedAt >= from && processedAt <= until
  })
  return deaths.length >= 2 && deaths.some(({ foreign, answeredAt }) => foreign || answeredAt === null)
}

/** The sidecar got a whole answer with a token from it. */
function gaveToken({ foreign, outcome, fault, answeredAt }: MintEvent, from: number, until: number): boolean {
  if (foreign || outcome !== 'minted' || fault !== null || answeredAt === null) return false
  return answeredAt >= from && answeredAt <= until
}
