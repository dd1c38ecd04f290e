// A connector, as docs/connector.md describes it. In place of a manufacturer it has a small pretended one, in memory.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const HOUR_MS = 3_600_000;
const ACCEPTED_AFTER_MS = 1000; // a phone accepts its invitation by itself
const MAX_BODY = 1024 * 1024; // the document has no limit for requests; this is far above what they need

const secret = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(process.env.CONNECTOR_SECRET ?? "");
if (!secret) {
  console.error("CONNECTOR_SECRET is missing, or is not whsec_ and base64: take what `connectors set` printed.");
  process.exit(1);
}
const key = Buffer.from(secret[1], "base64");

// The pretended manufacturer. Its maps are by our ids, and it keeps attempts and versions for us, as notes.
const [persons, phones, credentials] = [new Map(), new Map(), new Map()];
const pools = new Map(Object.entries({ standard: 100, visitor: 2 })); // how many credentials each has in all
let number = 4710;
const ask = (work) => sleep(20).then(work); // a call takes a while, so requests do overlap

function invite(phoneId, personId, attempt) {
  const [acceptedAt, expiresAt] = [Date.now() + ACCEPTED_AFTER_MS, Date.now() + HOUR_MS];
  phones.set(phoneId, { id: `phone-${++number}`, code: `CODE-${number}`, personId, attempt, acceptedAt, expiresAt });
}
function stateOf({ acceptedAt, expiresAt }) {
  if (acceptedAt <= Math.min(Date.now(), expiresAt)) return "active";
  return Date.now() < expiresAt ? "invited" : "expired";
}
const left = (pool) => pools.get(pool) - [...credentials.values()].filter((other) => other.pool === pool).length;
function issue(acsId, phoneId, pool, validity) {
  if (pool !== null && !pools.has(pool)) return { reason: "rejected", message: `There is no pool "${pool}".` };
  if (pool !== null && left(pool) < 1) return { reason: "pool_exhausted", message: `Pool "${pool}" is empty.` };
  credentials.set(acsId, { id: `credential-${++number}`, card: `8${number}`, phoneId, pool, ...validity });
}
function removePhone(phoneId) {
  for (const [acsId, credential] of credentials) if (credential.phoneId === phoneId) credentials.delete(acsId);
  phones.delete(phoneId);
}

// The connector. It remembers removed ids, also those that never were there: a late request brings nothing back.
const removed = new Set();
function remember(id) {
  removed.add(id);
  setTimeout(() => removed.delete(id), HOUR_MS).unref();
}
async function phoneAnswer(phoneId) {
  const phone = await ask(() => phones.get(phoneId));
  if (!phone) return { state: "gone" };
  const state = stateOf(phone);
  if (state === "active") return { state, endpoint_id: phone.id };
  if (state === "expired") return { state: "failed", reason: "invitation_expired", message: "The invitation expired." };
  return { state, app: { invitation_code: phone.code }, app_expires_at: new Date(phone.expiresAt), check_after_s: 1 };
}
async function credentialAnswer(acs_credential_id, phoneId) {
  const credential = await ask(() => credentials.get(acs_credential_id));
  if (credential?.phoneId !== phoneId) return { acs_credential_id, state: "gone" };
  const { id: manager_credential_id, card: card_number, version, starts_at, ends_at } = credential;
  return { acs_credential_id, state: "active", version, manager_credential_id, card_number, starts_at, ends_at };
}

const handlers = {
  async "manager.check"() {
    const list = await ask(() => [...pools.keys()].map((pool) => ({ pool, available: left(pool) })));
    return { keeps_validity: true, one_step: false, pools: list };
  },
  async "phone.register"({ person, attempt }, personId, phoneId) {
    if (removed.has(phoneId)) return { state: "gone" };
    const phone = await ask(() => phones.get(phoneId));
    if (!phone || (stateOf(phone) === "expired" && attempt > phone.attempt)) {
      await ask(() => persons.set(personId, person)); // made, or brought up to date
      await ask(() => invite(phoneId, personId, attempt));
    }
    return phoneAnswer(phoneId);
  },
  async "phone.status"(data, personId, phoneId) {
    const named = data.credentials.map(({ acs_credential_id }) => credentialAnswer(acs_credential_id, phoneId));
    return { ...(await phoneAnswer(phoneId)), credentials: await Promise.all(named) };
  },
  async "phone.deregister"({ is_last_phone }, personId, phoneId) {
    remember(phoneId); // first: if the rest fails, the request comes again
    await ask(() => removePhone(phoneId));
    const hasPhone = await ask(() => [...phones.values()].some((phone) => phone.personId === personId));
    if (is_last_phone && !hasPhone) await ask(() => persons.delete(personId));
    return { state: "gone" };
  },
  async "credential.issue"({ acs_credential_id, version, starts_at, ends_at, pool }, personId, phoneId) {
    if (removed.has(phoneId) || removed.has(acs_credential_id)) return { acs_credential_id, state: "gone" };
    const [phone, credential] = await ask(() => [phones.get(phoneId), credentials.get(acs_credential_id)]);
    const validity = { version, starts_at, ends_at };
    let refusal;
    if (!phone || stateOf(phone) !== "active" || (credential && credential.phoneId !== phoneId))
      refusal = { reason: "rejected", message: "There is no such phone, or it is not active." };
    else if (!credential) refusal = await ask(() => issue(acs_credential_id, phoneId, pool, validity));
    else if (version > credential.version) await ask(() => Object.assign(credential, validity));
    return refusal ? { acs_credential_id, state: "failed", ...refusal } : credentialAnswer(acs_credential_id, phoneId);
  },
  async "credential.revoke"({ acs_credential_id }) {
    remember(acs_credential_id);
    await ask(() => credentials.delete(acs_credential_id));
    return { acs_credential_id, state: "gone" };
  },
};
const turns = new Map(); // by user_identity_id: the end of the last request about this person
function inTurn(personId, work) {
  const mine = (turns.get(personId) ?? Promise.resolve()).then(work);
  const ended = mine.catch(() => {}).then(() => turns.get(personId) === ended && turns.delete(personId));
  turns.set(personId, ended);
  return mine;
}
function whyRefused({ "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures }, body) {
  if (!id || !time || !signatures) return "A webhook header is missing.";
  if (!/^\d+$/.test(time) || Math.abs(Date.now() / 1000 - Number(time)) > 300) return "The time is wrong.";
  const hmac = createHmac("sha256", key).update(`${id}.${time}.`).update(body);
  const right = Buffer.from(`v1,${hmac.digest("base64")}`);
  const isRight = (entry) => entry.length === right.length && timingSafeEqual(Buffer.from(entry, "latin1"), right);
  return signatures.split(" ").some(isRight) ? null : "No signature is right.";
}
const parse = async (body) => JSON.parse(body);
async function answer(request, log) {
  if (request.method !== "POST") return [405, { error: "Send a POST." }];
  const chunks = [];
  for await (const chunk of request) {
    if (request.socket.bytesRead > MAX_BODY) throw new Error("too large"); // each request has its own connection
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks); // the bytes as they came
  const error = whyRefused(request.headers, body);
  if (error) return [401, { error }];
  const { type, data } = (await parse(body).catch(() => null)) ?? {};
  if (typeof type !== "string" || !Object.hasOwn(handlers, type)) return [400, { error: "Not JSON, or unknown type." }];
  const [personId, phoneId] = [data?.person?.user_identity_id, data?.phone?.phone_registration_id];
  const credentialId = data?.acs_credential_id;
  Object.assign(log, { type, phone: phoneId, credential: credentialId });
  if (type === "manager.check") return [200, await handlers[type]()];
  const ids = type.startsWith("credential.") ? [personId, phoneId, credentialId] : [personId, phoneId];
  if (!ids.every((id) => id && typeof id === "string")) return [400, { error: "An id is missing." }];
  return [200, await inTurn(personId, () => handlers[type](data, personId, phoneId))];
}
const server = createServer(async (request, response) => {
  const [log, start] = [{ webhook_id: request.headers["webhook-id"] }, Date.now()];
  const [status, body] = await answer(request, log).catch((error) => {
    console.error(error);
    return [500, { error: "Something unexpected happened." }];
  });
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  console.log(JSON.stringify({ ...log, status, state: body.state, reason: body.reason, ms: Date.now() - start }));
});
server.listen(process.env.PORT || 3200, "127.0.0.1", () => console.log("The connector listens at", server.address()));
