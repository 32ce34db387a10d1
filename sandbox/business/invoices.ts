import { createHash } from 'node:crypto'
import { BodyError, type Call, numberFrom, query, type Route, readJson, sendJson } from '../call.ts'
import { RecentMap } from './memory.ts'

const MOST_DOCUMENTS = 10
const MOST_KEPT = 100_000
const PDF_DEFAULT_BYTES = 32 * 1024
const PDF_MOST_BYTES = 64 * 1024 * 1024

/** A document's outcome at the government's system, which speaks through the business API with status 200. */
type Verdict = { readonly irn: string } | { readonly code: string; readonly message: string }

/** E-invoices: generate in India and in Saudi Arabia, download as PDF. */
export class Invoices {
  /** Documents generated, by who and number: sending one twice shows as the government's code 2150. */
  readonly #generated = new RecentMap<string>(MOST_KEPT)

  get routes(): Route[] {
    return [
      { path: '/einv/v2/eInvoice/generate', methods: ['PUT'], handle: (call) => this.#generate(call) },
      { path: '/einv/v2/eInvoice/download', methods: ['GET'], handle: download },
      { path: '/v2/einvoices/generate', methods: ['POST'], handle: generateKsa },
    ]
  }

  async #generate(call: Call): Promise<void> {
    const seller = headerOf(call, 'gstin')
    const documents = await readJson(call.body)
    if (!Array.isArray(documents) || documents.length === 0 || documents.length > MOST_DOCUMENTS) {
      throw new BodyError(400, `the body should be an array of 1 to ${MOST_DOCUMENTS} documents`)
    }
    const dryRun = query(call).get('dryRun') === 'true'
    sendJson(
      call.res,
      200,
      documents.map((document) => answerDocument(this.#judge(seller, numberOf(document), dryRun))),
    )
  }

  #judge(seller: string, number: string, dryRun: boolean): Verdict {
    // A government token is not the API's own: a client that acts on this text burns its quota for nothing.
    if (number.startsWith('GOVT-1005')) return { code: '1005', message: 'Invalid Token' }
    const key = `${seller} ${number}`
    if (this.#generated.get(key) !== undefined) return { code: '2150', message: 'Duplicate IRN' }
    const irn = createHash('sha256').update(key).digest('hex')
    if (!dryRun) this.#generated.set(key, irn)
    return { irn }
  }
}

/** Saudi Arabia: one document a call; its answer is not public beyond the fields named here. */
async function generateKsa(call: Call): Promise<void> {
  headerOf(call, 'vat')
  const document = JSON.stringify(await readJson(call.body))
  sendJson(call.res, 200, {
    Status: 'GENERATED',
    InvoiceHash: createHash('sha256').update(document).digest('base64'),
  })
}

/** A PDF of `?size=` bytes: a head, filler, and the end marker. */
function download(call: Call): void {
  const sizeBytes = Math.max(32, numberFrom(query(call).get('size'), PDF_DEFAULT_BYTES, PDF_MOST_BYTES))
  const pdf = Buffer.alloc(sizeBytes, 0xe2)
  pdf.write('%PDF-1.4\n', 0)
  pdf.write('\n%%EOF\n', sizeBytes - 7)
  call.res.writeHead(200, {
    'content-type': 'application/pdf',
    'content-disposition': 'attachment; filename="invoice.pdf"',
    'content-length': sizeBytes,
  })
  call.res.end(pdf)
}

function answerDocument(verdict: Verdict): unknown {
  if ('irn' in verdict) {
    return {
      document_status: 'IRN_GENERATED',
      govt_response: { Success: 'Y', AckNo: 112010000011474, Irn: verdict.irn, Status: 'ACT' },
    }
  }
  return {
    document_status: 'NOT_CREATED',
    govt_response: {
      Success: 'N',
      ErrorDetails: [{ error_code: verdict.code, error_message: verdict.message, error_source: 'GOVT' }],
    },
  }
}

function numberOf(document: unknown): string {
  const number = record(record(record(document)['transaction'])['DocDtls'])['No']
  if (typeof number !== 'string' || number === '')
    throw new BodyError(400, 'transaction.DocDtls.No is missing')
  return number
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function headerOf(call: Call, name: string): string {
  const value = call.req.headers[name]
  if (typeof value !== 'string' || value === '') throw new BodyError(400, `the header ${name} is missing`)
  return value
}
