import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type WaitingCall, WaitingCalls } from '../../proxy/token/waiting-calls.ts'
import { heldToken } from '../support/token-source.ts'

const call = (deadline: number): WaitingCall => ({
  replayable: true,
  isReplay: false,
  rejected: null,
  deadline,
})
const never = new AbortController().signal

test('a call waits until it gets a verdict', async () => {
  const waiting = new WaitingCalls()
  const token = heldToken('a')
  const answer = waiting.add(call(10), never)
  waiting.settle(() => null)
  assert.equal(waiting.size, 1)
  waiting.settle(() => ({ token }))
  assert.equal(waiting.size, 0)
  assert.equal(await answer, token)
})

test('each call gets its own verdict, in the order the calls came', async () => {
  const waiting = new WaitingCalls()
  const first = waiting.add(call(10), never)
  const second = waiting.add(call(20), never)
  const asked: number[] = []
  waiting.settle(({ deadline }) => {
    asked.push(deadline)
    return deadline === 10 ? { error: new Error('late') } : { token: null }
  })
  assert.deepEqual(asked, [10, 20])
  await assert.rejects(first, { message: 'late' })
  assert.equal(await second, null)
})

test('a caller that leaves ends its own wait only', async () => {
  const waiting = new WaitingCalls()
  const caller = new AbortController()
  const leaving = waiting.add(call(10), caller.signal)
  const staying = waiting.add(call(20), never)
  caller.abort(new Error('gone'))
  await assert.rejects(leaving, { message: 'gone' })
  assert.equal(waiting.size, 1)
  waiting.settle(() => ({ token: null }))
  assert.equal(await staying, null)
})

test('a caller that has left already does not wait', async () => {
  const waiting = new WaitingCalls()
  await assert.rejects(waiting.add(call(10), AbortSignal.abort(new Error('gone'))), { message: 'gone' })
  assert.equal(waiting.size, 0)
})

test('a verdict and a caller that leaves at once do not get in each other’s way', async () => {
  const waiting = new WaitingCalls()
  const caller = new AbortController()
  const answer = waiting.add(call(10), caller.signal)
  waiting.settle(() => ({ token: null }))
  caller.abort(new Error('gone'))
  assert.equal(await answer, null)
})

test('the next deadline is the earliest; with nobody waiting there is none', async () => {
  const waiting = new WaitingCalls()
  assert.equal(waiting.nextDeadline(), Number.POSITIVE_INFINITY)
  const answers = [waiting.add(call(10), never), waiting.add(call(20), never)]
  assert.equal(waiting.nextDeadline(), 10)
  waiting.settle(({ deadline }) => (deadline === 10 ? { token: null } : null))
  assert.equal(waiting.nextDeadline(), 20)
  waiting.settle(() => ({ token: null }))
  await Promise.all(answers)
})
