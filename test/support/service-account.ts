import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from './temp-dir.ts'

/** Why a process cannot be given a pod's service account here; false when it can. */
export const serviceAccountSkip: string | false =
  spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0
    ? false
    : 'this machine gives processes no mount namespace of their own (unshare --map-root-user --mount)'

/** What a kubelet mounts into a container. */
export interface ServiceAccount {
  readonly 'ca.crt': string
  readonly token: string
  readonly namespace: string
}

/**
 * A command's prefix: what follows finds the files where Kubernetes has them, in a mount namespace of its own. It becomes that
 * process, so that signals reach it.
 */
export function withServiceAccount(account: ServiceAccount): readonly string[] {
  const folder = tempDir()
  for (const [name, text] of Object.entries(account)) writeFileSync(join(folder, name), text)
  const path = '/run/secrets/kubernetes.io/serviceaccount'
  const mount = `mount -t tmpfs tmpfs /run && mkdir -p ${path} && mount --bind ${folder} ${path} && exec "$@"`
  return ['unshare', '--map-root-user', '--mount', 'sh', '-c', mount, 'sh']
}
