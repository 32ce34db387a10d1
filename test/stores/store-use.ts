import assert from 'node:assert/strict'
import { Secret } from '../../proxy/lib/secret.ts'
import type { TokenStore } from '../../proxy/token/store.ts'
import type { Token } from '../../proxy/token/token.ts'
import type { Teardown } from '../support/sidecar-process-program.ts'

export const DAY = '2026-11-22'

export function token(generation: number, value = `token-${generation}`): Token {
  return { value: new Secret(value), validTill: 1_900_000_000_000, mintedAt: 1_800_000_000_000, generation }
}

interface Used {
  readonly store: TokenStore
}

/** How long anything may take that a store does. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(5_000)
}

/** A whole rotation: lease, request, token. */
export async function publish({ store }: Used, generation: number): Promise<void> {
  const lease = await store.acquire(8_000, soon())
  await lease?.begin(DAY, soon())
  assert.equal(await lease?.publish(token(generation), soon()), true)
}

/** `next` resolves at the next hint that nobody waited for yet, and takes all that have come with it. */
export function countHints(test: Teardown, { store }: Used): { next(): Promise<void> } {
  let due = 0
  let wake = () => {}
  test.after(
    store.watch(() => {
      due++
      wake()
    }),
  )
  return {
    async next() {
      const timeout = soon()
      while (due === 0) {
        await new Promise<void>((resolve, reject) => {
          wake = resolve
          timeout.addEventListener('abort', () => reject(new Error('no hint came')), { once: true })
        })
      }
      due = 0
    },
  }
}
