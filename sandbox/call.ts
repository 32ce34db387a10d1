import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

/** One business call whose token was accepted. */
export interface Call {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Without the query, and without the region's base path. */
  readonly path: string
  /** With its question mark, or empty. */
  readonly search: string
  readonly token: string
  /** The request body: the request itself, or what was kept of it when the token was judged at its end. */
  readonly body: Readable
}

/** One business API. A path that ends in `/*` takes everything below it. */
export interface Route {
  readonly path: string
  /** Null = any. */
  readonly methods: readonly string[] | null
  /** May throw `BodyError`; anything else it throws is a bug of the sandbox. */
  readonly handle: (call: Call) => void | Promise<void>
}

/** A request body that cannot be used; answered with its status. */
export class BodyError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const MOST_JSON_BYTES = 8 * 1024 * 1024

export function sendJson(res: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length })
  res.end(body)
}

export function query(call: Call): URLSearchParams {
  return new URLSearchParams(call.search)
}

/** A whole number from the query or the path, or `otherwise` when it is missing or outside 0 to `most`. */
export function numberFrom(text: string | null, otherwise: number, most: number): number {
  const value = text === null || text === '' ? Number.NaN : Number(text)
  return Number.isInteger(value) && value >= 0 && value <= most ? value : otherwise
}

/** Reads the whole body. Throws `BodyError` 413 above `limitBytes`. */
export async function readBody(body: Readable, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > limitBytes) throw new BodyError(413, 'the body is too large for the sandbox')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Reads the body as JSON. Throws `BodyError` 400 or 413. */
export async function readJson(body: Readable): Promise<unknown> {
  const bytes = await readBody(body, MOST_JSON_BYTES)
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw Object.assign(new BodyError(400, 'the body is not JSON'), { cause })
  }
}
