const { CLEAR_URL = 'http://127.0.0.1:8080' } = process.env

const json = async (path, options) => (await fetch(CLEAR_URL + path, options)).json()

// 1. Ask for a place to put the file: through the sidecar.
const { preSignedS3Url } = await json('/integration/v1/generatePreSign/sales?fileName=sales.csv')

// 2. Put it there: straight to the URL, not through the sidecar, and without a token.
const stored = await fetch(preSignedS3Url, {
  method: 'PUT',
  headers: { 'content-type': 'text/csv' },
  body: 'invoice,amount\nA/001,100\n',
})

// 3. and 4. Have it read, and ask how that goes: through the sidecar.
const { activityId } = await json('/integration/v1/ingest/file/sales', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ fileInfo: { s3FileUrl: preSignedS3Url, userFileName: 'sales.csv' } }),
})
const { status } = await json(`/integration/v1/ingest/file/sales/status/${activityId}`)
console.log(stored.status, status)
