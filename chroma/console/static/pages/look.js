/** Duplicates, Quality, SQL, Server and Help. */
import { announce, call, collectionPath, count, csvCell, download, filterOf, href, keysOf, own, parse, place, remember, remembered, scopePath, short, show, size, tell, turn, wholeOf, write, singleKeys, mayWrite } from "../core.js";
import { Ask, Bar, Busy, FilterBar, Pager, Problem, clipped, html, useAction, useEffect, useLoad, useMemo, useSignal, useState } from "../ui.js";
import { T } from "../texts.js";

// ---------------------------------------------------------------- Duplicates

const PAIRS = 10;

export function duplicates({ info, at }) {
  const { params } = at;
  const [limit, setLimit] = useState(params.max ?? "0.05");
  const path = collectionPath(info.id);
  const found = useLoad((signal) => (params.max ? call("POST", `${path}/chroma-arrow/pairs`, { max_distance: Number(params.max), limit: 1000, where: filterOf(params).where }, { signal }) : Promise.resolve(null)), [params.max, params.where]);
  const pairs = found.data?.pairs ?? [];
  const page = wholeOf(params.page, 1, 1, Math.max(1, Math.ceil(pairs.length / PAIRS)));
  const shown = pairs.slice((page - 1) * PAIRS, page * PAIRS);
  const texts = useLoad(async (signal) => {
    const ids = [...new Set(shown.flatMap((pair) => [pair.a, pair.b]))];
    if (!ids.length) return new Map();
    const got = await call("POST", `${path}/get`, { ids, include: ["documents", "metadatas"] }, { signal });
    return new Map(got.ids.map((id, index) => [id, { document: got.documents?.[index], metadata: got.metadatas?.[index] ?? {} }]));
  }, [found.data, page]);
  const [doomed, doom] = useState(new Set());
  const [asked, ask] = useState(false);
  useEffect(() => { doom(new Set()); ask(false); }, [params.max, params.where]); // the list belongs to the pairs that are shown
  /** Keep one, or both. */
  const keep = (kept, other, both) => { const next = new Set(doomed); next.delete(kept); if (both) next.delete(other); else next.add(other); doom(next); };
  const flip = (id) => { const next = new Set(doomed); if (!next.delete(id)) next.add(id); doom(next); };
  return html`<div class="head"><h1>${T.pages_.duplicates}</h1></div><${FilterBar} info=${info} documents=${false} />
    <form class="row" onSubmit=${(event) => { event.preventDefault(); turn({ max: limit, page: null }); }}>
      <label class="inline">${T.maxDistance}<input type="number" step="any" min="0" required value=${limit} onInput=${(event) => setLimit(event.target.value)} /></label><button class="primary">${T.findPairs}</button></form>
    <${Problem} error=${found.error ?? texts.error} what=${T.pages_.duplicates} /><${Busy} busy=${found.busy || texts.busy} />
    ${found.data && html`<p role="status">${found.data.complete !== false ? T.pairs(count(pairs.length)) : pairs.length ? `${T.pairs(count(pairs.length))} ${T.notAllPairs}` : T.noPairsYet}</p>`}
    ${doomed.size > 0 && html`<div class="row marked"><span>${T.toDelete(count(doomed.size))}</span>
      <button type="button" onClick=${() => download(new Blob([JSON.stringify([...doomed], null, 1)], { type: "application/json" }), `${info.name}-to-delete.json`)}>${T.downloadIds}</button>
      ${mayWrite() && html`<button type="button" class="danger" onClick=${() => ask(true)}>${T.does.delete}</button>`}<button type="button" onClick=${() => doom(new Set())}>${T.unmark}</button></div>`}
    ${shown.map((pair) => { const [a, b] = [texts.data?.get(pair.a), texts.data?.get(pair.b)];
      return html`<article class="pair" key=${JSON.stringify([pair.a, pair.b])}><div class="row"><span>${T.distance} ${short(pair.distance)}</span>
        <button type="button" class="small" onClick=${() => keep(pair.a, pair.b, false)}>${T.keepLeft}</button><button type="button" class="small" onClick=${() => keep(pair.b, pair.a, false)}>${T.keepRight}</button><button type="button" class="small" onClick=${() => keep(pair.a, pair.b, true)}>${T.keepBoth}</button></div><div class="two">
        ${[[pair.a, a, b], [pair.b, b, a]].map(([id, one, two]) => html`<section class=${doomed.has(id) ? "doomed" : ""}>
          <div class="row"><a href=${href({ page: "record", params: { id } })}>${clipped(id, 60)}</a><label class="inline"><input type="checkbox" checked=${doomed.has(id)} onChange=${() => flip(id)} />${T.does.delete}</label></div>
          ${texts.data && !one && html`<p class="none">${T.gone}</p>`}
          ${one && html`<p class="text clip" dir="auto">${different(clipped(one.document, 400), clipped(two?.document, 400))}</p>
            <dl class="meta">${Object.entries(one.metadata).slice(0, 10).map(([key, value]) => html`<dt>${clipped(key, 30)}</dt><dd>${write(value) === write(own(two?.metadata, key) ?? null) ? clipped(value, 60) : html`<mark>${clipped(value, 60)}</mark>`}</dd>`)}</dl>`}</section>`)}</div></article>`; })}
    ${pairs.length > PAIRS && html`<${Pager} total=${pairs.length} page=${page} rows=${PAIRS} sizes=${[PAIRS]} onPage=${(value) => turn({ page: value })} onRows=${() => {}} />`}
    ${asked && html`<${Ask} title=${T.deleteCount(count(doomed.size))} onClose=${() => ask(false)} action=${() => call("POST", `${path}/delete`, { ids: [...doomed] })}
      onDone=${(answer) => { tell(T.deleted(count(answer.deleted))); doom(new Set()); ask(false); found.reload(); }}><p>${T.deleteSays(count(doomed.size), info.name)}</p><pre class="whole">${[...doomed].slice(0, 20).map((id) => clipped(id, 80)).join("\n")}${doomed.size > 20 ? `\n… ${T.more(count(doomed.size - 20))}` : ""}</pre><//>`}`;
}
/** A text with the words marked that the other one does not have. */
function different(text, other) {
  const words = new Set(other.split(/\s+/));
  return text.split(/(\s+)/).map((part) => (part.trim() && !words.has(part) ? html`<mark>${part}</mark>` : part));
}

// ---------------------------------------------------------------- Quality

const EFFORTS = [16, 32, 64, 128, 256];

export function quality({ info, reloadInfo }) {
  const path = collectionPath(info.id);
  const stats = useLoad((signal) => call("GET", `${path}/chroma-arrow/stats`, undefined, { signal }), []);
  const status = useLoad((signal) => call("GET", `${path}/indexing_status`, undefined, { signal }), []);
  const [k, setK] = useState(10), [sample, setSample] = useState(200), [recall, setRecall] = useState(null);
  const [ef, setEf] = useState(String(info.configuration_json?.hnsw?.ef_search ?? 100));
  const measure = useAction(), curve = useAction(), [recalls, setRecalls] = useState(null);
  const compact = useAction(true), tune = useAction(true);
  const again = () => { stats.reload(); status.reload(); reloadInfo(); };
  const run = async (event) => {
    event.preventDefault();
    const before = performance.now();
    const found = await measure.run((signal) => call("POST", `${path}/chroma-arrow/recall`, { k: Number(k), sample: Number(sample) }, { signal }));
    if (found !== undefined) { const value = Number(found); setRecall({ value, took: performance.now() - before, k, sample }); announce(T.recallIs(short(value), k, sample)); }
  };
  const compare = async () => {
    const found = await curve.run((signal) => call("POST", `${path}/chroma-arrow/recall`, { k: Number(k), sample: Number(sample), ef_search: EFFORTS }, { signal }));
    if (found) { setRecalls(found.recalls); announce(T.done); }
  };
  const s = stats.data, now = status.data;
  useEffect(() => { // while records wait for the index, the share moves
    if (!now?.num_unindexed_ops && !compact.busy) return undefined;
    const timer = setInterval(() => { if (document.visibilityState === "visible") status.reload(); }, 2000);
    return () => clearInterval(timer);
  }, [now?.num_unindexed_ops > 0, compact.busy]);
  return html`<div class="head"><h1>${T.pages_.quality}</h1><button type="button" onClick=${again}>${T.reload}</button></div>
    <div class="cards"><section><h2>${T.indexing}</h2><${Problem} error=${status.error} what=${T.indexing} />
      ${now && html`<${Bar} share=${Number(now.op_indexing_progress)} label=${T.indexed(Math.floor(Number(now.op_indexing_progress) * 100))} /><p>${T.indexedOf(count(now.num_indexed_ops), count(now.total_ops))}</p>
        ${now.num_unindexed_ops > 0 && html`<p>${T.scanned(count(now.num_unindexed_ops))}</p>`}`}
      ${mayWrite() && html`<div class="row"><button type="button" disabled=${compact.busy} onClick=${async () => { if (await compact.run(() => call("POST", `${path}/chroma-arrow/compact`).then(() => true))) { tell(`${T.does.compact}: ${T.done}`); again(); } }}>${T.does.compact}</button><${Busy} busy=${compact.busy} /></div><p><small>${T.compactSays}</small></p>`}
      <${Problem} error=${compact.error} /></section>
    <section><h2>${T.recall}</h2><form onSubmit=${run}><div class="row"><label class="inline">k<input type="number" min="1" max="100" value=${k} onInput=${(event) => setK(event.target.value)} /></label>
      <label class="inline">${T.sample}<input type="number" min="1" max="10000" value=${sample} onInput=${(event) => setSample(event.target.value)} /></label><button class="primary" disabled=${measure.busy}>${T.measure}</button></div></form>
      <${Busy} busy=${measure.busy} onCancel=${measure.cancel} /><${Problem} error=${measure.error} />
      ${recall && html`<p class="big">${short(recall.value)}</p><p>${T.recallIs(short(recall.value), recall.k, recall.sample)} · ${short(recall.took, 3)} ms</p>`}
      <div class="row"><button type="button" disabled=${curve.busy} onClick=${compare}>${T.byEffort}</button><${Busy} busy=${curve.busy} onCancel=${curve.cancel} /></div><${Problem} error=${curve.error} what=${T.byEffort} />
      ${recalls && html`<table class="values"><caption>${T.byEffort}</caption><thead><tr><th scope="col" class="number">ef_search</th><th scope="col">${T.recall}</th><th scope="col" class="number">${T.recall}</th><th scope="col" class="number">${T.byIndexMs}</th><th scope="col" class="number">${T.exactMs}</th></tr></thead>
        <tbody>${recalls.map((each) => html`<tr><th scope="row" class="number">${each.ef_search}</th><td><${Bar} share=${Number(each.recall)} /></td><td class="number">${short(each.recall)}</td><td class="number">${short(each.ms, 3)} ms</td><td class="number">${short(each.exact_ms, 3)} ms</td></tr>`)}</tbody></table>`}
      ${mayWrite() && html`<form class="row" onSubmit=${async (event) => { event.preventDefault(); if (await tune.run(() => call("PUT", path, { new_configuration: { hnsw: { ef_search: Number(ef) } } }).then(() => true))) { tell(T.saved); again(); } }}>
        <label class="inline">ef_search<input type="number" min="1" value=${ef} onInput=${(event) => setEf(event.target.value)} /></label><button disabled=${tune.busy}>${T.save}</button></form><${Problem} error=${tune.error} />`}</section>
    <section><h2>${T.sizes}</h2><${Problem} error=${stats.error} what=${T.sizes} />${s && html`<dl class="meta">
      ${[[T.live, count(s.live)], [T.deletedRows, count(s.deleted)], [T.unsealed, count(s.unsealed)], [T.segments, count(s.segments)], [T.bytes, size(s.bytes)], [T.logBytes, size(s.log_bytes)] ].map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
      <details><summary>${T.files}</summary><dl class="meta">${Object.entries(s.files ?? {}).map(([name, bytes]) => html`<dt>${name}</dt><dd>${size(bytes)}</dd>`)}</dl></details>`}</section></div>`;
}

// ---------------------------------------------------------------- SQL

const past = () => { try { return JSON.parse(remembered("sql") ?? "[]"); } catch (error) { console.info(String(error)); return []; } };

export function sql({ at }) {
  const [text, setText] = useState(at.params.sql ?? past()[0] ?? "");
  const [answer, setAnswer] = useState(null);
  const [history_, setHistory] = useState(past());
  const work = useAction();
  const tables = useLoad((signal) => call("GET", `${scopePath(at)}/collections`, undefined, { signal }), [at.tenant, at.database]);
  const run = async (event) => {
    event?.preventDefault();
    if (!text.trim() || work.busy) return;
    turn({ sql: text }, true);
    const before = performance.now();
    const found = await work.run((signal) => call("POST", `${scopePath(at)}/chroma-arrow/sql`, { sql: text, max_rows: 1000 }, { signal }));
    if (!found) return;
    setAnswer({ ...found, sql: text, took: performance.now() - before });
    announce(T.rows(count(found.rows.length)));
    const next = [text, ...past().filter((each) => each !== text)].slice(0, 30);
    remember("sql", JSON.stringify(next));
    setHistory(next);
  };
  useEffect(() => { if (at.params.sql) run(); }, []);
  const quote = (name) => `"${name.replaceAll('"', '""')}"`;
  /** The whole answer, as an Arrow stream. */
  const arrow = async () => { const blob = await work.run((signal) => call("POST", `${scopePath(at)}/chroma-arrow/sql`, { sql: answer.sql }, { signal, answer: "blob" })); if (blob) download(blob, "answer.arrows"); };
  return html`<div class="head"><h1>SQL</h1></div><div class="side"><div>
    <form onSubmit=${run}><label>${T.statement}<textarea class="mono" rows="6" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)}
      onKeyDown=${(event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event); }}></textarea></label>
      <div class="row"><button class="primary" disabled=${work.busy}>${T.run}</button>
        ${history_.length > 0 && html`<label class="inline">${T.history}<select onChange=${(event) => { if (event.target.value) setText(history_[Number(event.target.value)]); event.target.value = ""; }}><option value="">…</option>${history_.map((each, index) => html`<option value=${index}>${clipped(each, 70)}</option>`)}</select></label>`}
        ${answer && html`<button type="button" onClick=${() => download(new Blob([[answer.columns.map((each) => csvCell(each.name)), ...answer.rows.map((row) => row.map(csvCell))].map((row) => row.join(",")).join("\n"), "\n"], { type: "text/csv" }), "answer.csv")}>CSV</button><button type="button" onClick=${arrow}>${T.arrowWhole}</button>`}
        <${Busy} busy=${work.busy} onCancel=${work.cancel} /></div></form>
    <${Problem} error=${work.error} what="SQL" />
    ${answer && html`<p>${T.rows(count(answer.rows.length))}${answer.truncated ? ` ${T.truncated}` : ""} · ${short(answer.took, 3)} ms</p><${Chart} answer=${answer} />
      <div class="scroll" tabindex="0" role="region" aria-label=${T.answer}><table><thead><tr>${answer.columns.map((each) => html`<th scope="col">${each.name} <small>${each.type}</small></th>`)}</tr></thead>
      <tbody>${answer.rows.slice(0, 1000).map((row) => html`<tr>${row.map((value) => html`<td class=${typeof value === "number" || typeof value === "bigint" ? "number" : ""}>${value === null ? html`<span class="none">NULL</span>` : clipped(value, 200)}</td>`)}</tr>`)}</tbody></table></div>`}</div>
    <aside><h2>${T.tables}</h2><${Problem} error=${tables.error} /><ul class="tables">${tables.data?.map((each) => html`<${Table} key=${each.id} info=${each} quote=${quote} onPick=${() => setText(`SELECT * FROM ${quote(each.name)} LIMIT 20`)} />`)}</ul><p><small>${T.sqlSays}</small></p></aside></div>`;
}
/** A table at the side. Its columns are asked for when they are opened. */
function Table({ info, quote, onPick }) {
  const [open, set] = useState(false);
  return html`<li><button type="button" class="plain" onClick=${onPick}>${clipped(info.name, 50)}</button>
    <details onToggle=${(event) => set(event.target.open)}><summary>${T.columnsOf(clipped(info.name, 30))}</summary>${open && html`<${ColumnsOf} info=${info} quote=${quote} />`}</details></li>`;
}
function ColumnsOf({ info, quote }) {
  const found = useLoad((signal) => call("GET", `${scopePath()}/collections/${encodeURIComponent(info.name)}`, undefined, { signal }), []);
  const columns = found.data ? [...["id", "document", "uri", "embedding"].map((key) => ({ key, types: [] })), ...keysOf(found.data)] : [];
  return html`<${Problem} error=${found.error} /><${Busy} busy=${found.busy} /><ul>${columns.slice(0, 300).map((each) => html`<li><code>${clipped(quote(each.key), 50)}</code> <small>${each.types.map((type) => T.types[type]).join(", ")}</small></li>`)}</ul>
    ${columns.length > 300 && html`<p>${T.more(count(columns.length - 300))}</p>`}`;
}

/** Bars of a numeric column against another column. */
function Chart({ answer }) {
  const numeric = answer.columns.map((_, index) => answer.rows.some((row) => row[index] !== null) && answer.rows.every((row) => row[index] === null || ["number", "bigint"].includes(typeof row[index]) || typeof row[index]?.valueOf() === "number"));
  const [chosen, choose] = useState([0, numeric.lastIndexOf(true)]);
  const [across, up] = [Math.min(chosen[0], answer.columns.length - 1), numeric[chosen[1]] ? chosen[1] : numeric.lastIndexOf(true)];
  if (up < 0 || answer.rows.length < 2 || answer.columns.length < 2) return null;
  const rows = answer.rows.slice(0, 40), most = Math.max(...rows.map((row) => Math.abs(Number(row[up] ?? 0))), 1e-30);
  const title = T.chart(answer.columns[across].name, answer.columns[up].name);
  const picker = (label, at, allowed) => html`<label class="inline">${label}<select onChange=${(event) => choose(at ? [across, Number(event.target.value)] : [Number(event.target.value), up])}>
    ${answer.columns.map((each, index) => allowed(index) && html`<option value=${index} selected=${index === (at ? up : across)}>${clipped(each.name, 40)}</option>`)}</select></label>`;
  return html`<details><summary>${title}</summary><div class="row">${picker(T.chartBy, 0, () => true)}${picker(T.chartOf, 1, (index) => numeric[index])}</div>
    <table class="values"><caption class="hidden">${title}</caption><tbody>${rows.map((row) => html`<tr><th scope="row">${clipped(row[across], 40)}</th><td><${Bar} share=${Math.abs(Number(row[up] ?? 0)) / most} /></td><td class="number">${clipped(row[up], 20)}</td></tr>`)}</tbody></table>
    ${answer.rows.length > rows.length && html`<p>${T.more(count(answer.rows.length - rows.length))}</p>`}</details>`;
}

// ---------------------------------------------------------------- Server

export function server() {
  const state = useLoad((signal) => call("GET", "/chroma-arrow/state", undefined, { signal }), []);
  const version = useLoad((signal) => call("GET", "/version", undefined, { signal }), []);
  useEffect(() => {
    if (state.busy || state.error) return undefined; // the next question comes after the last answer
    const timer = setTimeout(function again() { if (document.visibilityState === "visible") state.reload(); else document.addEventListener("visibilitychange", again, { once: true }); }, 5000);
    return () => clearTimeout(timer);
  }, [state.data, state.busy, state.error]);
  const it = state.data;
  const span = (seconds) => { const total = Math.floor(Number(seconds)); return `${Math.floor(total / 86400)} d ${Math.floor(total / 3600) % 24} h ${Math.floor(total / 60) % 60} min ${total % 60} s`; };
  return html`<div class="head"><h1>${T.pages_.server}</h1><button type="button" onClick=${state.reload}>${T.reload}</button></div>
    ${version.data && html`<p>Chroma-on-Arrow ${version.data}</p>`}<p><small>${T.oneProcess}</small></p><${Problem} error=${state.error} what=${T.pages_.server} />
    ${it && html`<div class="cards">${[[T.uptime, span(it.uptime_seconds)], [T.running, count(it.running)], [T.waiting, count(it.waiting)], [T.bytes, size(it.bytes)]].map(([name, value]) => html`<section><h2>${name}</h2><p class="big">${value}</p></section>`)}</div>
      <h2>${T.background}</h2>${it.background?.length ? html`<ul>${it.background.map((each) => html`<li>${typeof each === "string" ? each : Object.entries(each).map(([key, value]) => `${key}: ${show(value)}`).join(" · ")}</li>`)}</ul>` : html`<p class="none">${T.noBackground}</p>`}
      <h2>${T.slowRoutes}</h2><div class="scroll" tabindex="0" role="region" aria-label=${T.slowRoutes}><table><thead><tr><th scope="col">${T.route}</th><th scope="col" class="number">${T.calls}</th><th scope="col" class="number">${T.mean}</th><th scope="col" class="number">${T.slowest}</th></tr></thead>
      <tbody>${[...it.routes].sort((a, b) => Number(b.mean_ms) - Number(a.mean_ms)).slice(0, 50).map((each) => html`<tr><th scope="row" class="mono">${each.route}</th><td class="number">${count(each.calls)}</td><td class="number">${short(each.mean_ms, 3)} ms</td><td class="number">${each.max_ms == null ? "–" : `${short(each.max_ms, 3)} ms`}</td></tr>`)}</tbody></table></div>`}`;
}

// ---------------------------------------------------------------- Help

export function help() {
  const document_ = useLoad((signal) => call("GET", "/openapi.json", undefined, { signal }), []);
  const [find, setFind] = useState("");
  const on = useSignal(singleKeys);
  const routes = useMemo(() => Object.entries(document_.data?.paths ?? {}).flatMap(([path, methods]) => Object.entries(methods).filter(([, each]) => each?.responses).map(([method, each]) => ({ path, method: method.toUpperCase(), each }))), [document_.data]);
  const shown = routes.filter(({ path, each }) => `${path} ${each.summary ?? ""} ${each.description ?? ""}`.toLowerCase().includes(find.toLowerCase()));
  return html`<div class="head"><h1>${T.pages_.help}</h1></div><h2>${T.keyboard}</h2>
    <label class="inline"><input type="checkbox" checked=${on} onChange=${(event) => { singleKeys.value = event.target.checked; remember("keys", event.target.checked ? "on" : "off"); }} />${T.singleKeys}</label>
    <dl class="keys">${T.shortcuts.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <h2>${T.reference}</h2><${Problem} error=${document_.error} /><${Busy} busy=${document_.busy} />
    <label class="inline">${T.find}<input type="search" id="find" value=${find} onInput=${(event) => setFind(event.target.value)} /></label>
    ${shown.map(({ path, method, each }) => html`<details key=${method + path}><summary><code>${method} ${path}</code> <small>${each.summary ?? ""}</small></summary><${Try} path=${path} method=${method} each=${each} /></details>`)}`;
}
/** Calls that only read, though their method is POST. The others are asked about before they are sent. */
const READS = new Set(["get", "query", "search", "count", "known_ids", "facets", "embed", "projection", "pairs", "recall", "sql", "export", "near"]);
const readsOnly = (method, path) => method === "GET" || (method === "POST" && READS.has(path.split("/").pop()));

/** Send one request from the page. */
function Try({ path, method, each }) {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]);
  const options = (each.parameters ?? []).filter((one) => one.in === "query");
  const safe = readsOnly(method, path);
  const [values, setValues] = useState(safe ? { tenant: place.value.tenant, database: place.value.database } : {});
  const [queries, setQueries] = useState({});
  const [body, setBody] = useState(each.requestBody ? "{}" : "");
  const [answer, setAnswer] = useState(null), [asked, ask] = useState(null), [problem, setProblem] = useState(null);
  const work = useAction();
  /** What would be sent, fixed when it is asked about. */
  const made = () => {
    const query = new URLSearchParams(Object.entries(queries).filter(([, value]) => value !== "")).toString();
    return { to: path.replace(/^\/api\/v2/, "").replace(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(own(values, name) ?? "")) + (query && `?${query}`), body: body.trim() ? parse(body) : undefined };
  };
  const fetched = async (request, signal) => {
    const blob = await call(method, request.to, request.body, { signal, answer: "blob" });
    return blob.type.includes("arrow") ? T.binary(size(blob.size)) : clipped(await blob.slice(0, 20_000).text(), 20_000);
  };
  const send = async (event) => {
    event.preventDefault();
    setProblem(null);
    let request;
    try { request = made(); } catch (error) { setProblem(error); return; }
    if (!safe) { ask(request); return; }
    const got = await work.run((signal) => fetched(request, signal));
    if (got !== undefined) setAnswer(got);
  };
  if (!path.startsWith("/api/v2")) return html`<p>${each.description}</p>`;
  const last = asked && decodeURIComponent(asked.to.split("?")[0].split("/").pop());
  return html`<p>${each.description}</p><form onSubmit=${send}>${names.map((name) => html`<label class="inline">${name}<input required value=${own(values, name) ?? ""} onInput=${(event) => setValues({ ...values, [name]: event.target.value })} /></label>`)}
    ${options.map((one) => html`<label class="inline" title=${one.description ?? ""}>${one.name}<input required=${one.required === true} value=${own(queries, one.name) ?? ""} onInput=${(event) => setQueries({ ...queries, [one.name]: event.target.value })} /></label>`)}
    ${each.requestBody && html`<label>${T.body}<textarea class="mono" rows="4" spellcheck=${false} value=${body} onInput=${(event) => setBody(event.target.value)}></textarea></label>`}
    <button class=${safe ? "" : "danger"} disabled=${work.busy}>${T.send}</button><${Busy} busy=${work.busy} onCancel=${work.cancel} /></form><${Problem} error=${problem ?? work.error} />${answer !== null && html`<pre class="whole">${answer}</pre>`}
    ${asked && html`<${Ask} title=${`${T.send}: ${method}`} confirm=${last} onClose=${() => ask(null)} action=${() => fetched(asked)} onDone=${(got) => { ask(null); setAnswer(got || T.done); tell(T.done); }}>
      <p>${T.sendSays}</p><pre class="whole">${`${method} ${asked.to}${asked.body === undefined ? "" : `\n${write(asked.body, "  ")}`}`}</pre><//>`}`;
}
