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
  if (failure === 'status 401') return foreignMints(mints, startedAt - UNNOTICED_MS, endedAt) >= 2
  if (failure !== 'status 503 token_unavailable' || latencyMs < HOLD_MS - UNNOTICED_MS) return false
  return !mints.some((mint) => gaveToken(mint, startedAt, endedAt))
}

/** A call is sent again once. Tokens revoked twice while it is under way are more than that can mend. */
function foreignMints(mints: readonly MintEvent[], from: number, until: number): number {
  return mints.filter((mint) => mint.foreign && mint.startedAt >= from && mint.startedAt <= until).length
}

/** The sidecar got a whole answer with a token from it. */
function gaveToken({ foreign, outcome, fault, answeredAt }: MintEvent, from: number, until: number): boolean {
  if (foreign || outcome !== 'minted' || fault !== null || answeredAt === null) return false
  return answeredAt >= from && answeredAt <= until
}
