import { fc } from '../../support/fast-check.ts'

/** What is wrong with a call; nothing that follows it on its connection may be forwarded. */
export type Defect = 'garbage' | 'bad chunk' | 'two framings' | 'large head' | 'dot segments'

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH'
  readonly version: '1.0' | '1.1'
  readonly framing: 'none' | 'length' | 'chunked'
  readonly bodyBytes: number
  readonly fields: readonly string[]
  readonly defect: Defect | null
  /** Sends less of its body than it announced, and nothing after it. */
  readonly isShort: boolean
}

export type CallerStep =
  /** Sends that share of what it has still to send. */
  | { readonly kind: 'send'; readonly share: number }
  /** Waits for so many turns of the event loop. */
  | { readonly kind: 'turns'; readonly count: number }
  /** Waits until nothing moves, and lets time pass. */
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'pause' | 'resume' | 'half-close' | 'reset' }

export interface CallerScript {
  readonly calls: readonly Call[]
  readonly steps: readonly CallerStep[]
}

/** How the upstream answers one request, and when. */
export interface Plan {
  /** Awaits the request's body first. */
  readonly readsBody: boolean
  /** Does not even read what it is sent. */
  readonly isDeaf: boolean
  readonly turns: number
  readonly interims: number
  readonly status: number
  readonly framing:
    | 'none'
    | 'length'
    | 'chunked'
    | 'trailers'
    | 'close'
    | 'too long'
    | 'too short'
    | 'bad chunk'
  readonly bodyBytes: number
  readonly fields: readonly string[]
  /** Shares of the answer at which it is cut into writes. */
  readonly cuts: readonly number[]
  /** How much of the answer is written at all. */
  readonly share: number
  readonly ending: 'keep' | 'fin' | 'reset' | 'excess' | 'garbage'
}

/** What the token source says to the nth call that asks. */
export interface TokenPlan {
  readonly peeks: readonly boolean[]
  readonly waits: readonly ('now' | 'later' | 'fails')[]
  readonly replacements: readonly ('now' | 'later' | 'none' | 'fails' | 'same')[]
}

export interface Script {
  readonly callers: readonly CallerScript[]
  /** The nth request that the upstream sees is answered by the nth plan, and so on from the first. */
  readonly plans: readonly Plan[]
  readonly tokens: TokenPlan
}

const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, fc.constantFrom(usual, ...others))

const call: fc.Arbitrary<Call> = fc.record({
  method: fc.constantFrom<Call['method'][]>('GET', 'HEAD', 'POST', 'PUT', 'PATCH'),
  version: mostly<Call['version']>('1.1', '1.0'),
  framing: fc.constantFrom<Call['framing'][]>('none', 'length', 'chunked'),
  bodyBytes: fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 2_048, 2_049, 4_096, 70_000, 300_000)),
  fields: fc.subarray([
    'Connection: close',
    'Connection: keep-alive',
    'Expect: 100-continue',
    'Connection: Upgrade\r\nUpgrade: websocket',
    'X-Cleartax-Auth-Token: forged',
    'Connection: x-cleartax-auth-token',
  ]),
  defect: fc.oneof(
    { weight: 12, arbitrary: fc.constant(null) },
    fc.constantFrom<Defect[]>('garbage', 'bad chunk', 'two framings', 'large head', 'dot segments'),
  ),
  isShort: mostly(false, true),
})

const step: fc.Arbitrary<CallerStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('send' as const), share: fc.constantFrom(0, 0.1, 0.5, 1) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(100, 1_200, 5_000, 16_000, 80_000),
    }),
  },
  { weight: 4, arbitrary: fc.constantFrom({ kind: 'pause' as const }, { kind: 'resume' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'half-close' as const }, { kind: 'reset' as const }) },
)

const plan: fc.Arbitrary<Plan> = fc.record({
  readsBody: mostly(true, false),
  isDeaf: mostly(false, false, false, true),
  turns: fc.nat(6),
  interims: mostly(0, 1, 3, 4_000),
  status: mostly(200, 101, 201, 204, 304, 401, 401, 404, 500, 502),
  framing: mostly<Plan['framing']>(
    'length',
    'none',
    'chunked',
    'trailers',
    'close',
    'too long',
    'too short',
    'bad chunk',
  ),
  bodyBytes: fc.oneof(fc.nat(60), fc.constantFrom(0, 8_192, 65_536, 400_000)),
  fields: fc.subarray([
    'Connection: close',
    'Content-Type: text/plain',
    'Content-Type: image/png',
    'Keep-Alive: timeout=2',
    'Keep-Alive: timeout=1',
    'Upgrade: websocket\r\nConnection: Upgrade',
  ]),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
  share: mostly(1, 0, 0.3, 0.9, 0.99),
  ending: mostly<Plan['ending']>('keep', 'fin', 'reset', 'excess', 'garbage'),
})

export const scripts: fc.Arbitrary<Script> = fc.record({
  callers: fc.array(
    fc.record({
      calls: fc.array(call, { minLength: 1, maxLength: 4 }),
      steps: fc.array(step, { maxLength: 10 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  plans: fc.array(plan, { minLength: 1, maxLength: 5 }),
  tokens: fc.record({
    peeks: fc.array(mostly(true, false), { minLength: 1, maxLength: 4 }),
    waits: fc.array(fc.constantFrom<('now' | 'later' | 'fails')[]>('now', 'later', 'fails'), {
      minLength: 1,
      maxLength: 3,
    }),
    replacements: fc.array(
      fc.constantFrom<('now' | 'later' | 'none' | 'fails' | 'same')[]>(
        'now',
        'later',
        'none',
        'fails',
        'same',
      ),
      { minLength: 1, maxLength: 3 },
    ),
  }),
})
