// @seamapi/http 2.x has only its HTTP client for these routes.

import { isSeamHttpApiError, SeamHttp } from '@seamapi/http'

import { drive } from '../drive.mjs'

const connect = (options) => {
  const { client } = new SeamHttp(options)
  return async (method, parameters, verb = 'POST') => {
    const path = `/user_identities/enrollment_automations/${method}`
    const { data } = await {
      POST: () => client.post(path, parameters),
      GET: () => client.get(path, { params: parameters }),
      DELETE: () => client.delete(path, { params: parameters }),
    }[verb]()
    return data.enrollment_automation ?? data.enrollment_automations
  }
}

await drive(connect, isSeamHttpApiError)
