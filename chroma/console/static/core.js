/** What every page needs: the address, the API, exact numbers, remembered choices. Nothing here draws. */
import { signal } from "./vendor/signals.js";
import { T } from "./texts.js";

/** The part of the path before /console/, so that the console works behind any prefix. */
export const BASE = location.pathname.slice(0, Math.max(0, location.pathname.lastIndexOf("/console")));
export const PAGE_SIZES = [25, 50, 100, 250];

// ---------------------------------------------------------------- exact numbers

/** A number that was written with a fraction or an exponent and is whole, such as 1.0. Its type is kept. */
export class Real {
  /** @param {string} text */
  constructor(text) { this.text = /[.eE]/.test(text) ? text : `${text}.0`; }
  toString() { return this.text; }
  valueOf() { return Number(this.text); }
}

/** Whether this browser tells the reviver how a number was written. Others ask for integers as text. */
export const EXACT = (() => {
  let source = "";
  JSON.parse("10", /** @type {any} */ ((_, value, context) => { source = context?.source; return value; }));
  return source === "10";
})();

/** Read JSON: whole numbers beyond 2^53 become BigInt, and 1.0 stays a Real. @param {string} text */
export function parse(text) {
  return JSON.parse(text, /** @type {any} */ ((_, value, context) => {
    if (typeof value !== "number" || !context?.source) return value;
    const whole = /^-?\d+$/.test(context.source);
    if (whole) return Number.isSafeInteger(value) ? value : BigInt(context.source);
    return Number.isInteger(value) ? new Real(context.source) : value;
  }));
}

/** Write JSON that `parse` reads back. @param {any} value @param {string} [indent] @returns {string} */
export function write(value, indent = "", inner = "") {
  if (typeof value === "bigint" || value instanceof Real) return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const list = Array.isArray(value);
  const entries = list
    ? value.map((each) => write(each, indent, inner + indent))
    : Object.keys(value).filter((key) => value[key] !== undefined)
      .map((key) => `${JSON.stringify(key)}:${indent ? " " : ""}${write(value[key], indent, inner + indent)}`);
  const [open, close] = list ? "[]" : "{}";
  if (!indent || !entries.length || (list && entries.join().length < 60)) return open + entries.join(indent ? ", " : ",") + close;
  return `${open}\n${entries.map((each) => inner + indent + each).join(",\n")}\n${inner}${close}`;
}

/** The type of a metadata value. @param {any} value */
export function typeOf(value) {
  if (Array.isArray(value)) return "list";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "text";
  if (typeof value === "bigint") return "int";
  if (value instanceof Real) return "float";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  return "json";
}

/** A metadata value from what was typed. @param {string} type @param {string} text */
export function typed(type, text) {
  if (type === "text") return text;
  const plain = text.trim();
  if (type === "bool") {
    if (plain !== "true" && plain !== "false") throw new Error(T.notBool(text));
    return plain === "true";
  }
  if (type === "int") {
    if (!/^[+-]?\d+$/.test(plain)) throw new Error(T.notInt(text));
    const exact = BigInt(plain.replace("+", ""));
    if (exact < -(2n ** 63n) || exact >= 2n ** 63n) throw new Error(T.tooLarge(text));
    return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  }
  if (type === "float") {
    const number = Number(plain);
    if (!plain || !Number.isFinite(number)) throw new Error(T.notFloat(text));
    return Number.isInteger(number) ? new Real(String(number)) : number;
  }
  return parse(plain);
}

/** A value as it is shown. @param {any} value */
export const show = (value) => (typeof value === "string" ? value : write(value));

/** Floats from base64 (32 bits, little endian). @param {string} text */
export function floats(text) {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  return new Float32Array(bytes.buffer, 0, bytes.length >> 2);
}

const numbers = new Intl.NumberFormat("en");
/** @param {any} value */
export const count = (value) => (value == null ? "–" : numbers.format(value));
/** @param {number} value @param {number} [digits] */
export const short = (value, digits = 4) => (value == null ? "–" : Number(Number(value).toPrecision(digits)).toString());
/** @param {number} value */
export function size(value) {
  if (value == null) return "–";
  const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = value < 1 ? 0 : Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${short(value / 1024 ** step, 3)} ${steps[step]}`;
}

// ---------------------------------------------------------------- remembered choices

/** A value in the browser's storage, or null where the browser forbids it. @param {string} key */
export function remembered(key, store = "localStorage") {
  try { return window[store].getItem(`chroma-console:${key}`); } catch (error) { console.info(String(error)); return null; }
}
/** Whether the browser kept it. @param {string} key @param {string | null} value */
export function remember(key, value, store = "localStorage") {
  try {
    if (value === null) window[store].removeItem(`chroma-console:${key}`);
    else window[store].setItem(`chroma-console:${key}`, value);
    return true;
  } catch (error) { console.info(String(error)); return false; }
}
/** Forget what the console keeps in a store, except the named keys. @param {"localStorage" | "sessionStorage"} store @param {string[]} except */
function forget(store, except = []) {
  try {
    for (const key of Object.keys(window[store])) if (key.startsWith("chroma-console:") && !except.includes(key.slice(15))) window[store].removeItem(key);
  } catch (error) { console.info(String(error)); }
}

const SELECTIONS = 3;
/**
 * Keep ids for the Data page, in this tab. The newest three lists are kept; older ones make room.
 * @param {string} collection its id @param {string[]} ids @returns {string} the name of the list
 */
export function keepSelection(collection, ids) {
  const name = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const text = JSON.stringify({ collection, ids });
  let old = JSON.parse(remembered("selections", "sessionStorage") ?? "[]");
  const drop = (number) => { for (const each of old.slice(0, number)) remember(`selection:${each}`, null, "sessionStorage"); old = old.slice(number); };
  drop(Math.max(0, old.length - SELECTIONS + 1));
  if (!remember(`selection:${name}`, text, "sessionStorage")) {
    drop(old.length);
    if (!remember(`selection:${name}`, text, "sessionStorage")) throw new Error(T.selectionTooLarge(count(ids.length)));
  }
  remember("selections", JSON.stringify([...old, name]), "sessionStorage");
  return name;
}
/** The ids of a list; an error if this tab has no such list of this collection. @param {string} name @param {string} collection @returns {string[]} */
export function selectionOf(name, collection) {
  const kept = JSON.parse(remembered(`selection:${name}`, "sessionStorage") ?? "null");
  if (kept?.collection !== collection) throw new Error(T.noSelection);
  return kept.ids;
}

export const theme = signal(remembered("theme") ?? "system");
export const singleKeys = signal(remembered("keys") !== "off");
theme.subscribe((value) => {
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
});

// ---------------------------------------------------------------- the address

/** @typedef {{tenant: string, database: string, collection: string | null, page: string, params: Record<string, string>}} Place */

const DEFAULTS = { tenant: "default_tenant", database: "default_database" };

/** @param {string} hash @returns {Place} */
export function readPlace(hash) {
  const [path, query] = [hash.replace(/^#\/?/, "").split("?", 1)[0], hash.includes("?") ? hash.slice(hash.indexOf("?") + 1) : ""];
  const place = { ...DEFAULTS, collection: null, page: "overview", params: Object.fromEntries(new URLSearchParams(query)) };
  const names = { t: "tenant", d: "database", c: "collection" };
  const parts = path.split("/").filter(Boolean);
  while (parts.length > 1 && own(names, parts[0])) {
    const [kind, name] = parts.splice(0, 2);
    try { place[names[kind]] = decodeURIComponent(name); } catch { place[names[kind]] = name; }
  }
  place.page = parts[0] ?? (place.collection === null ? "overview" : "data");
  return place;
}

/** @param {Partial<Place>} change @returns {string} the hash of a place; what is not named stays as it is */
export function href(change) {
  const at = place.value;
  const next = { tenant: at.tenant, database: at.database, collection: at.collection, page: at.page, params: {}, ...change };
  const part = (kind, name) => (name === null || name === undefined ? "" : `/${kind}/${encodeURIComponent(name)}`);
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(next.params)) if (value !== undefined && value !== null && value !== "") query.set(key, String(value));
  const text = query.toString();
  return `#${part("t", next.tenant)}${part("d", next.database)}${part("c", next.collection)}/${next.page}${text ? `?${text}` : ""}`;
}

export const place = signal(readPlace(location.hash));
addEventListener("hashchange", () => { place.value = readPlace(location.hash); });
/** @param {Partial<Place>} change */
export function go(change, replace = false) {
  const hash = href(change);
  if (hash === location.hash) return;
  if (replace) { history.replaceState(null, "", hash); place.value = readPlace(hash); } else location.hash = hash;
}
/** Change parameters of this page; null removes one. @param {Record<string, any>} params */
export const turn = (params, replace = false) => go({ params: { ...place.value.params, ...params } }, replace);

// ---------------------------------------------------------------- the API

export class Refused extends Error {
  /** @param {number} status @param {string} message @param {any} body */
  constructor(status, message, body) { super(message); this.status = status; this.body = body; }
  /** Whether the server has no such route. A missing record or collection has a message instead. */
  get missing() { return (this.status === 404 || this.status === 405 || this.status === 501) && !this.body; }
}

/** The header with the credentials, or null. */
export const credentials = signal(remembered("credentials", "sessionStorage"));
/** Who one is; null while signed out. */
export const identity = signal(/** @type {any} */ (undefined));
/** What a screen reader is told, and what is shown for some seconds, too. `number` tells two equal texts apart. */
export const announcement = signal({ text: "", number: 0 });
export const toast = signal({ text: "", number: 0 });
/** Tell a screen reader. @param {string} text */
export const announce = (text) => { announcement.value = { text, number: announcement.value.number + 1 }; };
/** Tell everybody. @param {string} text */
export const tell = (text) => { toast.value = { text, number: toast.value.number + 1 }; };
/** A text that could not be copied by itself, and is shown to be copied by hand. */
export const toCopy = signal(/** @type {string | null} */ (null));
export const mayWrite = () => !identity.value?.role || identity.value.role !== "read";
export const mayAdmin = () => !identity.value?.role || identity.value.role === "admin";

/** @param {string | null} header */
export function signIn(header) {
  credentials.value = header;
  remember("credentials", header, "sessionStorage");
}
/** Forget the credentials and what this person has typed and selected. The choice of colours and keys stays. */
export function signOut() {
  credentials.value = null;
  identity.value = null;
  forget("sessionStorage");
  forget("localStorage", ["theme", "keys"]);
  dispatchEvent(new Event("signed-out"));
}
/** The headers of the credentials. A server reads a token from one of two. @returns {Record<string, string>} */
function credentialHeaders() {
  const header = credentials.value;
  if (!header) return {};
  return header.startsWith("Bearer ") ? { Authorization: header, "X-Chroma-Token": header.slice(7) } : { Authorization: header };
}

/**
 * Call the API.
 * @param {string} method @param {string} path below /api/v2 @param {any} [body]
 * @param {{signal?: AbortSignal, answer?: "json" | "plain" | "blob", anonymous?: boolean}} [options]
 */
export async function call(method, path, body, { signal: stop, answer = "json", anonymous = false } = {}) {
  const headers = { "X-Chroma-Console": "1", Accept: answer === "blob" ? "*/*" : "application/json", ...(anonymous ? {} : credentialHeaders()) };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`${BASE}/api/v2${path}`, {
      method, headers, signal: stop, credentials: "omit", cache: "no-store",
      body: body === undefined ? undefined : write(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, T.unreachable, { message: T.unreachable });
  }
  if (!response.ok) throw await refusal(response);
  if (answer === "blob") return response.blob();
  const text = await response.text();
  return answer === "plain" ? JSON.parse(text) : text ? parse(text) : null;
}

/** @param {Response} response */
async function refusal(response) {
  const text = await response.text();
  let body = null;
  try { body = text ? JSON.parse(text) : null; } catch { body = { message: text.slice(0, 500) }; }
  if (response.status === 401 && identity.value !== undefined) identity.value = null;
  const message = body?.message ?? (response.status === 404 || response.status === 405 ? T.noRoute : T.status(response.status));
  return new Refused(response.status, message, body);
}

const enc = encodeURIComponent;
export const scopePath = (at = place.value) => `/tenants/${enc(at.tenant)}/databases/${enc(at.database)}`;
/** The path of a collection by its id. @param {string} id */
export const collectionPath = (id, at = place.value) => `${scopePath(at)}/collections/${enc(id)}`;

/** Files are asked for with the same headers and then handed to the browser. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
/** Copy a text. Where the browser forbids it (plain HTTP), the text is shown instead, selected. @param {string} text */
export async function copy(text) {
  try { await navigator.clipboard.writeText(text); tell(T.copied); } catch (error) { console.info(String(error)); toCopy.value = text; }
}
/** A cell of a CSV file. Texts are written as they are, also those that a spreadsheet takes for a formula. @param {any} value */
export const csvCell = (value) => { const plain = value === null || value === undefined ? "" : show(value); return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain; };
/** A text as one word of a shell's command. @param {string} text */
export const shell = (text) => (/^[\w@%+=:,./-]+$/.test(text) && !text.startsWith("-") ? text : `'${text.replaceAll("'", "'\\''")}'`);
/** The address of the server, with the prefix of a proxy. */
export const serverUrl = () => `${location.origin}${BASE}`;
/** A whole number of the address that lies between two bounds. @param {string | undefined} text @param {number} fallback */
export function wholeOf(text, fallback, low = 1, high = Number.MAX_SAFE_INTEGER) {
  const number = Number(text);
  return text && Number.isInteger(number) ? Math.min(high, Math.max(low, number)) : fallback;
}
/** A value of an object's own; names such as "constructor" have no other. @param {any} object @param {string} key */
export function own(object, key) { return object && Object.hasOwn(object, key) ? object[key] : undefined; }

// ---------------------------------------------------------------- filters

/** @typedef {{key: string, op: string, value: any}} Chip */
export const OPS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains", "$not_contains", "$like", "$ilike", "$regex", "$exists"];
export const LIST_OPS = new Set(["$in", "$nin"]);

/** The chips of a filter, or null if it is more than conditions joined by and. @param {any} where @returns {Chip[] | null} */
export function chipsOf(where) {
  if (where === null || where === undefined) return [];
  if (typeof where !== "object" || Array.isArray(where)) return null;
  const found = [];
  for (const [key, condition] of Object.entries(where)) {
    if (key === "$and" && Array.isArray(condition)) {
      for (const each of condition) {
        const inner = chipsOf(each);
        if (!inner) return null;
        found.push(...inner);
      }
    } else if (key.startsWith("$")) return null;
    else if (condition !== null && typeof condition === "object" && !(condition instanceof Real)) {
      for (const [op, value] of Object.entries(condition)) {
        if (!OPS.includes(op)) return null;
        found.push({ key, op, value });
      }
    } else found.push({ key, op: "$eq", value: condition });
  }
  return found;
}
/** @param {Chip[]} chips */
export function whereOf(chips) {
  const each = chips.map(({ key, op, value }) => ({ [key]: op === "$eq" ? value : { [op]: value } }));
  return each.length === 0 ? undefined : each.length === 1 ? each[0] : { $and: each };
}

/** The filter in the address. @returns {{where?: any, where_document?: any}} */
export function filterOf(params = place.value.params) {
  const filter = {};
  if (params.where) filter.where = parse(params.where);
  if (params.text) filter.where_document = { [params.how === "regex" ? "$regex" : "$contains"]: params.text };
  return filter;
}
/** @param {Chip} chip @returns {Record<string, string>} parameters with one more condition */
export function withChip(chip, params = place.value.params) {
  const chips = params.where ? chipsOf(parse(params.where)) : [];
  const where = chips ? whereOf([...chips, chip]) : { $and: [parse(params.where), whereOf([chip])] };
  return { ...onlyFilter(params), where: write(where) };
}
/** The parameters that are a filter, which pages hand to each other. */
export const onlyFilter = ({ where, text, how } = place.value.params) => ({ where, text, how });

/** The keys of the records with their types, from a collection's schema. @param {any} info @returns {{key: string, types: string[]}[]} */
export function keysOf(info) {
  const names = { string: "text", int: "int", float: "float", bool: "bool" };
  return Object.entries(info?.schema?.keys ?? {})
    .filter(([key]) => !key.startsWith("#") && !key.startsWith("$"))
    .map(([key, kinds]) => ({ key, types: Object.keys(kinds).map((kind) => names[kind]).filter(Boolean) }));
}

/** Python code of a value. @param {any} value @returns {string} */
export function python(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object" && !(value instanceof Real)) {
    return `{${Object.entries(value).map(([key, each]) => `${python(key)}: ${python(each)}`).join(", ")}}`;
  }
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replace(/(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})/g, (pair) => {
      const [high, low] = pair.match(/[0-9a-fA-F]{4}/g).map((each) => parseInt(each, 16));
      return `\\U${((high - 0xd800) * 0x400 + low - 0xdc00 + 0x10000).toString(16).padStart(8, "0")}`;
    });
}
/** The line of Python that opens this collection. @param {string} name */
export function opening(name, at = place.value) {
  const scope = at.tenant === DEFAULTS.tenant && at.database === DEFAULTS.database ? "" : `, tenant=${python(at.tenant)}, database=${python(at.database)}`;
  return `import chroma\n\nclient = chroma.HttpClient(${python(serverUrl())}${scope})${credentials.value ? "  # with CHROMA_TOKEN or CHROMA_USER" : ""}\ncollection = client.get_collection(${python(name)})\n`;
}
