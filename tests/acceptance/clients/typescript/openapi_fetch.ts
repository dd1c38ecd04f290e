/** Uses the types that openapi-typescript makes, with openapi-fetch, and prints what it was answered with as JSON. */
import createClient from "openapi-fetch"

import type { components, paths } from "./generated/schema"
import { type Exactly, type Refusal, task, UNKNOWN } from "./task"

type Automation = components["schemas"]["EnrollmentAutomation"]
type ErrorResponse = components["schemas"]["ErrorResponse"]

const ROOT = "/user_identities/enrollment_automations"

function client(token: string, headers: Record<string, string> = {}) {
  return createClient<paths>({ baseUrl: task.base_url, headers: { Authorization: `Bearer ${token}`, ...headers } })
}

function refusal({ error, response }: { error?: ErrorResponse; response: Response }): Refusal {
  return {
    status: response.status,
    type: error?.error.type,
    rules: error?.error.validation_errors?._errors ?? null,
    page_cursor: error?.error.validation_errors?.page_cursor?._errors ?? null,
    names: error?.error.data?.enrollment_automation_id ?? null,
  }
}

function given<Data>({ data, error }: { data?: Data; error?: ErrorResponse }): Data {
  if (data === undefined) throw new Error(error?.error.message)
  return data
}

async function ofAutomations() {
  const api = client(task.api_key)
  const body = {
    user_identity_id: task.user_identity_id,
    credential_manager_acs_system_id: task.credential_manager_acs_system_id,
  }
  const creating = { ...body, create_credential_manager_user: true }
  const launched = given(await api.POST(`${ROOT}/launch`, { body })).enrollment_automation
  const isTyped: Exactly<typeof launched, Automation> = true
  const named = { enrollment_automation_id: launched.enrollment_automation_id }
  const query = { user_identity_id: task.user_identity_id }
  const person = client(task.personal_access_token, { "seam-workspace": task.workspace_id })
  const others: Automation[] = [
    given(await api.POST(`${ROOT}/launch`, { body })).enrollment_automation,
    given(await api.POST(`${ROOT}/get`, { body: named })).enrollment_automation,
    given(await api.GET(`${ROOT}/get`, { params: { query: named } })).enrollment_automation,
    ...given(await api.POST(`${ROOT}/list`, { body: query })).enrollment_automations,
    ...given(await api.GET(`${ROOT}/list`, { params: { query } })).enrollment_automations,
    given(await person.GET(`${ROOT}/get`, { params: { query: named } })).enrollment_automation,
  ]
  return {
    launched,
    isTyped,
    others,
    conflict: refusal(await api.POST(`${ROOT}/launch`, { body: creating })),
    both_users: refusal(
      await api.POST(`${ROOT}/launch`, { body: { ...creating, credential_manager_acs_user_id: UNKNOWN } }),
    ),
    not_found: refusal(await api.GET(`${ROOT}/get`, { params: { query: { enrollment_automation_id: UNKNOWN } } })),
    unauthorized: refusal(await client(task.wrong_token).GET(`${ROOT}/get`, { params: { query: named } })),
    deleted: given(await api.POST(`${ROOT}/delete`, { body: named })).ok,
    deleted_again: refusal(await api.DELETE(`${ROOT}/delete`, { params: { query: named } })),
  }
}

async function ofPeople() {
  const api = client(task.api_key)
  const person = { full_name: "Jo Doe", email_address: task.email_address, phone_number: task.phone_number }
  const { user_identity_id } = given(await api.POST("/user_identities/create", { body: person })).user_identity
  await api.PATCH("/user_identities/update", { body: { user_identity_id, phone_number: null } })
  const updated = given(await api.POST("/user_identities/get", { body: { user_identity_id } })).user_identity
  const { acs_user_id } = given(
    await api.POST("/acs/users/create", {
      body: {
        full_name: "Jo Doe",
        acs_system_id: task.acs_system_id,
        access_schedule: { starts_at: "2099-01-01T00:00:00Z", ends_at: "2099-01-02T00:00:00Z" },
      },
    }),
  ).acs_user
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
  const scheduled = given(await api.POST("/acs/users/get", { body: { acs_user_id } })).acs_user.access_schedule
  return {
    updated: [updated.email_address, updated.phone_number],
    scheduled,
    invalid: refusal(await api.GET("/user_identities/list", { params: { query: { page_cursor: "x" } } })),
    pages: await pages(async (page_cursor) =>
      given(await api.POST("/user_identities/list", { body: { limit: 2, page_cursor } })),
    ),
    pages_by_get: await pages(async (page_cursor) => {
      const query = { limit: 2, created_before: tomorrow, ...(page_cursor === null ? {} : { page_cursor }) }
      return given(await api.GET("/user_identities/list", { params: { query } }))
    }),
  }
}

async function pages(read: (cursor: string | null) => Promise<components["schemas"]["UserIdentitiesResponse"]>) {
  const found: string[][] = []
  let cursor: string | null = null
  do {
    const page: components["schemas"]["UserIdentitiesResponse"] = await read(cursor)
    found.push(page.user_identities.map((identity) => identity.user_identity_id))
    cursor = page.pagination.next_page_cursor
  } while (cursor !== null)
  return found
}

/** What a typed body does not take; the compiler would call these comments superfluous if it were not typed. */
export const refused = [
  // @ts-expect-error The credential manager is missing.
  () => client("").POST(`${ROOT}/launch`, { body: { user_identity_id: UNKNOWN } }),
  // @ts-expect-error An id is a string.
  () => client("").POST(`${ROOT}/get`, { body: { enrollment_automation_id: 1 } }),
]

async function main() {
  console.log(JSON.stringify({ ...(await ofAutomations()), ...(await ofPeople()) }))
}

void main()
