import { describe, it } from 'node:test'
import { connectionCases } from './contract/connections.ts'
import { credentialCases } from './contract/credential.ts'
import { endingCases } from './contract/endings.ts'
import { fieldCases } from './contract/fields.ts'
import { framingCases } from './contract/framing.ts'
import { listenerCases } from './contract/listener.ts'
import { replayCases } from './contract/replay.ts'
import { routingCases } from './contract/routing.ts'
import { streamingCases } from './contract/streaming.ts'
import { upgradeCases } from './contract/upgrades.ts'
import { type CreateForwarder, type Suite, starter, starterOn } from './contract/world.ts'

const CASE_TIMEOUT_MS = 15_000

/**
 * What every engine behind `Forwarder` must do, over real sockets with callers and upstreams that speak raw bytes. Ids with
 * a letter and a number are those of the catalogue the cases come from. `cannot` names the cases an engine provably fails,
 * with the reason, which is printed.
 */
export function forwarderContract(
  name: string,
  create: CreateForwarder,
  cannot: Readonly<Record<string, string>> = {},
): void {
  const known = new Set<string>()
  const suite: Suite = {
    start: starter(create),
    startOn: starterOn(create),
    check(id, title, run) {
      if (known.has(id)) throw new Error(`two cases are called ${id}`)
      known.add(id)
      const reason = cannot[id]
      it(
        `${id}: ${title}`,
        { timeout: CASE_TIMEOUT_MS, ...(reason === undefined ? {} : { skip: reason }) },
        run,
      )
    },
  }
  const parts: [string, (suite: Suite) => void][] = [
    ['framing', framingCases],
    ['fields', fieldCases],
    ['credential', credentialCases],
    ['replay', replayCases],
    ['routing', routingCases],
    ['streaming', streamingCases],
    ['endings', endingCases],
    ['upgrades', upgradeCases],
    ['connections', connectionCases],
    ['listener', listenerCases],
  ]
  for (const [part, define] of parts) describe(`${name}: ${part}`, () => define(suite))
  for (const id of Object.keys(cannot)) if (!known.has(id)) throw new Error(`there is no case ${id}`)
}
