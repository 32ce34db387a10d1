import type { Instant, TokenEvent, TokenState } from './state.ts'
import type { RecentMint } from './status.ts'

/** A day of rotations at the usual life of an hour would be 24; people look at the last few. */
const KEPT = 12

/**
 * The last attempts to get a token, for people. It watches the state machine's steps from outside: what is shown is no part
 * of what is decided.
 */
export class MintHistory {
  #recent: readonly RecentMint[] = []

  /** Newest first. The list is replaced, never changed: a snapshot may keep it. */
  get recent(): readonly RecentMint[] {
    return this.#recent
  }

  /** To be called after each step. */
  stepped(before: TokenState, event: TokenEvent, after: TokenState, at: Instant): void {
    if (event.kind === 'mint_ended') {
      if (before.phase.kind === 'minting') this.#add(ended(before.phase, event.outcome, after, at))
    } else if (after.token !== null && after.token.value !== before.token?.value) {
      const { generation, value } = after.token
      const taken = { at: at.now, outcome: 'adopted', reason: null, durationMs: null } as const
      this.#add({ ...taken, generation, fingerprint: value.fingerprint(), error: null })
    }
  }

  #add(mint: RecentMint): void {
    this.#recent = [mint, ...this.#recent.slice(0, KEPT - 1)]
  }
}

function ended(
  { reason, sentAt }: Extract<TokenState['phase'], { kind: 'minting' }>,
  outcome: Extract<TokenEvent, { kind: 'mint_ended' }>['outcome'],
  { token }: TokenState,
  at: Instant,
): RecentMint {
  const mint = { at: at.now, reason, durationMs: at.mono - sentAt }
  if (outcome.kind === 'minted') {
    const fingerprint = token?.value.fingerprint() ?? null
    return { ...mint, outcome: 'minted', generation: token?.generation ?? null, fingerprint, error: null }
  }
  const { code, errorId = null } = outcome.error
  const failed = { ...mint, generation: null, fingerprint: null, error: { code, errorId } }
  return { ...failed, outcome: outcome.kind === 'unknown' ? 'unknown' : REFUSALS[outcome.reason] }
}

/** As `mints_total` counts them. */
const REFUSALS = { secret_rejected: 'rejected', quota_exhausted: 'quota', unreachable: 'error' } as const
