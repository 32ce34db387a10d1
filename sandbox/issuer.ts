import { createHash } from 'node:crypto'
import { Quota } from './quota.ts'

/** An API client as a person creates it in the workspace's settings. */
export interface ClientSettings {
  readonly name: string
  readonly secret: string
  /** Life of the tokens minted from now on, ms; null = "Never expires". */
  readonly lifeMs: number | null
  /** Addresses that may mint; null = any. */
  readonly allowedIps: readonly string[] | null
}

export interface IssuerOptions {
  /** Epoch ms. */
  readonly now: () => number
  readonly random: (sizeBytes: number) => Buffer
  /** Requests for each secret and UTC day. */
  readonly quotaPerDay: number
  /** Whether a request that got no token uses the quota too. Not documented, so it can be chosen. */
  readonly failuresCount: boolean
}

export type Refusal =
  | 'secret_missing'
  | 'secret_unknown'
  | 'client_deleted'
  | 'ip_refused'
  | 'quota_exhausted'

export type MintResult =
  | { readonly outcome: 'minted'; readonly token: IssuedToken }
  | { readonly outcome: Refusal }

export interface IssuedToken {
  readonly value: string
  readonly client: string
  /** Counts the mints of one client, foreign ones included. */
  readonly generation: number
  readonly mintedAt: number
  /** Epoch ms at which it stops being accepted; null = never. */
  readonly expiresAt: number | null
  revoked: boolean
}

export type TokenState = 'live' | 'revoked' | 'expired' | 'unknown'

interface Client {
  settings: ClientSettings
  deleted: boolean
  generation: number
  current: IssuedToken | null
  readonly quota: Quota
}

/** What may be shown of a client: never the secret, never the token. */
export interface ClientState {
  readonly name: string
  readonly lifeMs: number | null
  readonly allowedIps: readonly string[] | null
  readonly generation: number
  readonly requestsToday: number
  readonly quotaPerDay: number
  /** First 8 hex of SHA-256 of the token that is accepted now; null when none is. */
  readonly liveFingerprint: string | null
  readonly liveUntil: number | null
}

const MOST_TOKENS = 100_000

/**
 * The rules of the token API, without a network: who may mint, what a mint revokes, how often, and which token is
 * accepted. Every effect happens during the call, which is the instant the real service would process the request.
 */
export class Issuer {
  readonly #options: IssuerOptions
  readonly #byName = new Map<string, Client>()
  /** Keeps deleted clients, whose secret is known and refused. */
  readonly #bySecret = new Map<string, Client>()
  readonly #tokens = new Map<string, IssuedToken>()

  constructor(options: IssuerOptions) {
    this.#options = options
  }

  /** Throws when a living client has that name or secret. */
  createClient(settings: ClientSettings): void {
    const sameSecret = this.#bySecret.get(settings.secret)
    if (settings.secret === '') throw new Error('a client needs a secret')
    if (this.#byName.has(settings.name)) throw new Error(`a client is already named ${settings.name}`)
    if (sameSecret?.deleted === false) throw new Error('another client has that secret')
    const quota = new Quota(this.#options.quotaPerDay)
    const client: Client = { settings, deleted: false, generation: 0, current: null, quota }
    this.#byName.set(settings.name, client)
    this.#bySecret.set(settings.secret, client)
  }

  /** Changes what later mints see; the token that lives keeps its life. Throws for an unknown name. */
  changeClient(name: string, change: Partial<Pick<ClientSettings, 'lifeMs' | 'allowedIps'>>): void {
    const client = this.#named(name)
    client.settings = { ...client.settings, ...change }
  }

  /** Ends the client for good, and its token with it. Throws for an unknown name. */
  deleteClient(name: string): void {
    const client = this.#named(name)
    client.deleted = true
    if (client.current !== null) client.current.revoked = true
    client.current = null
    this.#byName.delete(name)
  }

  hasClient(name: string): boolean {
    return this.#byName.has(name)
  }

  /** The client's name, also after its deletion; null for a secret nobody ever had. */
  nameOf(secret: string | undefined): string | null {
    return this.#bySecret.get(secret ?? '')?.settings.name ?? null
  }

  /** Processes one request to the token API. */
  mint(secret: string | undefined, callerIp: string): MintResult {
    if (secret === undefined || secret === '') return { outcome: 'secret_missing' }
    const client = this.#bySecret.get(secret)
    if (client === undefined) return { outcome: 'secret_unknown' }
    if (client.deleted) return { outcome: 'client_deleted' }

    const now = this.#options.now()
    const exhausted = client.quota.exhausted(now)
    if (this.#options.failuresCount) client.quota.use(now)
    const { allowedIps } = client.settings
    if (allowedIps !== null && !allowedIps.includes(callerIp)) return { outcome: 'ip_refused' }
    if (exhausted) return { outcome: 'quota_exhausted' }
    if (!this.#options.failuresCount) client.quota.use(now)
    return { outcome: 'minted', token: this.#issue(client, now) }
  }

  /** A request that failed for a reason outside these rules, such as a 500: it may use the quota all the same. */
  fail(secret: string | undefined): void {
    const client = this.#bySecret.get(secret ?? '')
    if (client !== undefined && this.#options.failuresCount) client.quota.use(this.#options.now())
  }

  /**
   * Somebody else mints with this client: a person at the button in the settings, another deployment. Uses no quota,
   * as nothing says that the button does. Throws for an unknown name.
   */
  foreignMint(name: string): IssuedToken {
    return this.#issue(this.#named(name), this.#options.now())
  }

  /** Whether a business API would accept the token at this instant, and if not, why. */
  stateOf(token: string): TokenState {
    const issued = this.#tokens.get(token)
    if (issued === undefined) return 'unknown'
    if (issued.revoked) return 'revoked'
    if (issued.expiresAt !== null && this.#options.now() >= issued.expiresAt) return 'expired'
    return 'live'
  }

  /** The clients that were not deleted, in the order of their creation. */
  clients(): ClientState[] {
    const now = this.#options.now()
    return [...this.#byName.values()].map(({ settings, generation, current, quota }) => {
      const live = current !== null && this.stateOf(current.value) === 'live' ? current : null
      return {
        name: settings.name,
        lifeMs: settings.lifeMs,
        allowedIps: settings.allowedIps,
        generation,
        requestsToday: quota.used(now),
        quotaPerDay: quota.perDay,
        liveFingerprint: live === null ? null : fingerprint(live.value),
        liveUntil: live?.expiresAt ?? null,
      }
    })
  }

  #issue(client: Client, now: number): IssuedToken {
    const { name, lifeMs } = client.settings
    // A token that had expired by itself stays "expired": revocation did not end it.
    if (client.current !== null && this.stateOf(client.current.value) === 'live')
      client.current.revoked = true
    client.generation += 1
    const token: IssuedToken = {
      value: tokenValue(this.#options.random),
      client: name,
      generation: client.generation,
      mintedAt: now,
      expiresAt: lifeMs === null ? null : now + lifeMs,
      revoked: false,
    }
    client.current = token
    this.#tokens.set(token.value, token)
    this.#forgetOldest()
    return token
  }

  /** Keeps memory bounded in a long load test; a token forgotten this way is refused as unknown. */
  #forgetOldest(): void {
    if (this.#tokens.size <= MOST_TOKENS) return
    for (const [value, token] of this.#tokens) {
      if (this.#byName.get(token.client)?.current === token) continue
      this.#tokens.delete(value)
      return
    }
  }

  #named(name: string): Client {
    const client = this.#byName.get(name)
    if (client === undefined) throw new Error(`no client is named ${name}`)
    return client
  }
}

/** First 8 hex digits of the SHA-256 of a token: names it without giving it away. */
export function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 8)
}

/** The shape seen in public samples, `1.<uuid>_<64 hex>`. Clients must take it as opaque. */
function tokenValue(random: IssuerOptions['random']): string {
  const id = random(16).toString('hex')
  const groups = [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)]
  return `1.${groups.join('-')}_${random(32).toString('hex')}`
}
