import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Attack, AttackConnection } from './attack-connection.ts'

/** A way to wear the sidecar out: so many lanes that each do it again and again. */
export interface Flood {
  readonly lanes: number
  /** Once through, on connections of its own; `attack` says where, and until when. */
  run(attack: Attack): Promise<void>
}

const HOST = 'Host: localhost\r\n'
const get = (path: string) => `GET /hostile${path} HTTP/1.1\r\n${HOST}\r\n`
const post = (path: string, bytes: number) =>
  `POST /hostile${path} HTTP/1.1\r\n${HOST}Content-Length: ${bytes}\r\n\r\n`

const MIB = 1024 * 1024
const BODY = Buffer.alloc(MIB, 'b')

/** Where nobody reads, the system keeps megabytes for each connection: more lanes would wear out the machine instead. */
export const floods = {
  'slow heads': {
    lanes: 600,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(`GET /hostile/small HTTP/1.1\r\n${HOST}X-Slow: `)
      while (connection.isOpen) {
        connection.write('x')
        await connection.pause(100)
      }
    },
  },
  'slow bodies': {
    lanes: 300,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(post('/late', MIB))
      for (let pieces = 0; pieces < 100 && connection.isOpen; pieces++) {
        connection.write('x'.repeat(100))
        await connection.pause(100)
      }
      connection.destroy()
    },
  },
  'silent connections': {
    lanes: 1_500,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      while (connection.isOpen) await connection.pause(500)
      await sleep(100)
    },
  },
  'connections that come and go': {
    lanes: 50,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.reset()
    },
  },
  'pipelining, read': {
    lanes: 20,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.resume()
      for (let batch = 0; batch < 20 && connection.isOpen; batch++) {
        await connection.writeAll(get('/small').repeat(200))
      }
      connection.destroy()
    },
  },
  'pipelining, unread': {
    lanes: 400,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(get('/deaf') + get('/small').repeat(5_000))
      await connection.pause(2_000)
      connection.destroy()
    },
  },
  'unread answers': {
    lanes: 150,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(get('/endless'))
      await connection.pause(3_000)
      connection.destroy()
    },
  },
  'endless answers': {
    lanes: 10,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.resume()
      connection.write(get('/endless'))
      await connection.pause(1_000)
      connection.destroy()
    },
  },
  'interim answers': {
    lanes: 50,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(get('/interims'))
      await connection.pause(2_000)
      connection.destroy()
    },
  },
  'bodies to be kept': {
    lanes: 100,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.resume()
      connection.write(post('/late', MIB))
      await connection.writeAll(BODY)
      await connection.pause(1_000)
      connection.destroy()
    },
  },
  'bodies nobody takes': {
    lanes: 150,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(post('/deaf', 1024 * MIB))
      connection.write(BODY)
      await connection.pause(3_000)
      connection.destroy()
    },
  },
  'zip bombs': {
    lanes: 10,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.write(`GET /hostile/bomb HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
      const received = await connection.toEnd()
      // It is turned away while all places are taken.
      if (received === 0) return
      // Head and chunk framing come on top; what was unpacked would be a thousand times as much.
      if (received < attack.bombBytes || received > attack.bombBytes + 2_000)
        attack.fail(`a bomb of ${attack.bombBytes} bytes came as ${received}`)
    },
  },
  'large heads': {
    lanes: 50,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.resume()
      await connection.writeAll(`GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(MIB)}`)
      connection.destroy()
    },
  },
  garbage: {
    lanes: 50,
    async run(attack) {
      const connection = await AttackConnection.open(attack)
      connection.resume()
      await connection.writeAll(randomBytes(10_000))
      await connection.pause(20)
      connection.destroy()
    },
  },
} as const satisfies Record<string, Flood>

export type FloodName = keyof typeof floods
