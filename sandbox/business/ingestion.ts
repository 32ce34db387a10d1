import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { BodyError, type Call, query, type Route, readJson, sendJson } from '../call.ts'
import { RecentMap } from './memory.ts'

export interface IngestionOptions {
  /** Epoch ms. */
  readonly now: () => number
  readonly random: (sizeBytes: number) => Buffer
  /** Origin at which the storage answers. Pre-signed URLs lead there directly, past any proxy. */
  readonly storageOrigin: () => string
}

export interface StorageCounters {
  uploads: number
  /** Uploads refused because they carried a token or a secret: those must never reach the storage. */
  refusedWithToken: number
}

interface Upload {
  readonly signature: string
  readonly expiresAt: number
  /** SHA-256 in hex of what was uploaded; null before. */
  digest: string | null
}

interface Activity {
  readonly id: string
  readonly fileName: string
  polls: number
}

const URL_LIFE_MS = 10 * 60_000
const MOST_KEPT = 10_000
const TOKEN_BEARERS = [
  'x-cleartax-auth-token',
  'x-clear-auth-token',
  'authorization',
  'x-clear-client-secret',
]
const STATUSES = ['ACTIVITY_CREATED', 'ACTIVITY_QUEUED', 'ACTIVITY_COMPLETED']

/** File ingestion in four steps: pre-signed URL, upload to the storage, trigger, status until it is done. */
export class Ingestion {
  readonly #options: IngestionOptions
  readonly #uploads = new RecentMap<Upload>(MOST_KEPT)
  readonly #activities = new RecentMap<Activity>(MOST_KEPT)
  storage: StorageCounters = { uploads: 0, refusedWithToken: 0 }

  constructor(options: IngestionOptions) {
    this.#options = options
  }

  /** The steps that carry the token. */
  get routes(): Route[] {
    return ['sales', 'purchase'].flatMap((kind) => [
      {
        path: `/integration/v1/generatePreSign/${kind}`,
        methods: ['GET'],
        handle: (call) => this.#preSign(call, kind),
      },
      {
        path: `/integration/v1/ingest/file/${kind}`,
        methods: ['POST'],
        handle: (call) => this.#trigger(call),
      },
      {
        path: `/integration/v1/ingest/file/${kind}/status/*`,
        methods: ['GET'],
        handle: (call) => this.#status(call),
      },
    ])
  }

  /** The storage, which takes no token and refuses whoever shows one. */
  get openRoutes(): Route[] {
    return [{ path: '/storage/*', methods: ['PUT'], handle: (call) => this.#store(call) }]
  }

  resetCounters(): void {
    this.storage = { uploads: 0, refusedWithToken: 0 }
  }

  #preSign(call: Call, kind: string): void {
    const fileName = query(call).get('fileName')
    if (fileName === null || fileName === '') {
      return void sendJson(call.res, 400, failed('FILE_NAME_MISSING', 'fileName is missing'))
    }
    const id = this.#options.random(8).toString('hex')
    const signature = this.#options.random(16).toString('hex')
    this.#uploads.set(id, { signature, expiresAt: this.#options.now() + URL_LIFE_MS, digest: null })
    const url = new URL(`/storage/${kind}/${id}`, this.#options.storageOrigin())
    url.searchParams.set('X-Amz-Expires', String(URL_LIFE_MS / 1000))
    url.searchParams.set('X-Amz-Signature', signature)
    sendJson(call.res, 200, {
      status: 'CREATED',
      preSignedS3Url: url.href,
      errorCode: null,
      errorMessage: null,
    })
  }

  #store(call: Call): void {
    const { req, res } = call
    req.resume()
    if (carriesToken(req.headers)) {
      this.storage.refusedWithToken += 1
      return void sendXml(res, 400, 'InvalidArgument')
    }
    const upload = this.#uploads.get(lastSegment(call.path))
    if (upload?.signature !== query(call).get('X-Amz-Signature') || this.#options.now() >= upload.expiresAt) {
      return void sendXml(res, 403, 'AccessDenied')
    }
    const hash = createHash('sha256')
    req.on('data', (chunk: Buffer) => hash.update(chunk))
    req.once('end', () => {
      upload.digest = hash.digest('hex')
      this.storage.uploads += 1
      res.writeHead(200, { 'content-length': 0, etag: `"${upload.digest}"` }).end()
    })
  }

  async #trigger(call: Call): Promise<void> {
    const { s3FileUrl, userFileName } = fileInfo(await readJson(call.body))
    const upload = URL.canParse(s3FileUrl)
      ? this.#uploads.get(lastSegment(new URL(s3FileUrl).pathname))
      : undefined
    if (upload?.digest == null) {
      return sendJson(call.res, 400, failed('FILE_NOT_FOUND', 's3FileUrl leads to no uploaded file'))
    }
    const activity = { id: this.#options.random(12).toString('hex'), fileName: userFileName, polls: 0 }
    this.#activities.set(activity.id, activity)
    sendJson(call.res, 201, { activityId: activity.id, externalId: null, status: STATUSES[0] })
  }

  #status(call: Call): void {
    const activity = this.#activities.get(lastSegment(call.path))
    if (activity === undefined)
      return void sendJson(call.res, 404, failed('ACTIVITY_NOT_FOUND', 'no such activity'))
    const step = Math.min(activity.polls, STATUSES.length - 1)
    activity.polls += 1
    const done = step === STATUSES.length - 1
    sendJson(call.res, 200, {
      externalId: null,
      activityId: activity.id,
      status: STATUSES[step],
      processingStats: done
        ? [{ gstin: '29AAFCD5862R000', totalDocumentCount: 1, validRows: 1, invalidRows: 0 }]
        : null,
      fileError: null,
    })
  }
}

function fileInfo(body: unknown): { s3FileUrl: string; userFileName: string } {
  const info = (body as { fileInfo?: { s3FileUrl?: unknown; userFileName?: unknown } } | null)?.fileInfo
  if (typeof info?.s3FileUrl !== 'string') throw new BodyError(400, 'fileInfo.s3FileUrl is missing')
  return { s3FileUrl: info.s3FileUrl, userFileName: String(info.userFileName ?? '') }
}

function carriesToken(headers: IncomingHttpHeaders): boolean {
  return TOKEN_BEARERS.some((name) => headers[name] !== undefined)
}

function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function failed(errorCode: string, errorMessage: string) {
  return { status: 'FAILED', errorCode, errorMessage, preSignedS3Url: null }
}

/** The storage is another company's: its errors are XML. */
function sendXml(res: Call['res'], status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code></Error>`
  res.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length }).end(body)
}
