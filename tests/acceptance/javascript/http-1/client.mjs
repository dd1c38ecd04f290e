// @seamapi/http 1.x has a method for each route, some of them only if it is told so.

import { isSeamHttpApiError, SeamHttp } from '@seamapi/http'

import { drive } from '../drive.mjs'

await drive((options) => new SeamHttp({ ...options, isUndocumentedApiEnabled: true }), isSeamHttpApiError)
