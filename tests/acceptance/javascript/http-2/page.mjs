// What a page's script has of this SDK.

import { makeCalls } from '../calls.mjs'
import * as sdk from './sdk.mjs'

globalThis.makeCalls = async (task) => await makeCalls(task, sdk)
