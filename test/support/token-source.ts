import { Secret } from '../../proxy/lib/secret.ts'
import type { HeldToken, TokenSource, Waiting } from '../../proxy/token/source.ts'

/** A token as calls carry it; `value` is what the upstream will see. */
export function heldToken(value: string, generation = 1): HeldToken {
  return {
    value: new Secret(value),
    validTill: null,
    mintedAt: 0,
    generation,
    acceptedSentAt: -1,
    inFlight: 0,
    unreplayableInFlight: 0,
  }
}

/** What a test decides about the tokens a forwarder gets; what is left out keeps its default. */
export interface TokenScript {
  peek?: (replayable: boolean) => HeldToken | null
  current?: (waiting: Waiting) => Promise<HeldToken>
  replace?: (rejected: HeldToken, sentAt: number, waiting: Waiting) => Promise<HeldToken | null>
}

/**
 * A token source that does what its script says and remembers what it was asked. By default it holds `token` and never replaces
 * it; once a replacement was given it holds that one, as a manager does: a call whose connection took long asks again.
 */
export class ScriptedTokens implements TokenSource {
  token: HeldToken
  script: TokenScript
  readonly peeks: boolean[] = []
  readonly waits: Waiting[] = []
  readonly rejections: { rejected: HeldToken; sentAt: number; waiting: Waiting }[] = []
  readonly proofs: HeldToken[] = []

  constructor(token: HeldToken, script: TokenScript = {}) {
    this.token = token
    this.script = script
  }

  peek(replayable: boolean): HeldToken | null {
    this.peeks.push(replayable)
    return this.script.peek ? this.script.peek(replayable) : this.token
  }

  async current(waiting: Waiting): Promise<HeldToken> {
    this.waits.push(waiting)
    return this.script.current ? await this.script.current(waiting) : this.token
  }

  async replace(rejected: HeldToken, sentAt: number, waiting: Waiting): Promise<HeldToken | null> {
    this.rejections.push({ rejected, sentAt, waiting })
    const replacement = this.script.replace ? await this.script.replace(rejected, sentAt, waiting) : null
    if (replacement !== null) this.token = replacement
    return replacement
  }

  replayAccepted(replaced: HeldToken): void {
    this.proofs.push(replaced)
  }
}
