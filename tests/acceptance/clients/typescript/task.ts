/** What the clients are to do, as the tests hand it over on standard input. */
import { readFileSync } from "node:fs"

export interface Task {
  base_url: string
  api_key: string
  wrong_token: string
  personal_access_token: string
  workspace_id: string
  user_identity_id: string
  credential_manager_acs_system_id: string
  acs_system_id: string
  email_address: string
  phone_number: string
}

export const task: Task = JSON.parse(readFileSync(0, "utf8"))
export const UNKNOWN = "00000000-0000-4000-8000-000000000000"

/** Compiles only where a type is exactly another one; `any` is not. */
export type Exactly<Actual, Expected> = (<T>() => T extends Actual ? 1 : 2) extends <T>() => T extends Expected ? 1 : 2
  ? true
  : never

export interface Refusal {
  status: number
  type?: string
  rules?: string[] | null
  page_cursor?: string[] | null
  names?: string | null
}
