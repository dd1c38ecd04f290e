// The script of the page /docs. docs_page.py puts the constant SETTINGS before it.

const TOKENS_KEY = "enrollments.tokens";
// The ids of what this page has made, by name. Those of the group EVERYWHERE go into the examples of all routes, the
// others into those of the family of routes that answered with them.
const EVERYWHERE = "";
const made = { [EVERYWHERE]: {} };
// The name of the id of what a family makes, for example acs_user_id by /acs/users.
const idNames = {};
// The example that each operation is filled in with now, where it is not the document's.
const filledIn = new Map();
// The last request's parameters by its address, because Swagger UI shows an answer without its request.
const sent = new Map();
// What the page is authorized with, by security scheme.
const authorized = {};

let apiDocument;
let ui;

// Tokens

function isToken(scheme) {
  return apiDocument.components.securitySchemes[scheme].type === "http";
}

function token() {
  const scheme = Object.keys(authorized).find(isToken);
  return scheme && authorized[scheme];
}

function kindOf(value) {
  if (value.startsWith("seam_at")) return "personal access token";
  if (value.startsWith("seam_cst")) return "client session";
  return value.startsWith("seam_") ? "API key" : "token";
}

function showToken() {
  const value = token();
  const isEntered = value !== undefined && value !== SETTINGS.apiKey;
  // The part before the second underscore finds a token; the rest is its secret.
  const [, prefix = ""] = value?.match(/^(seam_[0-9A-Za-z]+)_/) ?? [];
  document.getElementById("token").textContent = !value
    ? "Requests are sent without a token."
    : isEntered
      ? `Requests are authorized with the ${kindOf(value)} that you entered${prefix && `: ${prefix}_…`}`
      : "Requests are authorized with the API key of the demo workspace.";
  document.getElementById("use-demo-key").hidden = !!value && !isEntered;
  // A reload keeps what was entered. A new tab starts with the demo's key.
  if (isEntered) sessionStorage.setItem(TOKENS_KEY, JSON.stringify(authorized));
  else sessionStorage.removeItem(TOKENS_KEY);
}

// Swagger UI's preauthorizeApiKey goes past plugins, so the page would not learn of the token.
function authorize(scheme, value) {
  ui.authActions.authorize({ [scheme]: { name: scheme, schema: apiDocument.components.securitySchemes[scheme], value } });
}

function useDemoKey() {
  authorize("api_key", SETTINGS.apiKey);
}

// One token at a time: who enters one wants it to be used.
const oneToken = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (original, system) => (schemes) => {
          const entered = {};
          for (const [name, scheme] of Object.entries(schemes)) {
            const value = String(scheme.value ?? "").trim();
            if (value) entered[name] = { ...scheme, value };
          }
          const others = Object.keys(authorized).filter((name) => isToken(name) && !(name in entered));
          if (others.length && Object.keys(entered).some(isToken)) system.authActions.logout(others);
          for (const [name, { value }] of Object.entries(entered)) authorized[name] = value;
          showToken();
          return original(entered);
        },
        logout: (original) => (names) => {
          for (const name of names) delete authorized[name];
          showToken();
          return original(names);
        },
      },
    },
  },
});

// Examples

function familyOf(path) {
  return path.slice(0, path.lastIndexOf("/"));
}

function learn(path, answer) {
  const [name, thing] = Object.entries(answer).find(([, value]) => value && typeof value === "object") ?? [];
  const id = thing?.[`${name}_id`];
  if (!id) return;
  const family = familyOf(path);
  idNames[family] = `${name}_id`;
  for (const ids of Object.values(made)) delete ids[idNames[family]];
  made[EVERYWHERE][idNames[family]] = id;
  made[family] = Object.fromEntries(
    Object.entries(thing).filter(([key, value]) => key.endsWith("_id") && key !== idNames[family] && value),
  );
}

function forget(id) {
  for (const ids of Object.values(made)) {
    for (const name of Object.keys(ids)) if (ids[name] === id) delete ids[name];
  }
}

function withMadeIds(path, example) {
  const ids = { ...made[EVERYWHERE], ...made[familyOf(path)] };
  return Object.fromEntries(Object.entries(example).map(([name, value]) => [name, ids[name] ?? value]));
}

// Replace an example in what an operation is filled in with. What the person has typed is another value, and stays.
function fillBody(path, method, before, after) {
  const text = ui.oas3Selectors.requestBodyValue(path, method);
  let body = after;
  // Without a text the operation was never opened, or the text was deleted.
  if (text) {
    try {
      body = JSON.parse(text);
    } catch {
      return;
    }
    if (!body || typeof body !== "object") return;
    const stale = Object.keys(after).filter((name) => body[name] === before[name] && body[name] !== after[name]);
    if (!stale.length) return;
    for (const name of stale) body[name] = after[name];
  }
  // Without the flag, Swagger UI drops the value when the operation is opened for the first time.
  ui.oas3Actions.setRetainRequestBodyValueFlag({ value: true, pathMethod: [path, method] });
  ui.oas3Actions.setRequestBodyValue({ value: JSON.stringify(body, null, 2), pathMethod: [path, method] });
}

function fillQuery(path, method, before, after) {
  const values = ui.specSelectors.parameterValues([path, method]);
  for (const parameter of ui.specSelectors.specJson().getIn(["paths", path, method, "parameters"])) {
    const name = parameter.get("name");
    const value = values.get(`query.${name}`);
    if (before[name] !== after[name] && (value === undefined || value === before[name])) {
      ui.specActions.changeParamByIdentity([path, method], parameter, after[name]);
    }
  }
}

function fillIn() {
  for (const [path, operations] of Object.entries(apiDocument.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const example =
        operation.requestBody?.content["application/json"].example ??
        Object.fromEntries(operation.parameters.filter((one) => "example" in one).map((one) => [one.name, one.example]));
      const before = filledIn.get(operation.operationId) ?? example;
      const after = withMadeIds(path, example);
      if (JSON.stringify(before) === JSON.stringify(after)) continue;
      (operation.requestBody ? fillBody : fillQuery)(path, method, before, after);
      filledIn.set(operation.operationId, after);
    }
  }
}

// Requests

function onRequest(request) {
  const { pathname, searchParams } = new URL(request.url, location);
  let parameters = Object.fromEntries(searchParams);
  try {
    parameters = { ...parameters, ...JSON.parse(request.body ?? "{}") };
  } catch {
    // A person may try what is no JSON.
  }
  sent.set(pathname, parameters);
  // Also where the document says that a route does not take such a token: the answer tells why.
  if (token()) request.headers.Authorization = `Bearer ${token()}`;
  return request;
}

function onResponse(response) {
  const { pathname } = new URL(response.url, location);
  const operations = apiDocument.paths[pathname];
  if (!response.ok || !operations) return response;
  // What makes something takes POST alone: reads, changes and deletions have a verb of their own, too.
  if (Object.keys(operations).join() === "post") learn(pathname, response.body);
  if (pathname.endsWith("/delete")) forget(sent.get(pathname)?.[idNames[familyOf(pathname)]]);
  fillIn();
  return response;
}

async function start() {
  apiDocument = await (await fetch(SETTINGS.url)).json();
  ui = SwaggerUIBundle({
    dom_id: "#swagger-ui",
    spec: apiDocument,
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null, // otherwise a badge comes from swagger.io
    plugins: [oneToken],
    requestInterceptor: onRequest,
    responseInterceptor: onResponse,
    onComplete: () => {
      const entered = Object.entries(JSON.parse(sessionStorage.getItem(TOKENS_KEY) ?? "{}"));
      for (const [scheme, value] of entered) authorize(scheme, value);
      if (!entered.length) useDemoKey();
    },
  });
  document.getElementById("use-demo-key").addEventListener("click", useDemoKey);
}

start();
