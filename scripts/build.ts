/**
 * Builds dist/: the program (main.js) and the library (index.js with its types), with what they share and what is not always
 * needed beside them as chunks. A few files instead of some two hundred modules is most of the start-up time.
 */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { trims } from './bundle-trims.ts'
import { billOfMaterials, bundledPackages, licenceList } from './bundled-packages.ts'
import { emitDeclarations } from './declarations.ts'
import { pageAssets } from './page-assets.ts'

const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }

await rm('dist', { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: process.cwd(),
  entryPoints: { main: 'proxy/main.ts', index: 'proxy/index.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.18',
  // Names are kept, for stack traces; less text is less to read at each start.
  minifyWhitespace: true,
  minifySyntax: true,
  plugins: [trims, pageAssets],
  metafile: true,
  // Whole licences are in a file of their own.
  legalComments: 'none',
  chunkNames: 'chunks/[name]-[hash]',
  define: {
    'globalThis.TOKEN_SIDECAR_VERSION': JSON.stringify(version),
    // node-cron names it, for tasks in processes of their own, which nobody has here. An ES module has none.
    __filename: JSON.stringify('/node-cron'),
  },
  banner: {
    // CommonJS packages inside an ES module bundle still call require() for Node's own modules.
    js: "import { createRequire as createRequireForBundle } from 'node:module';const require = createRequireForBundle(import.meta.url);",
  },
  logLevel: 'warning',
})
const packages = bundledPackages(metafile)
await writeFile('dist/THIRD-PARTY-LICENSES.txt', licenceList(packages))
await writeFile('dist/sbom.cdx.json', billOfMaterials(version, packages))
await chmod('dist/main.js', 0o755)
emitDeclarations('proxy/index.ts', 'dist/types')
