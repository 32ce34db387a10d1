import type { ConfigProblem } from './config-error.ts'
import { filePath, type Parsed, type Parser } from './parsers.ts'
import { type Setting, type SettingName, type SettingValue, settings } from './settings.ts'
import { type Environment, fileVariable } from './variables.ts'

/** Text of the file at `path`; throws the system error. */
export type ReadFile = (path: string) => string

/** What the environment says about one variable. */
export interface Reading<T> {
  /** Null when the variable is not set, or its value is not valid: then a problem has been noted. */
  readonly value: T | null
  /** Set to anything, valid or not. */
  readonly isSet: boolean
  /** The variable that was set: the name or the name with `_FILE`. */
  readonly variable: string
  /** Path of the file that the value came from. */
  readonly file: string | null
}

/** A setting that always has a value. */
export type SettingWithFallback = {
  [N in SettingName]: (typeof settings)[N] extends { fallback: string } ? N : never
}[SettingName]

/** Reads variables by the table's rows and collects what is wrong with them, so that all of it can be told at once. */
export class SettingsReader {
  readonly #env: Environment
  readonly #readFile: ReadFile
  readonly #readings = new Map<string, Reading<unknown>>()
  readonly #problems: (ConfigProblem & { text: string })[] = []
  readonly #secretTexts: string[] = []

  constructor(env: Environment, readFile: ReadFile) {
    this.#env = env
    this.#readFile = readFile
  }

  /** The value, or the default's. An invalid value gives the default as well: the problem it left prevents its use. */
  value<N extends SettingWithFallback>(name: N): SettingValue<N> {
    const { value } = this.read(name)
    if (value !== null) return value
    const parsed = settings[name].parse(settings[name].fallback) as Parsed<SettingValue<N>>
    if ('problem' in parsed) throw new TypeError(`the default of ${name} ${parsed.problem}`)
    return parsed.value
  }

  /** What is set for `name`, or for `variable` by the same rules. Reading twice is free and notes a problem once. */
  read<N extends SettingName>(name: N, variable: string = name): Reading<SettingValue<N>> {
    let reading = this.#readings.get(variable)
    if (reading === undefined) {
      reading = this.#read(name, variable)
      this.#readings.set(variable, reading)
    }
    return reading as Reading<SettingValue<N>>
  }

  /** Notes a problem. `text` is what the message may repeat, to be checked for secrets. */
  problem(variable: string, message: string, text = ''): void {
    this.#problems.push({ variable, message, text })
  }

  /** Whether every one of the variables is either not set or valid: a check across them makes sense. */
  areSound(...variables: string[]): boolean {
    return variables.every((variable) => {
      const reading = this.#readings.get(variable)
      return reading === undefined || !reading.isSet || reading.value !== null
    })
  }

  /** The problems so far. One whose text repeats a secret, set in the wrong variable by mistake, says only that. */
  problems(): ConfigProblem[] {
    return this.#problems.map(({ variable, message, text }) => {
      const repeatsSecret = this.#secretTexts.some((secret) => text.includes(secret))
      return {
        variable,
        message: repeatsSecret ? 'is not valid, and repeats the value of a secret' : message,
      }
    })
  }

  /** Content of the file that `variable` names, or null and a problem. */
  readFile(variable: string, path: string): string | null {
    try {
      return this.#readFile(path)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
      this.problem(variable, `names a file that cannot be read: ${shownPath(path)} (${code})`, path)
      return null
    }
  }

  #read(name: SettingName, variable: string): Reading<unknown> {
    const row: Setting = settings[name]
    const text = this.#text(variable, row.verbatim)
    const path = row.file === true ? this.#text(fileVariable(variable)) : null
    if (text !== null && row.secret === true) this.#remember(text)
    if (text !== null && path !== null) {
      this.problem(variable, `is set and ${fileVariable(variable)} is too: set only one of them`)
      return { value: null, isSet: true, variable, file: null }
    }
    if (path !== null) return this.#fromFile(row, fileVariable(variable), path)
    if (text !== null) {
      const value = this.#parse(row.parse, variable, text, row.secret)
      return { value, isSet: true, variable, file: null }
    }
    // A route inherits what it does not set, so there only what exists for routes alone can be missing.
    if (row.required === true && (variable === name || row.perRoute === 'only')) {
      const orFile = row.file === true ? `: set it or ${fileVariable(variable)}` : ''
      this.problem(variable, `is required${orFile}`)
    }
    return { value: null, isSet: false, variable, file: null }
  }

  #fromFile(row: Setting, variable: string, path: string): Reading<unknown> {
    const checked = this.#parse(filePath, variable, path)
    const content = checked === null ? null : this.readFile(variable, checked)
    // Editors and `echo` end a file with a line break; nothing else in it is touched.
    const text = content === null ? null : content.trim()
    let value: unknown = null
    if (text === '') this.problem(variable, 'names a file that is empty')
    else if (text !== null) {
      if (row.secret === true) this.#remember(text)
      value = this.#parse(row.parse, variable, text, row.secret)
    }
    return { value, isSet: true, variable, file: path }
  }

  #parse<T>(parse: Parser<T>, variable: string, text: string, isSecret = false): T | null {
    const parsed = parse(text)
    if ('value' in parsed) return parsed.value
    // What is wrong with a secret may be told as long as that says nothing of the secret.
    this.problem(variable, parsed.problem, isSecret ? parsed.problem : text)
    return null
  }

  /** Null when not set. Set to nothing counts as not set: charts and Compose files render absent values like that. */
  #text(variable: string, verbatim = false): string | null {
    const text = this.#env[variable] ?? ''
    const trimmed = text.trim()
    if (verbatim) return text === '' ? null : text
    return trimmed === '' ? null : trimmed
  }

  #remember(text: string): void {
    const parts = text.split(',').map((part) => part.trim())
    this.#secretTexts.push(text, ...parts.filter((part) => part !== ''))
  }
}

/** The path, unless it does not look like one: then it may be the secret itself, set in the wrong variable. */
function shownPath(path: string): string {
  return /^\.{0,2}\/|\.\w{1,5}$/.test(path) ? path : 'its value does not look like a path and is not shown'
}
