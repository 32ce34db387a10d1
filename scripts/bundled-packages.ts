import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

/** A package of which some code is in the bundle. */
export interface BundledPackage {
  readonly name: string
  readonly version: string
  /** SPDX expression. */
  readonly license: string
  /** The licence's text, which copies of the package have to carry. */
  readonly text: string
}

/** What was bundled, by what esbuild read and used; sorted by name. */
export function bundledPackages({ outputs }: Pick<Metafile, 'outputs'>): readonly BundledPackage[] {
  const used = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  )
  const folders = new Set(used.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []))
  return [...folders].map(readPackage).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The list that goes with the bundle. */
export function licenceList(packages: readonly BundledPackage[]): string {
  return packages
    .map(({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text.trim()}\n`)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

/**
 * A CycloneDX 1.6 bill of materials. Of the bundle itself, since for npm everything in it is a development dependency (see
 * docs/decisions/0008-no-dependencies.md).
 */
export function billOfMaterials(version: string, packages: readonly BundledPackage[]): string {
  const component = (name: string, number: string, license: string) => ({
    type: 'library',
    'bom-ref': `${name}@${number}`,
    name,
    version: number,
    purl: `pkg:npm/${name.replace('@', '%40')}@${number}`,
    licenses: [{ license: { id: license } }],
  })
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { ...component('token-sidecar', version, 'Apache-2.0'), type: 'application' } },
    components: packages.map(({ name, version: number, license }) => component(name, number, license)),
  }
  return `${JSON.stringify(bill, null, 2)}\n`
}

function readPackage(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry))
  const text = file === undefined ? `License: ${license}` : readFileSync(join(folder, file), 'utf8')
  return { name, version, license, text }
}
