import type { Contestant } from './contestant.ts'
import { direct } from './direct.ts'
import { envoy } from './envoy.ts'
import { haproxy } from './haproxy.ts'
import { contestantNames } from './names.ts'
import { nginx } from './nginx.ts'
import { nodeProgram } from './node-program.ts'
import { tokenSidecar } from './token-sidecar.ts'

const known: readonly Contestant[] = [
  direct,
  tokenSidecar,
  nginx,
  haproxy,
  envoy,
  nodeProgram('fast-proxy'),
  nodeProgram('@fastify/http-proxy'),
  nodeProgram('http-proxy-3'),
  nodeProgram('httpxy'),
  nodeProgram('http-proxy'),
  nodeProgram('http-proxy-middleware'),
]

/** The contestants of those names, in the order of the tables. */
export function contestantsNamed(names: readonly string[]): readonly Contestant[] {
  return contestantNames
    .filter((name) => names.includes(name))
    .map((name) => {
      const contestant = known.find((candidate) => candidate.name === name)
      if (contestant === undefined) throw new Error(`no contestant is named ${name}`)
      return contestant
    })
}
