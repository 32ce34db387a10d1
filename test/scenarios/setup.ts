import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MintEvent } from '../../sandbox/mint-log.ts'
import { DEMO_CLIENT, type Sandbox } from '../../sandbox/server.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Deadlines of one scenario are seconds, so that the suite takes no minutes. They keep the defaults' proportions. */
export const HOLD_TIMEOUT_MS = 6_000
const quick = {
  HOLD_TIMEOUT: `${HOLD_TIMEOUT_MS}ms`,
  ROTATION_HOLD: '1s',
  MINT_TIMEOUT: '2s',
  MINT_QUARANTINE: '500ms',
  MINT_MIN_INTERVAL: '1s',
  SHUTDOWN_TIMEOUT: '5s',
}

/** A sidecar's environment in front of the sandbox. */
export function settingsFor(
  sandbox: Sandbox,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const secret = 'CLIENT_SECRET_FILE' in more ? {} : { CLIENT_SECRET: DEMO_CLIENT.secret }
  return { UPSTREAM_URL: sandbox.url, TOKEN_URL: sandbox.tokenUrl, ...quick, ...secret, ...more }
}

/** What the commands need to find a running sidecar. */
export function opsOf({ opsUrl }: { readonly opsUrl: string }): Record<string, string> {
  return { OPS_LISTEN: new URL(opsUrl).host }
}

/** `TOKEN_STORE` for processes that share one file. */
export function sharedStore(): string {
  return `file:${tempDir()}/tokens.json`
}

/** Whether a file store holds the token of that generation. */
export function isStored(settings: Readonly<Record<string, string>>, generation: number): boolean {
  const path = (settings['TOKEN_STORE'] ?? '').slice('file:'.length)
  const { entries } = JSON.parse(readFileSync(path, 'utf8')) as {
    entries: Record<string, { generation: number }>
  }
  return Object.values(entries).some((entry) => entry.generation === generation)
}

/** Requests to the token API for a client; those of secrets that nobody has are found under null. */
export function tokenRequests(sandbox: Sandbox, client: string | null = DEMO_CLIENT.name): MintEvent[] {
  return sandbox.log.events.filter((event) => !event.foreign && event.client === client)
}

/** When tokens were minted, epoch ms. */
export function mintTimes(sandbox: Sandbox): number[] {
  return tokenRequests(sandbox).flatMap(({ outcome, processedAt }) =>
    outcome === 'minted' && processedAt !== null ? [processedAt] : [],
  )
}

/** What the token API saw: that many requests, that many of them minted, never two at a time. */
export function assertTokenRequests(
  sandbox: Sandbox,
  expected: { readonly requests: number; readonly minted: number },
): void {
  const events = tokenRequests(sandbox)
  const minted = events.filter(({ outcome }) => outcome === 'minted').length
  assert.deepEqual({ requests: events.length, minted }, expected)
  assertOneAtATime(sandbox)
}

export function assertOneAtATime(sandbox: Sandbox): void {
  const together = sandbox.log.events.filter(({ inFlight }) => inFlight > 1)
  assert.deepEqual(together, [], 'no two requests to the token API are under way together')
}

/** Rotations by plan: one mint each, none sooner after the last than most of a token's life. */
export function assertOneMintEachLife(sandbox: Sandbox, lifeMs: number): void {
  const times = mintTimes(sandbox)
  assertTokenRequests(sandbox, { requests: times.length, minted: times.length })
  for (const [index, at] of times.slice(1).entries()) {
    const gapMs = at - (times[index] ?? 0)
    assert.ok(gapMs >= 0.7 * lifeMs, `mint ${index + 2} comes ${gapMs} ms after the one before it`)
  }
}

/** Resolves when `reached` holds; for what only shows when looked at. Rejects after 20 s. */
export async function eventually(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + 20_000
  while (!(await reached())) {
    assert.ok(performance.now() < until, `${what} has not come about in 20 s`)
    await sleep(10)
  }
}
