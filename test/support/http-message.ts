import { type ByteReader, IncompleteMessage } from './byte-reader.ts'

/** Fields in the order and spelling of the wire. */
export class Fields {
  readonly lines: readonly (readonly [name: string, value: string])[]

  constructor(lines: readonly (readonly [string, string])[]) {
    this.lines = lines
  }

  /** Values of every line of that name, however it is written. */
  all(name: string): string[] {
    return this.lines.filter(([line]) => line.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
  }

  get(name: string): string | null {
    return this.all(name)[0] ?? null
  }
}

export interface MessageHead {
  readonly startLine: string
  readonly fields: Fields
}

/** A plain parser for what a correct sender writes; the sidecar's own parsers are not used to judge the sidecar. */
export async function readHead(reader: ByteReader): Promise<MessageHead> {
  const [startLine = '', ...lines] = (await reader.until('\r\n\r\n'))
    .toString('latin1')
    .split('\r\n')
    .slice(0, -2)
  return { startLine, fields: new Fields(lines.map(parsedField)) }
}

export interface MessageBody {
  readonly body: Buffer
  readonly trailers: Fields
}

/** How a body ends: by chunks, by length, with the connection, or there is none. */
export type BodyEnd = 'chunked' | 'close' | number

export async function readBody(
  reader: ByteReader,
  end: BodyEnd,
  onPiece: (piece: Buffer) => void = () => {},
): Promise<MessageBody> {
  if (end === 'chunked') return await readChunks(reader, onPiece)
  const body = end === 'close' ? await reader.toEnd() : await reader.take(end)
  onPiece(body)
  return { body, trailers: new Fields([]) }
}

async function readChunks(reader: ByteReader, onPiece: (piece: Buffer) => void): Promise<MessageBody> {
  const pieces: Buffer[] = []
  try {
    for (;;) {
      const size = Number.parseInt((await reader.until('\r\n')).toString('latin1'), 16)
      if (size === 0) break
      const piece = (await reader.take(size + 2)).subarray(0, size)
      onPiece(piece)
      pieces.push(piece)
    }
    const trailers: (readonly [string, string])[] = []
    for (;;) {
      const line = (await reader.until('\r\n')).toString('latin1').slice(0, -2)
      if (line === '') return { body: Buffer.concat(pieces), trailers: new Fields(trailers) }
      trailers.push(parsedField(line))
    }
  } catch (error) {
    throw error instanceof IncompleteMessage ? new IncompleteMessage(Buffer.concat(pieces)) : error
  }
}

function parsedField(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}
