// Drives a JavaScript SDK by the protocol of ../sdk_client.py, whose option names are those of the Python SDK.

import { text } from 'node:stream/consumers'

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

// `connect` takes the options and returns the function that makes a call. Anything but an error of the API ends the
// process.
export const drive = async (connect, isSeamHttpApiError) => {
  const task = JSON.parse(await text(process.stdin))
  const options = Object.entries(task.options).map(([name, value]) => [camelCase(name), value])
  const call = connect(Object.fromEntries(options))
  const outcomes = []
  for (const [method, parameters, verb] of task.calls) {
    try {
      outcomes.push({ result: (await call(method, parameters, verb)) ?? null })
    } catch (error) {
      if (!isSeamHttpApiError(error)) throw error
      outcomes.push({ error: describe(error, task.fields) })
    }
  }
  process.stdout.write(JSON.stringify(outcomes))
}
