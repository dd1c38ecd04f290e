// @seamapi/http 2.x has no methods for enrollment automations and credential pools.

import { isSeamHttpApiError, SeamHttp } from '@seamapi/http'

import { drive } from '../drive.mjs'

await drive((options) => new SeamHttp(options), isSeamHttpApiError)
