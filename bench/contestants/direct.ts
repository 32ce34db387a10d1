import type { Contestant } from './contestant.ts'

/** No proxy: what the upstream and the load generator can do by themselves, and the latency they bring. */
export const direct: Contestant = {
  name: 'direct',
  version: () => 'no proxy',
  launch: () => null,
}
