/*
 * Helm's own client sends the Secrets in which it keeps releases as protobuf, and takes JSON for an answer.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */

const MAGIC_BYTES = 4

/** A Secret as JSON would have it, from the body of a request; numbers of fields as in k8s.io/api/core/v1/generated.proto. */
export function secretFrom(body: Buffer): object {
  const envelope = fieldsOf(body.subarray(MAGIC_BYTES))
  const secret = fieldsOf(envelope.get(2)?.[0] ?? Buffer.alloc(0))
  const metadata = fieldsOf(secret.get(1)?.[0] ?? Buffer.alloc(0))
  const text = (values: readonly Buffer[] | undefined) => values?.[0]?.toString() ?? ''
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: text(metadata.get(1)),
      namespace: text(metadata.get(3)),
      labels: Object.fromEntries(pairsOf(metadata.get(11)).map(([name, value]) => [name, value.toString()])),
    },
    data: Object.fromEntries(pairsOf(secret.get(2)).map(([name, value]) => [name, value.toString('base64')])),
    type: text(secret.get(3)),
  }
}

function pairsOf(entries: readonly Buffer[] | undefined): (readonly [string, Buffer])[] {
  return (entries ?? []).map((entry) => {
    const fields = fieldsOf(entry)
    return [fields.get(1)?.[0]?.toString() ?? '', fields.get(2)?.[0] ?? Buffer.alloc(0)] as const
  })
}

/** Fields that have a length, by number; those that are numbers are passed over. */
function fieldsOf(message: Buffer): Map<number, Buffer[]> {
  const fields = new Map<number, Buffer[]>()
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const key = varint()
    const wire = key & 7
    if (wire === 0) varint()
    else if (wire === 2) {
      const length = varint()
      const number = Math.floor(key / 8)
      fields.set(number, [...(fields.get(number) ?? []), message.subarray(at, at + length)])
      at += length
    } else throw new Error(`wire type ${wire} is not expected here`)
  }
  return fields
}
