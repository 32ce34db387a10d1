import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'

/**
 * Writes the types of a module, and of no more than it names, below `outDir`. The compiler alone would add those of everything
 * that the module's code imports.
 */
export function emitDeclarations(entry: string, outDir: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'declarations-'))
  try {
    compile(entry, folder)
    for (const path of reachable(entry.replace(/\.ts$/, '.d.ts'), folder)) {
      const text = readFileSync(join(folder, path), 'utf8')
      cpSync(join(folder, path), join(outDir, path))
      // In a published package the modules are .js files, whose types are looked for beside them.
      writeFileSync(
        join(outDir, path),
        text.replaceAll(IMPORTED, (all) => all.replace(/\.ts'$/, ".js'")),
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const IMPORTED = /from '(\.[^']+)\.ts'/g

function compile(entry: string, outDir: string): void {
  const { dir, bin } = packageOf('typescript')
  const inputs = [entry, '--rootDir', '.', '--types', 'node', '--allowImportingTsExtensions']
  const output = ['--declaration', '--emitDeclarationOnly', '--outDir', outDir]
  // Types were checked by `npm run types`; a file on the command line and tsconfig.json exclude each other.
  const rest = ['--noCheck', '--ignoreConfig', '--target', 'es2023', '--module', 'nodenext']
  execFileSync(process.execPath, [join(dir, bin), ...inputs, ...output, ...rest], { stdio: 'inherit' })
}

function packageOf(name: string): { dir: string; bin: string } {
  const path = createRequire(import.meta.url).resolve(`${name}/package.json`)
  const { bin } = JSON.parse(readFileSync(path, 'utf8')) as { bin: { tsc: string } }
  return { dir: dirname(path), bin: bin.tsc }
}

function reachable(path: string, folder: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found
  found.add(path)
  for (const [, target] of readFileSync(join(folder, path), 'utf8').matchAll(IMPORTED)) {
    reachable(normalize(join(dirname(path), `${target}.d.ts`)), folder, found)
  }
  return found
}
