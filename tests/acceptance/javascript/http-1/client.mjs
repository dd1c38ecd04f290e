// @seamapi/http 1.x has a method for each route.

import { isSeamHttpApiError, SeamHttp } from '@seamapi/http'

import { drive } from '../drive.mjs'

const connect = (options) => {
  const { enrollmentAutomations } = new SeamHttp({ ...options, isUndocumentedApiEnabled: true }).userIdentities
  return (method, parameters) => enrollmentAutomations[method](parameters)
}

await drive(connect, isSeamHttpApiError)
