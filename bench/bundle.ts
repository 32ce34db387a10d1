import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * Bundles the programs that run in processes of their own, one file each, as dist/main.js is: no contestant pays for a
 * TypeScript loader or for finding hundreds of modules. The same banner as the product's build.
 */
export async function bundlePrograms(outdir: string): Promise<void> {
  const folder = 'bench/contestants/programs'
  const contestants = readdirSync(folder)
    .filter((file) => file !== 'program-setting.ts')
    .map((file) => join(folder, file))
  await build({
    entryPoints: [...contestants, 'bench/upstream.ts', 'bench/load/open-loop.ts'],
    outdir,
    entryNames: '[name]',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.18',
    banner: {
      js: "import { createRequire as createRequireForBundle } from 'node:module';import { fileURLToPath as pathOf } from 'node:url';const require = createRequireForBundle(import.meta.url);const __filename = pathOf(import.meta.url);const __dirname = pathOf(new URL('.', import.meta.url));",
    },
    logLevel: 'error',
  })
}
