import { drive } from '../drive.mjs'
import * as sdk from './sdk.mjs'

await drive(sdk)
