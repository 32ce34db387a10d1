import { Agent, request } from 'node:http'

const { CLEAR_URL = 'http://127.0.0.1:8080' } = process.env
// One agent for the whole app: connections to the sidecar are kept open.
const agent = new Agent({ keepAlive: true })

const call = request(
  `${CLEAR_URL}/einv/v2/eInvoice/generate`,
  {
    agent,
    method: 'PUT',
    headers: { 'content-type': 'application/json', gstin: '29AAFCD5862R000' },
    // Longer than the sidecar waits for a token (HOLD_TIMEOUT, 10s), and then for Clear.
    timeout: 60_000,
  },
  async (answer) => {
    let text = ''
    for await (const chunk of answer.setEncoding('utf8')) text += chunk
    console.log(answer.statusCode, text)
    agent.destroy()
  },
)
call.on('timeout', () => call.destroy(new Error('no answer')))
call.end(JSON.stringify([{ transaction: { DocDtls: { Typ: 'INV', No: 'N/003', Dt: '01/04/2026' } } }]))
