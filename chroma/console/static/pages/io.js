/** Import and export. A file is read piece by piece; only one batch of it, and its ids, are in memory. */
import { call, collectionPath, count, download, filterOf, mayWrite, parse, serverUrl, shell, show, size, tell, typed, write } from "../core.js";
import { Busy, FilterBar, Problem, clipped, html, useAction, useRef, useState } from "../ui.js";
import { T } from "../texts.js";

const BATCH = 200, EMBEDDED = 100, PREVIEW = 20, LARGE = 200 * 1024 * 1024, KEPT = 1000, RETRIES = 4;
const GUESSES = { id: /^(_?id|ids|key)$/i, document: /^(documents?|text|content|body|page_content|chunk)$/i, embedding: /^(embeddings?|vectors?)$/i, uri: /^(uris?|urls?)$/i };
const ROLES = ["id", "document", "embedding", "uri", "metadata", "skip"];

// ---------------------------------------------------------------- reading

/**
 * A row of a file: where it is, and its cells by name or why it cannot be read. The cells of an object `metadata` are
 * named "metadata.key", so that none of them is taken for an id or a document.
 * @typedef {{line: number, cells: Map<string, any> | null, error?: string, text?: string}} Row
 */

/** The rows of a CSV file; cells are texts. @param {AsyncIterable<string>} pieces @param {string} comma @returns {AsyncGenerator<Row>} */
async function* csvRows(pieces, comma) {
  let header = null, row = [], field = "", quoted = false, ended = false, began = false, line = 1, start = 1, first = true;
  const close = () => { row.push(field); field = ""; began = false; ended = false; };
  /** @returns {Row | null} */
  const finish = (error = "") => {
    close();
    const [done, at] = [row, start];
    row = [];
    start = line + 1;
    if (done.length === 1 && done[0] === "" && !error) return null;
    if (!header) {
      header = done;
      const twice = header.find((name, index) => header.indexOf(name) !== index);
      if (twice !== undefined) throw new Error(T.twice(JSON.stringify(twice)));
      return null;
    }
    const wrong = error || (done.length === header.length ? "" : T.wrongCells(done.length, header.length));
    if (wrong) return { line: at, cells: null, error: wrong, text: done.join(comma) };
    return { line: at, cells: new Map(header.map((name, index) => [name, done[index]])) };
  };
  for await (const piece of pieces) {
    for (const letter of first ? piece.replace(/^\ufeff/, "") : piece) {
      if (letter === "\n" && quoted && !ended) line += 1;
      if (quoted) {
        if (ended) {
          ended = false;
          if (letter === '"') { field += '"'; continue; }
          quoted = false;
        } else if (letter === '"') { ended = true; continue; } else { field += letter; continue; }
      }
      if (letter === '"' && !began) { quoted = true; began = true; } else if (letter === comma) close();
      else if (letter === "\n") { const done = finish(); line += 1; if (done) yield done; } else if (letter !== "\r") { field += letter; began = true; }
    }
    first = false;
  }
  if (field || row.length || quoted) { const done = finish(quoted && !ended ? T.openQuote : ""); if (done) yield done; }
}

/** The texts of the values of a JSON file: its lines, or the elements of its one list. @param {AsyncIterable<string>} pieces @returns {AsyncGenerator<{line: number, text: string}>} */
async function* jsonTexts(pieces) {
  let list = null, parts = [], line = 1, start = 1, depth = 0, quoted = false, escaped = false;
  const take = (last = "") => { const text = [...parts, last].join("").trim(); parts = []; const at = start; start = line; return { line: at, text }; };
  for await (const given of pieces) {
    let piece = given;
    if (list === null) {
      piece = piece.replace(/^[\ufeff\s]+/, "");
      if (!piece) continue;
      list = piece[0] === "[";
      if (list) piece = piece.slice(1);
    }
    if (!list) {
      const lines = piece.split("\n");
      for (const each of lines.slice(0, -1)) { const found = take(each); line += 1; start = line; if (found.text) yield found; }
      parts.push(lines[lines.length - 1]);
      continue;
    }
    let from = 0;
    for (let at = 0; at < piece.length; at += 1) {
      const letter = piece[at];
      if (letter === "\n") line += 1;
      if (escaped) escaped = false;
      else if (quoted) { if (letter === "\\") escaped = true; else if (letter === '"') quoted = false; }
      else if (letter === '"') quoted = true;
      else if (letter === "{" || letter === "[") depth += 1;
      else if (letter === "}" || (letter === "]" && depth)) depth -= 1;
      else if (depth === 0 && (letter === "," || letter === "]")) { const found = take(piece.slice(from, at)); from = at + 1; if (found.text) yield found; }
    }
    parts.push(piece.slice(from));
  }
  const rest = take();
  if (rest.text) yield rest;
}
/** @param {AsyncIterable<string>} pieces @returns {AsyncGenerator<Row>} */
async function* jsonRows(pieces) {
  for await (const { line, text } of jsonTexts(pieces)) {
    let value;
    try { value = parse(text); } catch (error) { yield { line, cells: null, error: T.badLine(line, error.message), text }; continue; }
    if (value === null || typeof value !== "object" || Array.isArray(value)) yield { line, cells: null, error: T.notObject, text };
    else yield { line, cells: new Map(Object.entries(value).flatMap(([name, each]) => (isPlain(name, each) ? Object.entries(each).map(([key, inner]) => [`metadata.${key}`, inner]) : [[name, each]]))) };
  }
}
const isPlain = (name, value) => name === "metadata" && value !== null && typeof value === "object" && !Array.isArray(value);

/** @param {File} file @param {(bytes: number) => void} [told] */
async function* pieces(file, told = () => {}) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const read = (bytes, options) => { try { return decoder.decode(bytes, options); } catch { throw new Error(T.notUtf8); } };
  for (let at = 0; at < file.size; at += 1 << 18) {
    const bytes = await file.slice(at, at + (1 << 18)).arrayBuffer();
    told(Math.min(file.size, at + (1 << 18)));
    yield read(bytes, { stream: true });
  }
  yield read();
}
const isCsv = (file) => /\.(csv|tsv)$/i.test(file.name) || file.type === "text/csv";
/** @param {File} file @param {(bytes: number) => void} [told] */
const rowsOf = (file, told) => (isCsv(file) ? csvRows(pieces(file, told), /\.tsv$/i.test(file.name) ? "\t" : ",") : jsonRows(pieces(file, told)));

// ---------------------------------------------------------------- the plan

const typeOfTexts = (texts) => {
  const filled = texts.filter((each) => each !== "");
  if (!filled.length) return "text";
  if (filled.every((each) => /^-?(0|[1-9]\d{0,18})$/.test(each))) return "int";
  if (filled.every((each) => /^[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(each) && Number.isFinite(Number(each)))) return "float";
  if (filled.every((each) => /^\[.*\]$/s.test(each) && isJson(each))) return "list";
  return filled.every((each) => /^(true|false)$/.test(each)) ? "bool" : "text";
};
const isJson = (text) => { try { JSON.parse(text); return true; } catch { return false; } };

/** What a column becomes. Exports write "metadata.id" for a key that is called as a column. @typedef {{name: string, key: string, role: string, type: string}} Column */
/** @param {string} name @param {Set<string>} taken roles @param {string[] | null} texts of a CSV column @returns {Column} */
function column(name, taken, texts) {
  const inner = /^metadata(?:\[\w+\])?\.(.+)$/s.exec(name);
  const role = inner ? "metadata" : Object.keys(GUESSES).find((each) => GUESSES[each].test(name) && !taken.has(each)) ?? "metadata";
  taken.add(role);
  return { name, key: inner ? inner[1] : name, role, type: texts ? typeOfTexts(texts) : "" };
}

/** A record from a row of the file. @param {Map<string, any>} cells @param {Column[]} plan */
function record(cells, plan) {
  const made = { id: null, document: null, embedding: null, uri: null, metadata: null }, metadata = {};
  for (const { name, key, role, type } of plan) {
    const value = cells.get(name);
    if (value === undefined || value === null || role === "skip" || (type && value === "" && role !== "document")) continue;
    if (role === "metadata") {
      if (Object.hasOwn(metadata, key)) throw new Error(T.twice(key));
      Object.defineProperty(metadata, key, { value: type ? typed(type, value) : value, enumerable: true });
    } else if (role === "embedding") made.embedding = typeof value === "string" ? parse(value) : value;
    else made[role] = show(value);
  }
  if (!made.id) throw new Error(T.noId);
  if (made.embedding && (!Array.isArray(made.embedding) || made.embedding.some((each) => each === null || !Number.isFinite(Number(each))))) throw new Error(T.notVector);
  if (!made.embedding && made.document === null) throw new Error(T.needDocument);
  if (Object.keys(metadata).length) made.metadata = metadata;
  return made;
}

// ---------------------------------------------------------------- sending

/** Whether a refusal is about the records, and not about the caller, the collection or the moment. */
const aboutRecords = (error) => [400, 413, 422].includes(error.status);
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Call, and wait a little where the server is busy: it has not begun such a call. */
async function patient(path, body) {
  for (let turn = 1; ; turn += 1) {
    try { return await call("POST", path, body); } catch (error) {
      if (![429, 503].includes(error.status) || turn > RETRIES) throw error;
      await pause(turn * 500);
    }
  }
}
/** Give a vector to the records that have none. */
async function embedded(path, records) {
  const bare = records.filter((each) => !each.embedding);
  for (let at = 0; at < bare.length; at += EMBEDDED) {
    const part = bare.slice(at, at + EMBEDDED);
    const { embeddings } = await patient(`${path}/chroma-arrow/embed`, { texts: part.map((each) => each.document) });
    part.forEach((each, index) => { each.embedding = embeddings[index]; });
  }
}
/**
 * Write records. If the server refuses some of them, the others are written: the batch is halved until those are alone.
 * @param {string} path @param {string} way @param {any[]} records @param {(answer: any) => void} written @param {(record: any, why: string) => void} refuse
 */
async function send(path, way, records, written, refuse) {
  try {
    await embedded(path, records);
    const body = { ids: records.map((each) => each.id), embeddings: records.map((each) => each.embedding), metadatas: records.map((each) => each.metadata) };
    for (const [name, plural] of [["document", "documents"], ["uri", "uris"]]) if (records.some((each) => each[name] !== null)) body[plural] = records.map((each) => each[name]);
    written(await patient(`${path}/${way}`, body));
  } catch (error) {
    if (!aboutRecords(error)) throw error;
    if (records.length === 1) { refuse(records[0], error.message); return; }
    const half = records.length >> 1;
    await send(path, way, records.slice(0, half), written, refuse);
    await send(path, way, records.slice(half), written, refuse);
  }
}

// ---------------------------------------------------------------- the page

export function io({ info, at, reloadInfo }) {
  return html`<div class="head"><h1>${T.pages_.io}</h1></div>
    ${mayWrite() && html`<${Import} info=${info} onDone=${reloadInfo} />`}<${Export} info=${info} params=${at.params} />`;
}

function Import({ info, onDone }) {
  const [file, setFile] = useState(null), [plan, setPlan] = useState(null), [rows, setRows] = useState([]);
  const [way, setWay] = useState("add"), [state, setState] = useState(null);
  const stop = useRef(false);
  const open = useAction(), work = useAction(true);
  const choose = async (chosen) => {
    if (work.busy) return;
    setPlan(null); setState(null); setFile(chosen ?? null); work.clear();
    if (!chosen) return;
    const seen = await open.run(async () => {
      if (/\.parquet$/i.test(chosen.name)) throw new Error(T.noParquet(command(info, chosen)));
      const found = [];
      let broken = "";
      for await (const row of rowsOf(chosen)) { if (row.cells) found.push(row.cells); else broken ||= row.error; if (found.length >= PREVIEW) break; }
      if (!found.length) throw new Error(broken || T.emptyFile);
      return found;
    });
    if (!seen) return;
    const taken = new Set();
    setRows(seen);
    setPlan([...new Set(seen.flatMap((cells) => [...cells.keys()]))].map((name) => column(name, taken, isCsv(chosen) ? seen.map((cells) => cells.get(name) ?? "") : null)));
  };
  const change = (index, what) => setPlan(plan.map((each, place_) => (place_ === index ? { ...each, ...what } : each)));
  const start = () => work.run(async () => {
    const path = collectionPath(info.id);
    const told = { read: 0, added: 0, updated: 0, skipped: 0, refused: 0, bytes: 0, rejects: [], later: [], ended: "" };
    const show_ = () => setState({ ...told });
    const refuse = (line, error, what) => { told.refused += 1; if (told.rejects.length < KEPT) told.rejects.push({ line, error, ...what }); };
    const columns = [...plan], known = new Set(plan.map((each) => each.name)), taken = new Set(plan.map((each) => each.role)), ids = new Set();
    let batch = [];
    const flush = async () => {
      const lines = new Map(batch.map((each) => [each.id, each]));
      const records = batch.map((each) => each.record);
      batch = [];
      await send(path, way, records, (answer) => { for (const key of ["added", "updated", "skipped"]) told[key] += Number(answer?.[key] ?? 0); }, (one, why) => { const row = lines.get(one.id); refuse(row.line, why, { record: Object.fromEntries(row.cells) }); });
      show_();
    };
    stop.current = false;
    show_();
    try {
      for await (const row of rowsOf(file, (bytes) => { told.bytes = bytes; })) {
        if (stop.current) break;
        told.read += 1;
        if (!row.cells) { refuse(row.line, row.error, { text: row.text.slice(0, 10_000) }); continue; }
        for (const name of row.cells.keys()) if (!known.has(name)) { known.add(name); const made = column(name, taken, null); columns.push(made); told.later.push(made); }
        try {
          const made = record(row.cells, columns);
          if (ids.has(made.id)) throw new Error(T.twice(made.id));
          ids.add(made.id);
          batch.push({ id: made.id, line: row.line, cells: row.cells, record: made });
        } catch (error) { refuse(row.line, error.message, { record: Object.fromEntries(row.cells) }); }
        if (batch.length >= BATCH) await flush();
      }
      if (batch.length && !stop.current) await flush();
      if (!stop.current) told.bytes = file.size;
      told.ended = stop.current ? "stopped" : "finished";
    } catch (error) { told.ended = "failed"; throw error; } finally { show_(); onDone(); }
    tell(T.imported(count(told.added), count(told.updated), count(told.skipped), count(told.refused)));
  });
  const hasId = plan?.some((each) => each.role === "id");
  return html`<section class="panel"><h2>${T.import}</h2>
    <label class="drop" onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => { event.preventDefault(); choose(event.dataTransfer.files[0]); }}>${T.dropFile}
      <input type="file" accept=".csv,.tsv,.jsonl,.ndjson,.json,.parquet" disabled=${work.busy} onChange=${(event) => choose(event.target.files[0])} /></label>
    <${Problem} error=${open.error} /><${Busy} busy=${open.busy} />
    ${file && file.size > LARGE && html`<p>${T.largeFile}</p><pre class="whole">${command(info, file)}</pre>`}
    ${plan && html`<div class="scroll" tabindex="0" role="region" aria-label=${T.preview}><table><thead>
      <tr>${plan.map((each, index) => html`<th scope="col">${clipped(each.name, 30)}<br /><select aria-label=${T.roleOf(each.name)} onChange=${(event) => change(index, { role: event.target.value })}>${ROLES.map((role) => html`<option value=${role} selected=${role === each.role}>${T.roles[role]}</option>`)}</select>
        ${each.role === "metadata" && each.type && html`<select aria-label=${T.typeOfKey(each.name)} onChange=${(event) => change(index, { type: event.target.value })}>${["text", "int", "float", "bool", "list"].map((type) => html`<option value=${type} selected=${type === each.type}>${T.types[type]}</option>`)}</select>`}</th>`)}</tr></thead>
      <tbody>${rows.map((cells) => html`<tr>${plan.map((each) => html`<td>${clipped(cells.get(each.name), 60)}</td>`)}</tr>`)}</tbody></table></div>
      ${!hasId && html`<p class="problem" role="alert">${T.needId}</p>`}
      ${!plan.some((each) => each.role === "embedding") && html`<p>${T.willEmbed}</p>`}
      <div class="row"><label class="inline">${T.conflicts}<select onChange=${(event) => setWay(event.target.value)}><option value="add" selected=${way === "add"}>${T.keepStored}</option><option value="upsert" selected=${way === "upsert"}>${T.overwrite}</option></select></label>
        <button type="button" class="primary" disabled=${work.busy || !hasId} onClick=${start}>${T.import}</button>
        ${work.busy && html`<button type="button" onClick=${() => { stop.current = true; }}>${T.cancel}</button>`}</div>
      ${state && html`<${Told} state=${state} file=${file} />`}
      <${Problem} error=${work.error} what=${T.embedAgain} />`}</section>`;
}
/** How far an import is. */
function Told({ state, file }) {
  const { rejects, refused, later, ended } = state;
  const numbers = T.imported(count(state.added), count(state.updated), count(state.skipped), count(refused));
  return html`<progress max=${file.size} value=${state.bytes} aria-label=${T.import}></progress>
    <p role="status">${ended === "finished" ? numbers : ended ? T.endedEarly(count(state.read), numbers) : `${T.importing(count(state.read))} ${numbers}`}</p>
    ${later.length > 0 && html`<p>${T.laterColumns(later.slice(0, 50).map((each) => `${clipped(each.key, 40)} (${T.roles[each.role]})`).join(", "))}</p>`}
    ${refused > 0 && html`<p class="problem">${T.rejects(count(refused))} ${refused > rejects.length ? T.firstRejects(count(rejects.length)) : ""} <button type="button" onClick=${() => download(new Blob([rejects.map((each) => write(each)).join("\n"), "\n"], { type: "application/json" }), "rejects.jsonl")}>${T.downloadRejects}</button></p><p>${clipped(rejects[0].error, 300)}</p>`}`;
}
/** The command that imports the file without the browser. */
const command = (info, file) => `chroma import ${shell(serverUrl())} ${shell(info.name)} ${shell(file.name)}`;

function Export({ info, params }) {
  const [format, setFormat] = useState("jsonl"), [vectors, setVectors] = useState(false);
  const work = useAction();
  const run = async () => {
    const blob = await work.run((signal) => {
      const body = { ...filterOf(params), format, include: ["documents", "metadatas", "uris", ...(vectors ? ["embeddings"] : [])] };
      return call("POST", `${collectionPath(info.id)}/chroma-arrow/export`, body, { signal, answer: "blob" });
    });
    if (!blob) return;
    download(blob, `${info.name}.${format}`);
    tell(T.exported(size(blob.size)));
  };
  return html`<section class="panel"><h2>${T.export}</h2><${FilterBar} info=${info} />
    <div class="row"><label class="inline">${T.format}<select onChange=${(event) => setFormat(event.target.value)}>${["jsonl", "csv", "parquet"].map((each) => html`<option value=${each} selected=${each === format}>${T.formats[each]}</option>`)}</select></label>
      <label class="inline"><input type="checkbox" checked=${vectors} onChange=${(event) => setVectors(event.target.checked)} />${T.withVectors}</label>
      <button type="button" class="primary" disabled=${work.busy} onClick=${run}>${T.export}</button><${Busy} busy=${work.busy} onCancel=${work.cancel} /></div><${Problem} error=${work.error} what=${T.export} /></section>`;
}
