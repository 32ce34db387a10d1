import assert from 'node:assert/strict'
import { it } from 'node:test'
import { emptyEntry } from '../../proxy/stores/entry.ts'
import { MemoryMedium } from '../../proxy/stores/memory.ts'
import { settled } from '../support/fake-clock.ts'
import { harnessOf, tokenStoreContract } from './contract.ts'

tokenStoreContract('memory', async () => {
  const shared = new MemoryMedium()
  return harnessOf(
    () => shared,
    async () => {},
  )
})

it('a memory store tells of a change after the change, not in the middle of it', async () => {
  const medium = new MemoryMedium()
  let inChange = false
  let told = 0
  medium.watch('key', () => {
    assert.equal(inChange, false)
    told++
  })
  await medium.update('key', (entry) => {
    inChange = true
    queueMicrotask(() => {
      inChange = false
    })
    return { ...entry, epoch: 1 }
  })
  await settled()
  assert.equal(told, 1)
})

it('a memory store tells of no change when there was none, nor of another entry’s', async () => {
  const medium = new MemoryMedium()
  let told = 0
  medium.watch('key', () => told++)
  await medium.update('key', () => null)
  await medium.update('other', () => ({ ...emptyEntry, epoch: 1 }))
  await settled()
  assert.equal(told, 0)
})

it('a memory store that is closed tells nobody anything', async () => {
  const medium = new MemoryMedium()
  let told = 0
  medium.watch('key', () => told++)
  const updated = medium.update('key', (entry) => ({ ...entry, epoch: 1 }))
  await medium.close()
  await updated
  await settled()
  assert.equal(told, 0)
})
