// @seamapi/http 2.x has no methods for enrollment automations and credential pools.

import { SeamHttp } from '@seamapi/http'

export { isSeamHttpApiError } from '@seamapi/http'

export const connect = (options) => new SeamHttp(options)
