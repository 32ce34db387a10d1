import llhttpWasm from './llhttp-wasm.cjs'

/** What the build of llhttp exports, as far as the relay uses it. Pointers are offsets into its memory. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  _initialize(): void
  malloc(size: number): number
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_reset(parser: number): void
  llhttp_resume(parser: number): void
  llhttp_execute(parser: number, input: number, length: number): number
  llhttp_get_error_pos(parser: number): number
  llhttp_get_method(parser: number): number
  llhttp_get_status_code(parser: number): number
  llhttp_get_http_major(parser: number): number
  llhttp_get_http_minor(parser: number): number
  llhttp_method_name(method: number): number
}

/** What llhttp tells while it executes; `at` counts from the start of the input it was given. */
export interface Listener {
  onUrl(at: number, length: number): void
  onFieldName(at: number, length: number): void
  onFieldValue(at: number, length: number): void
  onHeadersComplete(keepAlive: boolean): void
  onBody(at: number, length: number): void
  onMessageComplete(): void
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** llhttp_type_t */
export const REQUEST = 1
export const RESPONSE = 2

/** llhttp_errno_t, the two that are not errors. PAUSED is what the relay's callbacks make llhttp return. */
export const OK = 0
export const PAUSED = 21

/** Bits of `llhttp_t.flags`. */
export const FLAG_CHUNKED = 1 << 3
export const FLAG_CONTENT_LENGTH = 1 << 5
export const FLAG_TRANSFER_ENCODING = 1 << 9

/** Offsets in `llhttp_t` of the two members that have no getter; `verifyLlhttp` proves them at the start. */
const OFFSET_CONTENT_LENGTH = 32
const OFFSET_FLAGS = 50

/** The most that one call of `execute` takes. */
export const INPUT_LIMIT_BYTES = 65_536

let listener: Listener

const wasm = instantiate()
const input = wasm.malloc(INPUT_LIMIT_BYTES)
let memory = Buffer.from(wasm.memory.buffer)

/** Feeds `bytes[from..to)` (at most INPUT_LIMIT_BYTES); events go to `target`. Returns an error number, see OK and PAUSED. */
export function execute(parser: number, target: Listener, bytes: Buffer, from: number, to: number): number {
  listener = target
  bytes.copy(memory, input, from, to)
  return wasm.llhttp_execute(parser, input, to - from)
}

/** How many bytes of the last input were taken before llhttp paused or failed. */
export const stoppedAt = (parser: number): number => wasm.llhttp_get_error_pos(parser) - input

export function allocate(type: typeof REQUEST | typeof RESPONSE): number {
  const parser = wasm.llhttp_alloc(type)
  if (parser === 0) throw new RangeError('llhttp has no memory for another parser')
  // Memory that has grown is another ArrayBuffer.
  if (memory.buffer !== wasm.memory.buffer) memory = Buffer.from(wasm.memory.buffer)
  return parser
}

export const free = (parser: number): void => wasm.llhttp_free(parser)
export const reset = (parser: number): void => wasm.llhttp_reset(parser)
export const resume = (parser: number): void => wasm.llhttp_resume(parser)
export const statusOf = (parser: number): number => wasm.llhttp_get_status_code(parser)
export const majorOf = (parser: number): number => wasm.llhttp_get_http_major(parser)
export const minorOf = (parser: number): number => wasm.llhttp_get_http_minor(parser)
export const flagsOf = (parser: number): number => memory.readUInt16LE(parser + OFFSET_FLAGS)

/** Content-Length as llhttp understood it; beyond 2^53 it is not exact, but still beyond it. */
export function contentLengthOf(parser: number): number {
  const at = parser + OFFSET_CONTENT_LENGTH
  return memory.readUInt32LE(at) + memory.readUInt32LE(at + 4) * 2 ** 32
}

const methodNames: string[] = []

/** The method's name as llhttp knows it; it refuses all others. */
export function methodOf(parser: number): string {
  const method = wasm.llhttp_get_method(parser)
  const known = methodNames[method]
  if (known !== undefined) return known
  const start = wasm.llhttp_method_name(method)
  const name = memory.toString('latin1', start, memory.indexOf(0, start))
  methodNames[method] = name
  return name
}

function instantiate(): Exports {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(llhttpWasm.read()), {
    env: {
      wasm_on_message_begin: () => OK,
      wasm_on_url: (_parser: number, at: number, length: number) => {
        listener.onUrl(at - input, length)
        return OK
      },
      wasm_on_status: () => OK,
      wasm_on_header_field: (_parser: number, at: number, length: number) => {
        listener.onFieldName(at - input, length)
        return OK
      },
      wasm_on_header_value: (_parser: number, at: number, length: number) => {
        listener.onFieldValue(at - input, length)
        return OK
      },
      wasm_on_headers_complete: (_parser: number, _status: number, _upgrade: number, keepAlive: number) => {
        listener.onHeadersComplete(keepAlive !== 0)
        return PAUSED
      },
      wasm_on_body: (_parser: number, at: number, length: number) => {
        listener.onBody(at - input, length)
        return OK
      },
      wasm_on_message_complete: () => {
        listener.onMessageComplete()
        return PAUSED
      },
    },
  })
  const exports = instance.exports as Exports
  exports._initialize()
  return exports
}
