import { answerOk, type RawRequest, RawUpstream } from '../../support/raw-upstream.ts'
import { type AnswerBytes, answerOf } from './messages.ts'
import type { Quiescence } from './quiescence.ts'
import type { Plan } from './script.ts'

/** What one request of the upstream's got. */
export interface Answered {
  readonly id: string
  readonly request: RawRequest
  readonly answer: AnswerBytes
  /** The head of the answer was written, so a rejection can have been seen. */
  isHeadWritten: boolean
  /** All of it was written, and ended the way its framing says. */
  isWhole: boolean
  /** It ended with its connection, so whatever was written of the body is all of it. */
  endsAnywhere: boolean
}

/** An upstream that does what its plans say, and remembers it. */
export class HostileUpstream {
  readonly raw: RawUpstream
  readonly answered: Answered[] = []
  readonly #plans: readonly Plan[]
  readonly #quiescence: Quiescence
  readonly #tokenHeader: string
  readonly #switched = new WeakSet<object>()

  constructor(plans: readonly Plan[], quiescence: Quiescence, tokenHeader: string) {
    this.#plans = plans
    this.#quiescence = quiescence
    this.#tokenHeader = tokenHeader
    this.raw = new RawUpstream((request) => this.#answer(request))
  }

  /** From now on it is as good as any. */
  reform(): void {
    this.raw.script = answerOk
    // Who does not read does not notice that the other side has gone.
    for (const socket of this.raw.sockets) socket.resume()
  }

  async #answer(request: RawRequest): Promise<void> {
    const { moved } = this.#quiescence
    const { socket } = request
    moved()
    // What follows on a connection that was switched is no request.
    if (this.#switched.has(socket)) return
    if (socket.listenerCount('close') < 3) socket.on('data', moved).on('close', moved)
    const plan = this.#plans[this.answered.length % this.#plans.length] as Plan
    const id = request.target.slice(1)
    const token = request.fields.get(this.#tokenHeader) ?? ''
    const answer = answerOf(plan, id, request.method, token)
    const answered: Answered = {
      id,
      request,
      answer,
      isHeadWritten: false,
      isWhole: false,
      endsAnywhere: false,
    }
    this.answered.push(answered)
    if (plan.isDeaf) socket.pause()
    else if (plan.readsBody) await request.body.catch(() => {})
    await this.#quiescence.turns(plan.turns)
    await this.#write(answered, plan)
    this.#end(answered, plan)
    if (plan.status === 101) this.#switched.add(socket)
    if (plan.isDeaf || plan.status === 101) await request.closed
  }

  async #write(answered: Answered, plan: Plan): Promise<void> {
    const { bytes } = answered.answer
    const upTo = Math.floor(bytes.length * plan.share)
    const ends = [...plan.cuts.map((cut) => Math.floor(cut * upTo)).sort((a, b) => a - b), upTo]
    let start = 0
    for (const end of ends) {
      if (answered.request.socket.destroyed) return
      if (end > start) answered.request.socket.write(bytes.slice(start, end), 'latin1')
      start = end
      answered.isHeadWritten ||= end > 0
      await this.#quiescence.turns(2)
    }
  }

  #end(answered: Answered, plan: Plan): void {
    const { answer, request } = answered
    const { socket } = request
    const written = Math.floor(answer.bytes.length * plan.share)
    const isAllThere = written >= answer.end && answer.body !== null
    answered.endsAnywhere = answer.endsWithClose && plan.ending === 'fin'
    answered.isWhole = isAllThere && (!answer.endsWithClose || plan.ending === 'fin')
    if (plan.ending === 'fin') socket.end()
    else if (plan.ending === 'reset') socket.resetAndDestroy()
  }
}
