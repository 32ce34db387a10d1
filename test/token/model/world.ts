import { type Clock, sleepWith } from '../../../proxy/lib/clock.ts'
import { settled } from '../../support/fake-clock.ts'

interface Happening {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** True time, in ms from the start of a run, and all that is going to happen in it. */
export class World {
  time = 0
  readonly startsAt: number
  #order = 0
  /** A binary heap, by time and then by the order of planning. */
  readonly #heap: Happening[] = []

  /** `startsAt`: the true wall clock at the beginning, epoch ms. */
  constructor(startsAt: number) {
    this.startsAt = startsAt
  }

  get now(): number {
    return this.startsAt + this.time
  }

  in(delayMs: number, run: () => void): void {
    this.#push({ at: this.time + Math.max(0, delayMs), order: this.#order++, run })
  }

  /** Lets time pass; after each happening, everything it set off settles first. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms
    await settled()
    for (let next = this.#heap[0]; next !== undefined && next.at <= end; next = this.#heap[0]) {
      this.#pop()
      this.time = next.at
      next.run()
      await settled()
    }
    this.time = end
  }

  #push(happening: Happening): void {
    const heap = this.#heap
    let index = heap.push(happening) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(heap[index], heap[parent])) return
      swap(heap, index, parent)
      index = parent
    }
  }

  #pop(): void {
    const heap = this.#heap
    swap(heap, 0, heap.length - 1)
    heap.pop()
    for (let index = 0; ; ) {
      const left = 2 * index + 1
      const right = left + 1
      let first = index
      if (isBefore(heap[left], heap[first])) first = left
      if (isBefore(heap[right], heap[first])) first = right
      if (first === index) return
      swap(heap, index, first)
      index = first
    }
  }
}

function isBefore(a: Happening | undefined, b: Happening | undefined): boolean {
  if (a === undefined || b === undefined) return false
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function swap(heap: Happening[], a: number, b: number): void {
  const [x, y] = [heap[a], heap[b]]
  if (x === undefined || y === undefined) return
  heap[a] = y
  heap[b] = x
}

/** What one process sees of the time, and the only way in which anything reaches it: a process that stands still sees nothing. */
export class ProcessClock implements Clock {
  readonly #world: World
  #wallOffset: number
  #monoOffset: number
  /** Standing still: since when and until when, true time, and whether the monotonic clock does, too. */
  #still: { readonly since: number; readonly until: number; readonly monoStops: boolean } | null = null
  #stoodMs = 0
  #dead = false
  #pending = 0

  constructor(world: World, wallOffset: number) {
    this.#world = world
    this.#wallOffset = wallOffset
    this.#monoOffset = world.time
    this.after = this.after.bind(this)
  }

  /** How far this clock is ahead of the true time, ms. */
  get offset(): number {
    return this.#wallOffset
  }

  get pending(): number {
    return this.#pending
  }

  now(): number {
    return this.#world.now + this.#wallOffset
  }

  monotonic(): number {
    const { time } = this.#world
    return (this.#still?.monoStops ? Math.min(time, this.#still.since) : time) - this.#monoOffset
  }

  /** How long the process has been able to do anything, ms; from an arbitrary origin. */
  ranMs(): number {
    return (this.#still?.since ?? this.#world.time) - this.#stoodMs
  }

  after(delayMs: number, run: () => void): () => void {
    const due = this.monotonic() + Math.max(0, delayMs)
    let open = true
    const end = () => {
      if (open) this.#pending--
      open = false
    }
    this.#pending++
    const look = () => {
      if (!open || this.#dead) return
      if (this.#still !== null) return this.#world.in(this.#still.until - this.#world.time, look)
      const left = due - this.monotonic()
      // Sums of fractions of a millisecond do not come out even.
      if (left > 1e-6) return this.#world.in(left, look)
      end()
      run()
    }
    this.#world.in(delayMs, look)
    return end
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this.after, delayMs, signal)
  }

  /** Something from outside arrives now, or when the process goes on. */
  deliver(run: () => void): void {
    if (this.#dead) return
    if (this.#still === null) run()
    else this.#world.in(this.#still.until - this.#world.time, () => this.deliver(run))
  }

  jump(byMs: number): void {
    this.#wallOffset += byMs
  }

  standStill(ms: number, monoStops: boolean): void {
    if (this.#still !== null) return
    this.#still = { since: this.#world.time, until: this.#world.time + ms, monoStops }
    this.#world.in(ms, () => {
      this.#stoodMs += ms
      if (monoStops) this.#monoOffset += ms
      this.#still = null
    })
  }

  /** The process is gone. */
  kill(): void {
    this.#dead = true
  }
}
