import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Ingestion } from './business/ingestion.ts'
import { BodyError, readJson, sendJson } from './call.ts'
import { parseClient } from './client-input.ts'
import { InputError, parseFault, record } from './fault-input.ts'
import type { FaultPlan } from './fault-plan.ts'
import type { Fault } from './faults.ts'
import type { Gate } from './gate.ts'
import { fingerprint, type Issuer } from './issuer.ts'
import type { MintLog } from './mint-log.ts'

export interface ControlOptions {
  readonly issuer: Issuer
  readonly faults: FaultPlan
  readonly log: MintLog
  readonly gate: Gate
  readonly ingestion: Ingestion
  readonly now: () => number
  /** Life of the tokens of clients created without one, ms. */
  readonly lifeMs: number | null
  /** Whether the API is on the same port as this endpoint: shutting it for good would lock the caller out. */
  readonly sharesPort: (api: Fault['api']) => boolean
}

/** Everything of the control endpoint lies below it. */
export const CONTROL_PREFIX = '/_sandbox/'

interface Answer {
  readonly status: number
  readonly body: unknown
}

type Handler = (input: () => Promise<unknown>, url: URL) => Answer | Promise<Answer>

/** The control endpoint: what happened, and what shall go wrong next. Tells fingerprints, never a token or a secret. */
export class Control {
  readonly #options: ControlOptions
  readonly #handlers: Record<string, Handler>

  constructor(options: ControlOptions) {
    this.#options = options
    this.#handlers = {
      'GET state': () => ok(this.#state()),
      'GET log': (_input, url) => ok(this.#log(url.searchParams)),
      'GET faults': () => ok({ faults: options.faults.list() }),
      'POST faults': async (input) => this.#addFaults(await input()),
      'DELETE faults': () => this.#clearFaults(),
      'POST clients': async (input) => this.#putClient(await input()),
      'POST foreign-mint': async (input) => this.#foreignMint(await input()),
      'POST reset-counters': () => this.#resetCounters(),
    }
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    void this.#answer(req).then(
      ({ status, body }) => sendJson(res, status, body),
      (error: unknown) => sendJson(res, statusOf(error), { error: (error as Error).message }),
    )
  }

  async #answer(req: IncomingMessage): Promise<Answer> {
    const url = new URL(req.url ?? '/', 'http://sandbox')
    const name = url.pathname.slice(CONTROL_PREFIX.length)
    if (req.method === 'DELETE' && name.startsWith('clients/')) {
      return this.#deleteClient(decodeURIComponent(name.slice('clients/'.length)))
    }
    const handler = this.#handlers[`${req.method} ${name}`]
    if (handler === undefined) return { status: 404, body: { endpoints: this.#endpoints() } }
    return handler(() => readJson(req), url)
  }

  #endpoints(): string[] {
    const known = [...Object.keys(this.#handlers), 'DELETE clients/{name}']
    return known.map((endpoint) => endpoint.replace(' ', ` ${CONTROL_PREFIX}`))
  }

  #state(): unknown {
    const { issuer, faults, log, gate, ingestion, now } = this.#options
    return {
      now: new Date(now()).toISOString(),
      clients: issuer.clients(),
      business: gate.counters,
      storage: ingestion.storage,
      faults: faults.list(),
      log: { kept: log.events.length, dropped: log.dropped },
    }
  }

  #log(parameters: URLSearchParams): unknown {
    const client = parameters.get('client')
    const afterId = Number(parameters.get('after') ?? 0)
    const { events, dropped } = this.#options.log
    const chosen = events.filter(
      (event) => event.id > afterId && (client === null || event.client === client),
    )
    return { events: chosen, dropped }
  }

  #addFaults(input: unknown): Answer {
    const { faults, sharesPort } = this.#options
    const parsed = (Array.isArray(input) ? input : [input]).map(parseFault)
    for (const { api, kind, forMs } of parsed) {
      if (kind === 'refuse' && forMs === undefined && sharesPort(api)) {
        throw new InputError('forMs: needed here, as this endpoint is on the port that would be shut')
      }
    }
    return { status: 201, body: { ids: parsed.map((fault) => faults.add(fault)) } }
  }

  async #clearFaults(): Promise<Answer> {
    const cleared = this.#options.faults.list().length
    await this.#options.faults.clear()
    return ok({ cleared })
  }

  #putClient(input: unknown): Answer {
    const { issuer, lifeMs } = this.#options
    const { name, secret, ...rest } = parseClient(input)
    if (issuer.hasClient(name)) {
      if (secret !== undefined)
        throw new InputError('secret: cannot change; delete the client and create it anew')
      issuer.changeClient(name, rest)
      return ok({ changed: name })
    }
    if (secret === undefined) throw new InputError('secret: needed for a new client')
    issuer.createClient({ name, secret, lifeMs, allowedIps: null, ...rest })
    return { status: 201, body: { created: name } }
  }

  #deleteClient(name: string): Answer {
    if (!this.#options.issuer.hasClient(name)) throw new BodyError(404, `no client is named ${name}`)
    this.#options.issuer.deleteClient(name)
    return ok({ deleted: name })
  }

  #foreignMint(input: unknown): Answer {
    const { issuer, log, now } = this.#options
    const client = record(input)['client']
    if (typeof client !== 'string' || !issuer.hasClient(client)) throw new InputError('client: no such name')
    const token = issuer.foreignMint(client)
    log.foreign(client, token.generation, now())
    return ok({ client, generation: token.generation, fingerprint: fingerprint(token.value) })
  }

  #resetCounters(): Answer {
    const { log, gate, ingestion } = this.#options
    log.clear()
    gate.resetCounters()
    ingestion.resetCounters()
    return ok({ reset: true })
  }
}

function ok(body: unknown): Answer {
  return { status: 200, body }
}

function statusOf(error: unknown): number {
  if (error instanceof InputError) return 400
  return error instanceof BodyError ? error.status : 500
}
