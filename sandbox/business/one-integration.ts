import { type Call, query, type Route, sendJson } from '../call.ts'

/**
 * The product that differs: its token travels in `x-clear-auth-token` alone, it wants `x-integration-id`, and it
 * rejects with 403 (see products.ts). Its bodies are not public; these keep to the members that are.
 */
export const oneIntegrationRoutes: readonly Route[] = [
  {
    path: '/one-integration/action/pre-sign',
    methods: ['GET'],
    handle: (call) => answer(call, 'filename', 'CREATED'),
  },
  {
    path: '/one-integration/workflow/status',
    methods: ['GET'],
    handle: (call) => answer(call, 'taskId', 'COMPLETED'),
  },
]

function answer(call: Call, parameter: string, message: string): void {
  const missing = call.req.headers['x-integration-id'] === undefined || query(call).get(parameter) === null
  if (missing) {
    const needs = `x-integration-id and ${parameter} are mandatory`
    return void sendJson(call.res, 400, { status: 400, success: false, message: needs })
  }
  sendJson(call.res, 200, { status: 200, success: true, message })
}
