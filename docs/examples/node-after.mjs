const { CLEAR_URL = 'http://127.0.0.1:8080' } = process.env

const answer = await fetch(`${CLEAR_URL}/einv/v2/eInvoice/generate`, {
  method: 'PUT',
  headers: { 'content-type': 'application/json', gstin: '29AAFCD5862R000' },
  body: JSON.stringify([{ transaction: { DocDtls: { Typ: 'INV', No: 'N/002', Dt: '01/04/2026' } } }]),
})
console.log(answer.status, await answer.text())
