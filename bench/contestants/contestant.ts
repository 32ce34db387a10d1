/** The header that every contestant injects, and overwrites when the client sent its own. */
export const TOKEN_HEADER = 'x-cleartax-auth-token'

/** What a contestant is told before it starts. */
export interface Setting {
  /** Where it listens, on 127.0.0.1. */
  readonly port: number
  readonly upstream: { readonly tls: boolean; readonly port: number }
  /** Path of the certificate that the upstream's chain must end in. */
  readonly caFile: string
  /** The value to inject; whoever mints gets it from the token API. */
  readonly token: string
  readonly tokenUrl: string
  /** An empty directory of its own for configuration. */
  readonly dir: string
  /** A directory for what must outlive the process, or null when nothing has to. */
  readonly stateDir: string | null
  /** Folder of the bundled programs. */
  readonly programs: string
}

/** How to start it. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface Contestant {
  readonly name: string
  /** Name and version for the report, or null when it is not installed here. */
  version(): string | null
  /** Writes what it needs below `setting.dir`. Null: there is no process to start, the load goes to the upstream itself. */
  launch(setting: Setting): Launch | null
}

/** `https://127.0.0.1:port`: the certificate names the address. */
export function upstreamUrl({ upstream }: Setting): string {
  return `${upstream.tls ? 'https' : 'http'}://127.0.0.1:${upstream.port}`
}
