// @seamapi/http 1.x has a method for each route, some of them only if it is told so.

import { SeamHttp } from '@seamapi/http'

export { isSeamHttpApiError } from '@seamapi/http'

export const connect = (options) => new SeamHttp({ ...options, isUndocumentedApiEnabled: true })
