const STAR = 0x2a
const NOTHING = Buffer.alloc(0)

const TEXT_TYPE =
  /^\s*(?:text\/|message\/|multipart\/|application\/(?:json\w*|xml|yaml|x-ndjson|javascript|x-www-form-urlencoded)\b|[^;]*\+(?:json|xml|yaml)\b)/i

/** Replaces one token by as many `*` in what goes to the caller; the length stays, so framing stays true. */
export interface TokenMask {
  /** For a field value or reason phrase, one character for each byte. Returns the same string when there is nothing to do. */
  head(value: string): string
  /** A masker for one body. */
  body(): BodyMasker
}

/** Masks one body, piece by piece. */
export interface BodyMasker {
  /**
   * The bytes that may go on, masked: all but an end that could be the beginning of the token (at most its length less
   * one), so events of a stream are not delayed. Writes into `chunk`; the answer may share its memory.
   */
  write(chunk: Buffer): Buffer
  /** What was held back, when the body has ended. */
  flush(): Buffer
}

/** A mask for the token's bytes, which must not be empty. */
export function createTokenMask(token: Buffer): TokenMask {
  const text = token.toString('latin1')
  const stars = '*'.repeat(text.length)
  return {
    head: (value) => (value.includes(text) ? value.replaceAll(text, stars) : value),
    body: () => createBodyMasker(token),
  }
}

/**
 * Whether a body is searched: text that is not compressed. A body without a type counts as text, since clients treat it as
 * such; images, PDFs and other binary types are spared the search.
 */
export function isMaskable(contentType: string | null, contentEncoding: string | null): boolean {
  if (contentEncoding !== null && !/^\s*(?:identity)?\s*$/i.test(contentEncoding)) return false
  if (contentType === null) return true
  return TEXT_TYPE.test(contentType)
}

function createBodyMasker(token: Buffer): BodyMasker {
  const first = token[0] as number
  const longestTail = token.length - 1
  let held = NOTHING

  return {
    write(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      let searched = 0
      for (let at = bytes.indexOf(token); at !== -1; at = bytes.indexOf(token, searched)) {
        searched = at + token.length
        bytes.fill(STAR, at, searched)
      }
      const tail = tailStart(bytes, Math.max(searched, bytes.length - longestTail))
      // Copied, since the caller may reuse the chunk's memory once this returns.
      held = tail === bytes.length ? NOTHING : Buffer.from(bytes.subarray(tail))
      return bytes.subarray(0, tail)
    },
    flush() {
      const rest = held
      held = NOTHING
      return rest
    },
  }

  /** Where the longest end of `bytes` that the token begins with starts; `bytes.length` when there is none. */
  function tailStart(bytes: Buffer, from: number): number {
    for (let at = bytes.indexOf(first, from); at !== -1; at = bytes.indexOf(first, at + 1)) {
      if (bytes.compare(token, 0, bytes.length - at, at) === 0) return at
    }
    return bytes.length
  }
}
