const { CLEAR_URL, CLIENT_SECRET } = process.env

const minted = await fetch(`${CLEAR_URL}/integration/v1/authz/token`, {
  headers: { 'x-clear-client-secret': CLIENT_SECRET },
})
const { access_token: token } = await minted.json()

const answer = await fetch(`${CLEAR_URL}/einv/v2/eInvoice/generate`, {
  method: 'PUT',
  headers: {
    'content-type': 'application/json',
    gstin: '29AAFCD5862R000',
    'x-cleartax-auth-token': token,
  },
  body: JSON.stringify([{ transaction: { DocDtls: { Typ: 'INV', No: 'N/001', Dt: '01/04/2026' } } }]),
})
console.log(answer.status, await answer.text())
