// Drives a JavaScript SDK in a process of its own: a task on each line of standard input, its outcomes on standard output.

import { createInterface } from 'node:readline/promises'

import { makeCalls } from './calls.mjs'

export const drive = async (sdk) => {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await makeCalls(JSON.parse(line), sdk))}\n`)
  }
}
