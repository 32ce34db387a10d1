/** How one family of business APIs takes a token and rejects a call. */
export interface Product {
  /** The paths that belong to it begin so. */
  readonly prefix: string
  /** Part of the prefix that is a region's base path: removed before the route is looked up. */
  readonly basePath: string
  /** Header names, lower case, in the order they are looked at. */
  readonly tokenHeaders: readonly string[]
  readonly rejectedStatus: number
  readonly rejectedBody: Buffer
}

const eitherHeader = ['x-cleartax-auth-token', 'x-clear-auth-token']

/** Base path of the business APIs in Saudi Arabia. */
export const KSA_BASE_PATH = '/middle-east/ksa/einvoicing'

const products: readonly Product[] = [
  {
    prefix: '/integration/',
    basePath: '',
    tokenHeaders: eitherHeader,
    rejectedStatus: 401,
    rejectedBody: json({
      status: 'FAILED',
      errorCode: 'AUTHORIZATION_FAILED',
      errorMessage: 'Invalid Auth Token passed',
      preSignedS3Url: null,
    }),
  },
  {
    // The one product with the other header, and whose documentation knows 403 but no 401.
    prefix: '/one-integration/',
    basePath: '',
    tokenHeaders: ['x-clear-auth-token'],
    rejectedStatus: 403,
    rejectedBody: json({ status: 403, success: false, message: 'User not authorized' }),
  },
  {
    prefix: `${KSA_BASE_PATH}/`,
    basePath: KSA_BASE_PATH,
    tokenHeaders: eitherHeader,
    rejectedStatus: 401,
    rejectedBody: json({
      ErrorCode: '100401',
      ErrorMessage: 'Authentication Failed',
      ErrorSource: 'CLEARTAX',
    }),
  },
]

const anyOther: Product = {
  prefix: '/',
  basePath: '',
  tokenHeaders: eitherHeader,
  rejectedStatus: 401,
  rejectedBody: json({ error: 'AUTHORIZATION_FAILED', message: 'No valid auth token provided' }),
}

/** The product a path belongs to. No body tells a revoked token from an expired one, as in the real service. */
export function productOf(path: string): Product {
  for (const product of products) if (path.startsWith(product.prefix)) return product
  return anyOther
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
