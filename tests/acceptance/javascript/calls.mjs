// Calls of either JavaScript SDK, by the protocol of ../sdk_client.py, whose option names are those of the Python SDK.

const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())

const describe = (error, fields) => ({
  class: error.constructor.name,
  code: error.code,
  status_code: error.statusCode,
  message: error.message,
  data: error.data ?? null,
  has_request_id: Boolean(error.requestId),
  ...('getValidationErrorMessages' in error && {
    validation_errors: Object.fromEntries(fields.map((name) => [name, error.getValidationErrorMessages(name)])),
  }),
})

// A method uses `this`, so it is called where it is found.
const callMethod = (seam, route, parameters) => {
  const names = route.split('/').slice(1).map(camelCase)
  const method = names.pop()
  const owner = names.reduce((found, name) => found?.[name], seam)
  return owner?.[method]?.(...(parameters === null ? [] : [parameters]))
}

const callRoute = async ({ client }, route, parameters, verb) => {
  const how = ['PATCH', 'POST', 'PUT'].includes(verb) ? 'data' : 'params'
  const { data } = await client.request({ url: route, method: verb, ...(parameters !== null && { [how]: parameters }) })
  const { ok, pagination, ...result } = data
  return Object.values(result)[0]
}

// All records of a list, by the cursors of its pages: the SDK has no paginator for a list that is published without pages.
const pagesByClient = async ({ client }, route, parameters) => {
  const records = []
  for (let cursor = null; ; ) {
    const { data } = await client.post(route, { ...parameters, page_cursor: cursor })
    const { ok, pagination, ...result } = data
    records.push(...Object.values(result)[0])
    cursor = pagination.next_page_cursor
    if (cursor === null) return records
  }
}

const make = async (seam, { route, parameters, verb, pages }) => {
  if (pages && route === '/events/list') return await pagesByClient(seam, route, parameters)
  const request = verb == null ? callMethod(seam, route, parameters) : undefined
  if (request === undefined) return await callRoute(seam, route, parameters, verb ?? 'POST')
  return await (pages ? seam.createPaginator(request).flattenToArray() : request)
}

// `connect` takes the options and returns the SDK's client.  Anything but an error of the API is thrown.
export const makeCalls = async (task, { connect, isSeamHttpApiError }) => {
  const options = Object.entries(task.options).map(([name, value]) => [camelCase(name), value])
  const seam = connect(Object.fromEntries(options))
  const outcomes = []
  for (const call of task.calls) {
    try {
      outcomes.push({ result: (await make(seam, call)) ?? null })
    } catch (error) {
      if (!isSeamHttpApiError(error)) throw error
      outcomes.push({ error: describe(error, task.fields) })
    }
  }
  return outcomes
}
