import { readFileSync } from 'node:fs'

/** A key and its self-signed certificate, PEM: made for these tests and good for nothing else, valid for a hundred years. */
export interface TestCertificate {
  readonly key: string
  readonly cert: string
}

/** For `localhost`, 127.0.0.1 and ::1, or for a client's own use. Kept as files, so that tests need nothing but Node. */
export function testCertificate(name: 'localhost' | 'client'): TestCertificate {
  const read = (part: string) =>
    readFileSync(new URL(`certificates/${name}.${part}.pem`, import.meta.url), 'utf8')
  return { key: read('key'), cert: read('cert') }
}
