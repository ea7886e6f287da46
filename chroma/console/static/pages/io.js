/** Import and export. A file is read piece by piece; only one batch of it is in memory. */
import { announce, call, collectionPath, count, download, filterOf, parse, python, show, size, typed, typeOf, write } from "../core.js";
import { Busy, FilterBar, Problem, clipped, html, useAction, useMemo, useState, mayWrite } from "../ui.js";
import { T } from "../texts.js";

const BATCH = 200, PREVIEW = 20, LARGE = 200 * 1024 * 1024;
const GUESSES = { id: /^(_?id|ids|key)$/i, document: /^(documents?|text|content|body|page_content|chunk)$/i, embedding: /^(embeddings?|vectors?)$/i, uri: /^(uris?|urls?)$/i };
const ROLES = ["id", "document", "embedding", "uri", "metadata", "skip"];

/** The rows of a CSV file, as objects of texts. @param {AsyncIterable<string>} pieces */
async function* csvRows(pieces) {
  let header = null, row = [], field = "", quoted = false, ended = false, began = false;
  const close = () => { row.push(field); field = ""; began = false; ended = false; };
  const finish = () => {
    close();
    const done = row;
    row = [];
    if (done.length === 1 && done[0] === "") return null;
    if (!header) { header = done.map((each, index) => (index === 0 ? each.replace(/^\ufeff/, "") : each)); return null; }
    return Object.fromEntries(header.map((name, index) => [name, done[index] ?? ""]));
  };
  for await (const piece of pieces) {
    for (const letter of piece) {
      if (quoted) {
        if (ended) {
          ended = false;
          if (letter === '"') { field += '"'; continue; }
          quoted = false;
        } else if (letter === '"') { ended = true; continue; } else { field += letter; continue; }
      }
      if (letter === '"' && !began) { quoted = true; began = true; } else if (letter === ",") close();
      else if (letter === "\n") { const done = finish(); if (done) yield done; } else if (letter !== "\r") { field += letter; began = true; }
    }
  }
  if (field || row.length) { const done = finish(); if (done) yield done; }
}
/** @param {AsyncIterable<string>} pieces */
async function* jsonRows(pieces) {
  let rest = "", line = 0;
  const read = (text) => { line += 1; try { return parse(text); } catch (error) { throw new Error(T.badLine(line, error.message)); } };
  for await (const piece of pieces) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const each of lines) if (each.trim()) yield read(each); else line += 1;
  }
  if (rest.trim()) yield read(rest);
}
/** @param {File} file @param {(bytes: number) => void} [told] */
async function* pieces(file, told = () => {}) {
  const decoder = new TextDecoder();
  for (let at = 0; at < file.size; at += 1 << 18) {
    const bytes = await file.slice(at, at + (1 << 18)).arrayBuffer();
    told(Math.min(file.size, at + (1 << 18)));
    yield decoder.decode(bytes, { stream: true });
  }
  yield decoder.decode();
}
const isCsv = (file) => /\.(csv|tsv)$/i.test(file.name) || file.type === "text/csv";
const rowsOf = (file, told) => (isCsv(file) ? csvRows(pieces(file, told)) : jsonRows(pieces(file, told)));
/** Rows of exports have their metadata in one object: it is spread. */
const flat = (row) => (row.metadata && typeof row.metadata === "object" && !Array.isArray(row.metadata) ? { ...row, metadata: undefined, ...row.metadata } : row);

const typeOfTexts = (texts) => {
  const filled = texts.filter((each) => each !== "");
  if (!filled.length) return "text";
  if (filled.every((each) => /^-?(0|[1-9]\d{0,18})$/.test(each))) return "int";
  if (filled.every((each) => /^[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(each) && Number.isFinite(Number(each)))) return "float";
  return filled.every((each) => /^(true|false)$/.test(each)) ? "bool" : "text";
};

export function io({ info, at, reloadInfo }) {
  return html`<div class="head"><h1>${T.pages_.io}</h1></div>
    ${mayWrite() && html`<${Import} info=${info} onDone=${reloadInfo} />`}<${Export} info=${info} params=${at.params} />`;
}

function Import({ info, onDone }) {
  const [file, setFile] = useState(null), [plan, setPlan] = useState(null), [rows, setRows] = useState([]);
  const [way, setWay] = useState("add"), [state, setState] = useState(null), [rejects, setRejects] = useState([]);
  const open = useAction(), work = useAction();
  const choose = async (chosen) => {
    setPlan(null); setState(null); setRejects([]); setFile(chosen); work.clear();
    if (!chosen) return;
    const seen = await open.run(async () => {
      if (/\.parquet$/i.test(chosen.name)) throw new Error(T.noParquet(info.name, chosen.name));
      const found = [];
      for await (const row of rowsOf(chosen)) { found.push(flat(row)); if (found.length >= PREVIEW) break; }
      if (!found.length) throw new Error(T.emptyFile);
      return found;
    });
    if (!seen) return;
    const names = [...new Set(seen.flatMap((row) => Object.keys(row)))].filter((name) => seen.some((row) => row[name] !== undefined));
    const taken = new Set();
    setRows(seen);
    setPlan(names.map((name) => {
      const role = Object.keys(GUESSES).find((each) => GUESSES[each].test(name) && !taken.has(each)) ?? "metadata";
      taken.add(role);
      return { name, role, type: isCsv(chosen) ? typeOfTexts(seen.map((row) => row[name] ?? "")) : "" };
    }));
  };
  const change = (index, what) => setPlan(plan.map((each, place_) => (place_ === index ? { ...each, ...what } : each)));
  const start = () => work.run(async (signal) => {
    const path = collectionPath(info.id);
    const written = { read: 0, added: 0, updated: 0, skipped: 0, bytes: 0 };
    const refused = [];
    const send = async (batch) => {
      const body = { ids: batch.map((each) => each.id), documents: batch.map((each) => each.document), metadatas: batch.map((each) => each.metadata) };
      if (batch.some((each) => each.uri !== null)) body.uris = batch.map((each) => each.uri);
      if (batch.every((each) => each.embedding)) body.embeddings = batch.map((each) => each.embedding);
      else {
        if (batch.some((each) => each.document === null)) throw new Error(T.needDocument);
        body.embeddings = (await call("POST", `${path}/chroma-arrow/embed`, { texts: body.documents }, { signal })).embeddings;
      }
      if (body.documents.every((each) => each === null)) delete body.documents;
      const answer = await call("POST", `${path}/${way}`, body, { signal });
      for (const key of ["added", "updated", "skipped"]) written[key] += answer?.[key] ?? 0;
      setState({ ...written });
    };
    let batch = [], ids = new Set();
    for await (const row of rowsOf(file, (bytes) => { written.bytes = bytes; })) {
      if (signal.aborted) return null;
      written.read += 1;
      try {
        const made = record(flat(row), plan);
        if (ids.has(made.id)) throw new Error(T.twice(made.id));
        batch.push(made);
        ids.add(made.id);
      } catch (error) { if (refused.length < 1000) refused.push({ row: written.read, error: error.message, record: row }); setRejects([...refused]); }
      if (batch.length >= BATCH) { await send(batch); batch = []; ids = new Set(); }
    }
    if (batch.length) await send(batch);
    written.bytes = file.size;
    setState({ ...written, finished: true });
    announce(T.imported(count(written.added), count(written.updated), count(written.skipped)));
    onDone();
    return written;
  });
  const hasId = plan?.some((each) => each.role === "id");
  return html`<section class="panel"><h2>${T.import}</h2>
    <label class="drop" onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => { event.preventDefault(); choose(event.dataTransfer.files[0]); }}>${T.dropFile}
      <input type="file" accept=".csv,.jsonl,.ndjson,.json,.parquet" onChange=${(event) => choose(event.target.files[0])} /></label>
    <${Problem} error=${open.error} /><${Busy} busy=${open.busy} />
    ${file && file.size > LARGE && html`<p>${T.largeFile}</p><pre class="whole">chroma import ${location.origin} ${info.name} ${file.name}</pre>`}
    ${plan && html`<div class="scroll" tabindex="0" role="region" aria-label=${T.preview}><table><thead>
      <tr>${plan.map((each, index) => html`<th scope="col">${clipped(each.name, 30)}<br /><select aria-label=${T.roleOf(each.name)} onChange=${(event) => change(index, { role: event.target.value })}>${ROLES.map((role) => html`<option value=${role} selected=${role === each.role}>${T.roles[role]}</option>`)}</select>
        ${each.role === "metadata" && each.type && html`<select aria-label=${T.typeOfKey(each.name)} onChange=${(event) => change(index, { type: event.target.value })}>${["text", "int", "float", "bool"].map((type) => html`<option value=${type} selected=${type === each.type}>${T.types[type]}</option>`)}</select>`}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${plan.map((each) => html`<td>${clipped(row[each.name], 60)}</td>`)}</tr>`)}</tbody></table></div>
      ${!hasId && html`<p class="problem" role="alert">${T.needId}</p>`}
      ${!plan.some((each) => each.role === "embedding") && html`<p>${T.willEmbed}</p>`}
      <div class="row"><label class="inline">${T.conflicts}<select onChange=${(event) => setWay(event.target.value)}><option value="add" selected=${way === "add"}>${T.keepStored}</option><option value="upsert" selected=${way === "upsert"}>${T.overwrite}</option></select></label>
        <button type="button" class="primary" disabled=${work.busy || !hasId} onClick=${start}>${T.import}</button>
        ${work.busy && html`<button type="button" onClick=${work.cancel}>${T.cancel}</button>`}</div>
      ${state && html`<progress max=${file.size} value=${state.bytes} aria-label=${T.import}></progress><p role="status">${state.finished ? T.imported(count(state.added), count(state.updated), count(state.skipped)) : T.importing(count(state.read))}</p>`}
      <${Problem} error=${work.error} what=${T.embedAgain} />
      ${rejects.length > 0 && html`<p class="problem">${T.rejects(count(rejects.length))} <button type="button" onClick=${() => download(new Blob([rejects.map((each) => write(each)).join("\n"), "\n"], { type: "application/json" }), "rejects.jsonl")}>${T.downloadRejects}</button></p><p>${clipped(rejects[0].error, 300)}</p>`}`}</section>`;
}
/** A record from a row of the file. */
function record(row, plan) {
  const made = { id: null, document: null, embedding: null, uri: null, metadata: null }, metadata = {};
  for (const { name, role, type } of plan) {
    const value = row[name];
    if (value === undefined || value === null || role === "skip" || (type && value === "" && role !== "document")) continue;
    if (role === "metadata") Object.defineProperty(metadata, name, { value: type ? typed(type, value) : value, enumerable: true });
    else if (role === "embedding") made.embedding = typeof value === "string" ? parse(value) : value;
    else made[role] = show(value);
  }
  if (!made.id) throw new Error(T.noId);
  if (made.embedding && (!Array.isArray(made.embedding) || made.embedding.some((each) => !Number.isFinite(Number(each))))) throw new Error(T.notVector);
  if (Object.keys(metadata).length) made.metadata = metadata;
  return made;
}

function Export({ info, params }) {
  const [format, setFormat] = useState("jsonl"), [vectors, setVectors] = useState(false);
  const work = useAction();
  const run = async () => {
    const body = { ...filterOf(params), format, include: ["documents", "metadatas", "uris", ...(vectors ? ["embeddings"] : [])] };
    const blob = await work.run((signal) => call("POST", `${collectionPath(info.id)}/chroma-arrow/export`, body, { signal, answer: "blob" }));
    if (!blob) return;
    download(blob, `${info.name}.${format}`);
    announce(T.exported(size(blob.size)));
  };
  return html`<section class="panel"><h2>${T.export}</h2><${FilterBar} info=${info} />
    <div class="row"><label class="inline">${T.format}<select onChange=${(event) => setFormat(event.target.value)}>${["jsonl", "csv", "parquet"].map((each) => html`<option value=${each} selected=${each === format}>${T.formats[each]}</option>`)}</select></label>
      <label class="inline"><input type="checkbox" checked=${vectors} onChange=${(event) => setVectors(event.target.checked)} />${T.withVectors}</label>
      <button type="button" class="primary" disabled=${work.busy} onClick=${run}>${T.export}</button><${Busy} busy=${work.busy} onCancel=${work.cancel} /></div><${Problem} error=${work.error} what=${T.export} /></section>`;
}
