// Compiled against the packed package by package.test.ts; never run.
import {
  ConfigError,
  createSandbox,
  createSidecar,
  type Fault,
  type Log,
  type Sidecar,
  type SidecarSettings,
} from 'token-sidecar'

const fault: Fault = { api: 'token', kind: 'status', status: 500, count: 2 }
const settings: SidecarSettings = {
  CLIENT_SECRET_FILE: '/run/secrets/clear',
  UPSTREAM_URL: 'https://api.clear.in',
  ROUTES: 'gls',
  ROUTE_GLS_PREFIX: '/gls',
}

export async function use(environment: Record<string, string | undefined>, log: Log): Promise<Sidecar[]> {
  const sandbox = await createSandbox({ tokenLifeMs: null, quotaPerDay: 10 })
  sandbox.faults.add(fault)
  const minted = sandbox.tokenRequests().filter(({ outcome }) => outcome === 'minted')
  try {
    return [
      await createSidecar(settings, { log }),
      await createSidecar(environment),
      await createSidecar({ ...sandbox.settings, HOLD_TIMEOUT: `${minted.length}s` }),
    ]
  } catch (error) {
    if (error instanceof ConfigError) log.error(error.problems.map(({ variable }) => variable).join())
    throw error
  }
}

// @ts-expect-error A value is text, as in an environment.
export const wrongValue: SidecarSettings = { MAX_CONNECTIONS: 10 }
// @ts-expect-error There is no such setting.
export const wrongName: SidecarSettings = { CLIENT_SECRETS: 'x' }
// @ts-expect-error There is no such fault.
export const wrongFault: Fault = { api: 'token', kind: 'explode' }
