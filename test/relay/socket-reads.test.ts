import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { withSharedReads } from '../../proxy/relay/socket-reads.ts'

/** Accepts one connection as the listener does; what arrives on it when its caller sends `sent` and half-closes. */
async function received(
  test: TestContext,
  sent: string,
  prepare: (accepted: Socket) => void,
  others = 0,
): Promise<{ text: string; isMoved: boolean; longestRead: number }> {
  let text = ''
  let longestRead = 0
  let isMoved = false
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  test.after(() => void server.close())
  const ended = new Promise<void>((resolve) => {
    server.once('connection', (accepted) => {
      prepare(accepted)
      const note = (bytes: Buffer, length: number) => {
        text += bytes.toString('latin1', 0, length)
        longestRead = Math.max(longestRead, length)
      }
      const socket = withSharedReads(accepted, note, others)
      isMoved = socket !== accepted
      socket.once('end', () => {
        socket.end()
        resolve()
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1', () => client.end(sent))
  test.after(() => void client.destroy())
  await ended
  return { text, isMoved, longestRead }
}

describe('an accepted socket with shared reads', () => {
  it('hands over its bytes and its end', async (test) => {
    const { text, isMoved } = await received(test, 'hello', () => {})
    assert.deepEqual({ text, isMoved }, { text: 'hello', isMoved: true })
  })

  it('does so by ordinary reads where Node keeps no handle that can be moved', async (test) => {
    const { text, isMoved } = await received(test, 'hello', (accepted) => {
      const { _handle: handle } = accepted as unknown as { _handle: { useUserBuffer: unknown } }
      handle.useUserBuffer = undefined
    })
    assert.deepEqual({ text, isMoved }, { text: 'hello', isMoved: false })
  })

  it('reads less at a time when there are many of them', async (test) => {
    const sent = 'x'.repeat(1_000_000)
    const few = await received(test, sent, () => {})
    const many = await received(test, sent, () => {}, 1_000)
    assert.equal(many.text, sent)
    assert.ok(
      few.longestRead > 16_384 && many.longestRead <= 16_384,
      `${few.longestRead}, ${many.longestRead}`,
    )
  })
})
