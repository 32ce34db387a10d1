import { type Advice, adviceFor } from '../../lib/advice.ts'
import type { CredentialStatus } from '../../token/status.ts'
import type { PageFacts } from './facts.ts'

/** Something that went wrong, with what to do about it. */
export interface PageProblem {
  readonly code: string
  /** It still is so: a person should look. Otherwise it is told for the record. */
  readonly isOpen: boolean
  /** Whom it concerns: `credential default`, `3 calls`. */
  readonly about: string
  /** Epoch ms; null = now. */
  readonly at: number | null
  readonly errorId: string | null
  readonly advice: Advice
}

/** Problems that are over are told for ten minutes: as long as the charts show them. */
const TOLD_MS = 10 * 60_000

/** What is wrong now, then what went wrong lately. The order stays while the problems stay. */
export function problemList(facts: PageFacts): PageProblem[] {
  const found = [...facts.credentials.flatMap((one) => ofCredential(one, facts.now)), ...ofCalls(facts)]
  return [...found.filter(({ isOpen }) => isOpen), ...found.filter(({ isOpen }) => !isOpen)]
}

function ofCredential(credential: CredentialStatus, now: number): PageProblem[] {
  const { name, state, usable, lack, lastError, mintedAt, mints, store, foreignMints } = credential
  const found: PageProblem[] = []
  const add = (code: string, rest: Partial<PageProblem> = {}) => {
    const advice = adviceFor(code)
    if (advice === null) return
    found.push({ code, isOpen: true, about: `credential ${name}`, at: null, errorId: null, advice, ...rest })
  }
  if (lastError !== null) {
    const isOpen = !usable || mintedAt === null || lastError.at > mintedAt
    if (isOpen || now - lastError.at < TOLD_MS)
      add(lastError.code, { isOpen, at: lastError.at, errorId: lastError.errorId })
  }
  if (state === 'suspect' && lastError === null) add('token_suspect')
  if (!store.healthy) add('store_unreachable')
  const isSpent = mints.today >= mints.budget || lack === 'mint_budget_exhausted'
  if (isSpent && lastError?.code !== 'mint_quota_exhausted') add('mint_budget_exhausted')
  if (foreignMints > 0) {
    const times = foreignMints === 1 ? 'once' : `${foreignMints} times`
    add('foreign_mint', { isOpen: false, about: `credential ${name}, ${times} since the start` })
  }
  return found
}

function ofCalls({ counters, lastSeen, now }: PageFacts): PageProblem[] {
  return [...lastSeen]
    .filter(([, at]) => now - at < TOLD_MS)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([code, at]) => {
      const advice = adviceFor(code)
      if (advice === null) return []
      const times = counters.problems.get(code) ?? 0
      const about = times === 1 ? 'one call since the start' : `${times} calls since the start`
      return [{ code, isOpen: false, about, at, errorId: null, advice }]
    })
}
