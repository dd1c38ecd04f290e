// Drives a JavaScript SDK in a process of its own: a task on standard input, its outcomes on standard output.

import { text } from 'node:stream/consumers'

import { makeCalls } from './calls.mjs'

export const drive = async (sdk) => {
  const task = JSON.parse(await text(process.stdin))
  process.stdout.write(JSON.stringify(await makeCalls(task, sdk)))
}
