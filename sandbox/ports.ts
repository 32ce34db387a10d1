import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Doors } from './fault-plan.ts'
import { Listener, type ListenerOptions } from './listener.ts'

type Api = 'control' | 'token' | 'business'

/** One API and the requests that are its. */
export interface Service {
  readonly api: Api
  /** A port of its own; undefined = the one the others share. */
  readonly port: number | undefined
  /** Whether the request target is for this API. Asked in the order of adding, on each request. */
  readonly takes: (url: string) => boolean
  readonly handle: (req: IncomingMessage, res: ServerResponse, expectsContinue: boolean) => void
}

/** Which listener serves which API, and which of them are shut. */
export class Ports implements Doors {
  readonly #options: Omit<ListenerOptions, 'handle'>
  readonly #shared: Service[] = []
  readonly #listeners = new Map<Api, Listener>()
  readonly #shut = new Set<Api>()
  #sharedListener: Listener | null = null

  constructor(options: Omit<ListenerOptions, 'handle'>) {
    this.#options = options
  }

  /** To be called before `listen`. */
  add(service: Service): void {
    if (service.port !== undefined) {
      this.#listeners.set(service.api, this.#listener(service.port, [service]))
      return
    }
    this.#sharedListener ??= this.#listener(this.#options.port, this.#shared)
    this.#shared.push(service)
    this.#listeners.set(service.api, this.#sharedListener)
  }

  /** Opens every port, or none: rejects with the system error of the first that cannot be bound. */
  async listen(): Promise<void> {
    const opened = await Promise.allSettled(this.#distinct().map((listener) => listener.open()))
    const failure = opened.find((each) => each.status === 'rejected')
    if (failure === undefined) return
    await this.close()
    throw failure.reason
  }

  /** `http://127.0.0.1:4010` */
  origin(api: Api): string {
    return this.#of(api).origin
  }

  share(one: Api, other: Api): boolean {
    return this.#of(one) === this.#of(other)
  }

  shut(api: Api): void {
    this.#shut.add(api)
    this.#of(api).shut()
  }

  /** A port with two APIs opens when neither is shut any more. */
  async open(api: Api): Promise<void> {
    this.#shut.delete(api)
    for (const other of this.#shut) if (this.share(api, other)) return
    await this.#of(api).reopen()
  }

  /** Ends every listener and connection. */
  async close(): Promise<void> {
    await Promise.all(this.#distinct().map((listener) => listener.close()))
  }

  #listener(port: number, services: readonly Service[]): Listener {
    const listener: Listener = new Listener({
      ...this.#options,
      port,
      handle(req, res, expectsContinue) {
        const url = req.url ?? '/'
        const service = services.find(({ takes }) => takes(url))
        if (service?.api === 'control') listener.spare(req.socket)
        if (service !== undefined) return service.handle(req, res, expectsContinue)
        req.resume()
        res.writeHead(404, { 'content-length': 0 }).end()
      },
    })
    return listener
  }

  #of(api: Api): Listener {
    const listener = this.#listeners.get(api)
    if (listener === undefined) throw new Error(`nothing serves the ${api} API`)
    return listener
  }

  #distinct(): Listener[] {
    return [...new Set(this.#listeners.values())]
  }
}
