/** Uses the client that openapi-generator makes for typescript-fetch, and prints what it was answered with as JSON. */
import {
  AcsUsersApi,
  Configuration,
  type EnrollmentAutomation,
  EnrollmentAutomationsApi,
  EnrollmentAutomationToJSON,
  ErrorResponseFromJSON,
  ResponseError,
  UserIdentitiesApi,
  type UserIdentitiesResponse,
} from "./generated/typescript-fetch"
import { type Exactly, type Refusal, task, UNKNOWN } from "./task"

function configuration(accessToken: string, workspaceId?: string) {
  return new Configuration({ basePath: task.base_url, accessToken, apiKey: workspaceId })
}

async function refusal(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call
  } catch (refused) {
    if (!(refused instanceof ResponseError)) throw refused
    const { error } = ErrorResponseFromJSON(await refused.response.json())
    return {
      status: refused.response.status,
      type: error.type,
      rules: error.validationErrors?.errors ?? null,
      page_cursor: error.validationErrors?.pageCursor?.errors ?? null,
      names: error.data?.enrollmentAutomationId ?? null,
    }
  }
  return { status: 200 }
}

async function ofAutomations() {
  const api = new EnrollmentAutomationsApi(configuration(task.api_key))
  const nobody = new EnrollmentAutomationsApi(configuration(task.wrong_token))
  const person = new EnrollmentAutomationsApi(configuration(task.personal_access_token, task.workspace_id))
  const { user_identity_id: userIdentityId, credential_manager_acs_system_id: credentialManagerAcsSystemId } = task
  const launchRequest = { userIdentityId, credentialManagerAcsSystemId }
  const creating = { ...launchRequest, createCredentialManagerUser: true }
  const launched = (await api.launchEnrollmentAutomation({ launchRequest })).enrollmentAutomation
  const isTyped: Exactly<typeof launched, EnrollmentAutomation> = true
  const createdAt: Date = launched.createdAt
  const { enrollmentAutomationId } = launched
  const others: EnrollmentAutomation[] = [
    (await api.launchEnrollmentAutomation({ launchRequest })).enrollmentAutomation,
    (await api.getEnrollmentAutomation({ getAutomationRequest: { enrollmentAutomationId } })).enrollmentAutomation,
    (await api.getEnrollmentAutomationByGet({ enrollmentAutomationId })).enrollmentAutomation,
    ...(await api.listEnrollmentAutomations({ listAutomationsRequest: { userIdentityId } })).enrollmentAutomations,
    ...(await api.listEnrollmentAutomationsByGet({ userIdentityId })).enrollmentAutomations,
    (await person.getEnrollmentAutomationByGet({ enrollmentAutomationId })).enrollmentAutomation,
  ]
  return {
    launched: EnrollmentAutomationToJSON(launched),
    isTyped,
    createdAt,
    others: others.map((other) => EnrollmentAutomationToJSON(other)),
    conflict: await refusal(api.launchEnrollmentAutomation({ launchRequest: creating })),
    both_users: await refusal(
      api.launchEnrollmentAutomation({ launchRequest: { ...creating, credentialManagerAcsUserId: UNKNOWN } }),
    ),
    not_found: await refusal(api.getEnrollmentAutomationByGet({ enrollmentAutomationId: UNKNOWN })),
    unauthorized: await refusal(nobody.getEnrollmentAutomationByGet({ enrollmentAutomationId })),
    deleted: (await api.deleteEnrollmentAutomation({ deleteAutomationRequest: { enrollmentAutomationId } })).ok,
    deleted_again: await refusal(api.deleteEnrollmentAutomationByDelete({ enrollmentAutomationId })),
  }
}

async function ofPeople() {
  const identities = new UserIdentitiesApi(configuration(task.api_key))
  const acsUsers = new AcsUsersApi(configuration(task.api_key))
  const createUserIdentityRequest = {
    fullName: "Jo Doe",
    emailAddress: task.email_address,
    phoneNumber: task.phone_number,
  }
  const { userIdentityId } = (await identities.createUserIdentity({ createUserIdentityRequest })).userIdentity
  await identities.updateUserIdentity({ updateUserIdentityRequest: { userIdentityId, phoneNumber: null } })
  const updated = (await identities.getUserIdentity({ getUserIdentityRequest: { userIdentityId } })).userIdentity
  const createAcsUserRequest = {
    fullName: "Jo Doe",
    acsSystemId: task.acs_system_id,
    accessSchedule: { startsAt: new Date("2099-01-01T00:00:00Z"), endsAt: new Date("2099-01-02T00:00:00Z") },
  }
  const { acsUserId } = (await acsUsers.createAcsUser({ createAcsUserRequest })).acsUser
  const createdBefore = new Date(Date.now() + 86_400_000)
  const { accessSchedule } = (await acsUsers.getAcsUser({ acsUserRequest: { acsUserId } })).acsUser
  return {
    updated: [updated.emailAddress, updated.phoneNumber],
    scheduled: { starts_at: accessSchedule?.startsAt, ends_at: accessSchedule?.endsAt },
    invalid: await refusal(identities.listUserIdentitiesByGet({ pageCursor: "x" })),
    pages: await pages((pageCursor) =>
      identities.listUserIdentities({ listUserIdentitiesRequest: { limit: 2, pageCursor } }),
    ),
    pages_by_get: await pages((cursor) =>
      identities.listUserIdentitiesByGet({ limit: 2, createdBefore, pageCursor: cursor ?? undefined }),
    ),
  }
}

async function pages(read: (cursor: string | null) => Promise<UserIdentitiesResponse>) {
  const found: string[][] = []
  let cursor: string | null = null
  do {
    const page: UserIdentitiesResponse = await read(cursor)
    found.push(page.userIdentities.map((identity) => identity.userIdentityId))
    cursor = page.pagination.nextPageCursor
  } while (cursor !== null)
  return found
}

/** What a typed body does not take; the compiler would call these comments superfluous if it were not typed. */
const api = new EnrollmentAutomationsApi()
export const refused = [
  // @ts-expect-error The credential manager is missing.
  () => api.launchEnrollmentAutomation({ launchRequest: { userIdentityId: UNKNOWN } }),
  // @ts-expect-error An id is a string.
  () => api.getEnrollmentAutomation({ getAutomationRequest: { enrollmentAutomationId: 1 } }),
]

async function main() {
  console.log(JSON.stringify({ ...(await ofAutomations()), ...(await ofPeople()) }))
}

void main()
