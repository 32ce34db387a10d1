import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lineWriter } from '../../proxy/ops/line-writer.ts'

function failing(code: string) {
  const attempts: string[] = []
  const stream = new Writable({
    decodeStrings: false,
    autoDestroy: false,
    write(line: string, _encoding, done) {
      attempts.push(line)
      done(Object.assign(new Error(code), { code }))
    },
  })
  return { stream, attempts }
}

describe('line writer', () => {
  it('writes lines as they are', async () => {
    const lines: string[] = []
    const stream = new Writable({
      decodeStrings: false,
      write(line: string, _encoding, done) {
        lines.push(line)
        done()
      },
    })
    const write = lineWriter(stream)
    write('a\n')
    write('b\n')
    assert.deepEqual(lines, ['a\n', 'b\n'])
  })

  it('drops lines while a reader that stopped reading holds up too many, and goes on when it reads again', async () => {
    const lines: string[] = []
    let proceed = () => {}
    const stream = new Writable({
      decodeStrings: false,
      write(line: string, _encoding, done) {
        lines.push(line)
        proceed = done
      },
    })
    const write = lineWriter(stream, 100)
    for (let count = 0; count < 1000; count++) write(`${count} ${'x'.repeat(20)}\n`)
    assert.ok(stream.writableLength < 200, String(stream.writableLength))
    while (stream.writableLength > 0) {
      proceed()
      await Promise.resolve()
    }
    const readBefore = lines.length
    write('again\n')
    assert.equal(lines.at(-1), 'again\n')
    assert.ok(readBefore < 10)
  })

  it('stops for good when the reader is gone', async () => {
    const { stream, attempts } = failing('EPIPE')
    const write = lineWriter(stream)
    write('a\n')
    await once(stream, 'error')
    write('b\n')
    assert.deepEqual(attempts, ['a\n'])
  })

  it('does nothing on a stream that was closed', () => {
    const { stream, attempts } = failing('unused')
    const write = lineWriter(stream)
    stream.destroy()
    write('a\n')
    assert.deepEqual(attempts, [])
  })

  it('keeps a process alive whose standard output was closed by its reader', async () => {
    const path = (name: string) =>
      JSON.stringify(fileURLToPath(new URL(`../../proxy/ops/${name}`, import.meta.url)))
    const script = `
      const { createLogger } = await import(${path('logger.ts')})
      const { lineWriter } = await import(${path('line-writer.ts')})
      const log = createLogger({ level: 'info', format: 'json', write: lineWriter(process.stdout) })
      log.info('ready')
      process.stdin.resume()
      process.stdin.once('end', () => {
        for (let count = 0; count < 1000; count++) log.info('unread')
        setTimeout(() => { log.info('later'); process.exit(42) }, 50)
      })`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [ready] = await once(child.stdout, 'data')
    assert.equal(JSON.parse(ready).event, 'ready')
    child.stdout.destroy()
    child.stdin.end()
    const [code] = await once(child, 'exit')
    assert.equal(code, 42)
  })
})
