import { readFileSync } from 'node:fs'

/** A key and its self-signed certificate, PEM: made for these tests and good for nothing else, valid for a hundred years. */
export interface TestCertificate {
  readonly key: string
  readonly cert: string
}

/** `client` is for a client's own use, all others for servers; `unknown-authority` alone is not signed by itself. */
export type TestCertificateName =
  | 'localhost'
  | 'client'
  | 'expired'
  | 'future'
  | 'elsewhere'
  | 'unknown-authority'

/** For `localhost`, 127.0.0.1 and ::1, but for `elsewhere`. Kept as files, so that tests need nothing but Node. */
export function testCertificate(name: TestCertificateName): TestCertificate {
  const read = (part: string) =>
    readFileSync(new URL(`certificates/${name}.${part}.pem`, import.meta.url), 'utf8')
  return { key: read('key'), cert: read('cert') }
}
