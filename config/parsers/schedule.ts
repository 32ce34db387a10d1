import nodeCron from '../../proxy/lib/node-cron.cjs'
import { notThis, type Parser } from './parsed.ts'

/** A cron expression of five fields (or six, seconds first) as the scheduler itself understands it. */
export const cronExpression: Parser<string> = (text) => {
  if (nodeCron.load().validate(text)) return { value: text }
  return { problem: `must be a cron expression, such as "0 3 * * *" for 03:00 each day${notThis(text)}` }
}
