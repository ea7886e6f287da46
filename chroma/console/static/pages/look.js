/** Duplicates, Quality, SQL, Server and Help. */
import { announce, BASE, call, collectionPath, copy, count, download, filterOf, href, parse, place, remember, remembered, scopePath, short, show, size, turn, typed, write, singleKeys, mayWrite } from "../core.js";
import { Ask, Bar, Busy, Dialog, FilterBar, Pager, Problem, clipped, html, useAction, useEffect, useLoad, useMemo, useSignal, useState } from "../ui.js";
import { T } from "../texts.js";

// ---------------------------------------------------------------- Duplicates

const PAIRS = 10;

export function duplicates({ info, at }) {
  const { params } = at;
  const [limit, setLimit] = useState(params.max ?? "0.05");
  const path = collectionPath(info.id);
  const found = useLoad((signal) => (params.max ? call("POST", `${path}/chroma-arrow/pairs`, { max_distance: Number(params.max), limit: 1000, where: filterOf(params).where }, { signal }) : Promise.resolve(null)), [params.max, params.where]);
  const page = Number(params.page ?? 1);
  const pairs = found.data?.pairs ?? [];
  const shown = pairs.slice((page - 1) * PAIRS, page * PAIRS);
  const texts = useLoad(async (signal) => {
    const ids = [...new Set(shown.flatMap((pair) => [pair.a, pair.b]))];
    if (!ids.length) return new Map();
    const got = await call("POST", `${path}/get`, { ids, include: ["documents", "metadatas"] }, { signal });
    return new Map(got.ids.map((id, index) => [id, { document: got.documents?.[index], metadata: got.metadatas?.[index] ?? {} }]));
  }, [found.data, page]);
  const [doomed, doom] = useState(new Set());
  const [asked, ask] = useState(false);
  const flip = (id) => { const next = new Set(doomed); if (!next.delete(id)) next.add(id); doom(next); };
  return html`<div class="head"><h1>${T.pages_.duplicates}</h1></div><${FilterBar} info=${info} documents=${false} />
    <form class="row" onSubmit=${(event) => { event.preventDefault(); turn({ max: limit, page: null }); }}>
      <label class="inline">${T.maxDistance}<input type="number" step="any" min="0" required value=${limit} onInput=${(event) => setLimit(event.target.value)} /></label><button class="primary">${T.findPairs}</button></form>
    <${Problem} error=${found.error ?? texts.error} what=${T.pages_.duplicates} /><${Busy} busy=${found.busy || texts.busy} />
    ${found.data && html`<p role="status">${T.pairs(count(pairs.length))}${found.data.complete === false ? ` ${T.notAllPairs}` : ""}</p>`}
    ${doomed.size > 0 && html`<div class="row marked"><span>${T.toDelete(count(doomed.size))}</span>
      <button type="button" onClick=${() => download(new Blob([JSON.stringify([...doomed], null, 1)], { type: "application/json" }), `${info.name}-to-delete.json`)}>${T.downloadIds}</button>
      ${mayWrite() && html`<button type="button" class="danger" onClick=${() => ask(true)}>${T.does.delete}</button>`}<button type="button" onClick=${() => doom(new Set())}>${T.unmark}</button></div>`}
    ${shown.map((pair) => { const [a, b] = [texts.data?.get(pair.a), texts.data?.get(pair.b)];
      return html`<article class="pair" key=${`${pair.a}|${pair.b}`}><p>${T.distance} ${short(pair.distance)}</p><div class="two">
        ${[[pair.a, a, b], [pair.b, b, a]].map(([id, one, two]) => html`<section class=${doomed.has(id) ? "doomed" : ""}>
          <div class="row"><a href=${href({ page: "record", params: { id } })}>${clipped(id, 60)}</a><label class="inline"><input type="checkbox" checked=${doomed.has(id)} onChange=${() => flip(id)} />${T.does.delete}</label></div>
          ${texts.data && !one && html`<p class="none">${T.gone}</p>`}
          ${one && html`<p class="text clip" dir="auto">${different(clipped(one.document, 400), clipped(two?.document, 400))}</p>
            <dl class="meta">${Object.entries(one.metadata).slice(0, 10).map(([key, value]) => html`<dt>${clipped(key, 30)}</dt><dd>${write(value) === write(two?.metadata?.[key] ?? null) ? clipped(value, 60) : html`<mark>${clipped(value, 60)}</mark>`}</dd>`)}</dl>`}</section>`)}</div></article>`; })}
    ${pairs.length > PAIRS && html`<${Pager} total=${pairs.length} page=${page} rows=${PAIRS} sizes=${[PAIRS]} onPage=${(value) => turn({ page: value })} onRows=${() => {}} />`}
    ${asked && html`<${Ask} title=${T.deleteCount(count(doomed.size))} onClose=${() => ask(false)} action=${(signal) => call("POST", `${path}/delete`, { ids: [...doomed] }, { signal })}
      onDone=${(answer) => { announce(T.deleted(count(answer.deleted))); doom(new Set()); ask(false); found.reload(); }}><p>${T.deleteSays(count(doomed.size), info.name)}</p><pre class="whole">${[...doomed].slice(0, 20).join("\n")}</pre><//>`}`;
}
/** A text with the words marked that the other one does not have. */
function different(text, other) {
  const words = new Set(other.split(/\s+/));
  return text.split(/(\s+)/).map((part) => (part.trim() && !words.has(part) ? html`<mark>${part}</mark>` : part));
}

// ---------------------------------------------------------------- Quality

export function quality({ info, reloadInfo }) {
  const path = collectionPath(info.id);
  const stats = useLoad((signal) => call("GET", `${path}/chroma-arrow/stats`, undefined, { signal }), []);
  const status = useLoad((signal) => call("GET", `${path}/indexing_status`, undefined, { signal }), []);
  const [k, setK] = useState(10), [sample, setSample] = useState(200), [recall, setRecall] = useState(null);
  const [ef, setEf] = useState(String(info.configuration_json?.hnsw?.ef_search ?? 100));
  const measure = useAction(), compact = useAction(), tune = useAction();
  const again = () => { stats.reload(); status.reload(); reloadInfo(); };
  const run = async (event) => {
    event.preventDefault();
    const before = performance.now();
    const found = await measure.run((signal) => call("POST", `${path}/chroma-arrow/recall`, { k: Number(k), sample: Number(sample) }, { signal }));
    if (found !== undefined) { const value = Number(found); setRecall({ value, took: performance.now() - before, k, sample }); announce(T.recallIs(short(value), k, sample)); }
  };
  const s = stats.data, now = status.data;
  return html`<div class="head"><h1>${T.pages_.quality}</h1><button type="button" onClick=${again}>${T.reload}</button></div>
    <div class="cards"><section><h2>${T.indexing}</h2><${Problem} error=${status.error} what=${T.indexing} />
      ${now && html`<${Bar} share=${Number(now.op_indexing_progress)} label=${T.indexed(Math.floor(Number(now.op_indexing_progress) * 100))} /><p>${T.indexedOf(count(now.num_indexed_ops), count(now.total_ops))}</p>
        ${now.num_unindexed_ops > 0 && html`<p>${T.scanned(count(now.num_unindexed_ops))}</p>`}`}
      ${mayWrite() && html`<div class="row"><button type="button" disabled=${compact.busy} onClick=${async () => { if (await compact.run((signal) => call("POST", `${path}/chroma-arrow/compact`, undefined, { signal })) !== undefined) { announce(T.done); again(); } }}>${T.does.compact}</button><${Busy} busy=${compact.busy} /></div><p><small>${T.compactSays}</small></p>`}
      <${Problem} error=${compact.error} /></section>
    <section><h2>${T.recall}</h2><form onSubmit=${run}><div class="row"><label class="inline">k<input type="number" min="1" max="100" value=${k} onInput=${(event) => setK(event.target.value)} /></label>
      <label class="inline">${T.sample}<input type="number" min="1" max="10000" value=${sample} onInput=${(event) => setSample(event.target.value)} /></label><button class="primary" disabled=${measure.busy}>${T.measure}</button></div></form>
      <${Busy} busy=${measure.busy} onCancel=${measure.cancel} /><${Problem} error=${measure.error} />
      ${recall && html`<p class="big">${short(recall.value)}</p><p>${T.recallIs(short(recall.value), recall.k, recall.sample)} · ${short(recall.took, 3)} ms</p>`}
      ${mayWrite() && html`<form class="row" onSubmit=${async (event) => { event.preventDefault(); if (await tune.run((signal) => call("PUT", path, { new_configuration: { hnsw: { ef_search: Number(ef) } } }, { signal })) !== undefined) { announce(T.saved); again(); } }}>
        <label class="inline">ef_search<input type="number" min="1" value=${ef} onInput=${(event) => setEf(event.target.value)} /></label><button disabled=${tune.busy}>${T.save}</button></form><${Problem} error=${tune.error} />`}</section>
    <section><h2>${T.sizes}</h2><${Problem} error=${stats.error} what=${T.sizes} />${s && html`<dl class="meta">
      ${[[T.live, count(s.live)], [T.deletedRows, count(s.deleted)], [T.unsealed, count(s.unsealed)], [T.segments, count(s.segments)], [T.bytes, size(s.bytes)], [T.logBytes, size(s.log_bytes)] ].map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
      <details><summary>${T.files}</summary><dl class="meta">${Object.entries(s.files ?? {}).map(([name, bytes]) => html`<dt>${name}</dt><dd>${size(bytes)}</dd>`)}</dl></details>`}</section></div>`;
}

// ---------------------------------------------------------------- SQL

const past = () => { try { return JSON.parse(remembered("sql") ?? "[]"); } catch { return []; } };

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
    setAnswer({ ...found, took: performance.now() - before });
    announce(T.rows(count(found.rows.length)));
    const next = [text, ...past().filter((each) => each !== text)].slice(0, 30);
    remember("sql", JSON.stringify(next));
    setHistory(next);
  };
  useEffect(() => { if (at.params.sql) run(); }, []);
  const quote = (name) => `"${name.replaceAll('"', '""')}"`;
  const cell = (value) => { const plain = value === null ? "" : show(value); return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain; };
  return html`<div class="head"><h1>SQL</h1></div><div class="side"><div>
    <form onSubmit=${run}><label>${T.statement}<textarea class="mono" rows="6" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)}
      onKeyDown=${(event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event); }}></textarea></label>
      <div class="row"><button class="primary" disabled=${work.busy}>${T.run}</button>
        ${history_.length > 0 && html`<label class="inline">${T.history}<select onChange=${(event) => { if (event.target.value) setText(history_[Number(event.target.value)]); event.target.value = ""; }}><option value="">…</option>${history_.map((each, index) => html`<option value=${index}>${clipped(each, 70)}</option>`)}</select></label>`}
        ${answer && html`<button type="button" onClick=${() => download(new Blob([[answer.columns.map((each) => cell(each.name)), ...answer.rows.map((row) => row.map(cell))].map((row) => row.join(",")).join("\n"), "\n"], { type: "text/csv" }), "answer.csv")}>CSV</button>`}
        <${Busy} busy=${work.busy} onCancel=${work.cancel} /></div></form>
    <${Problem} error=${work.error} what="SQL" />
    ${answer && html`<p>${T.rows(count(answer.rows.length))}${answer.truncated ? ` ${T.truncated}` : ""} · ${short(answer.took, 3)} ms</p><${Chart} answer=${answer} />
      <div class="scroll" tabindex="0" role="region" aria-label=${T.answer}><table><thead><tr>${answer.columns.map((each) => html`<th scope="col">${each.name} <small>${each.type}</small></th>`)}</tr></thead>
      <tbody>${answer.rows.slice(0, 1000).map((row) => html`<tr>${row.map((value) => html`<td class=${typeof value === "number" || typeof value === "bigint" ? "number" : ""}>${value === null ? html`<span class="none">NULL</span>` : clipped(value, 200)}</td>`)}</tr>`)}</tbody></table></div>`}</div>
    <aside><h2>${T.tables}</h2><${Problem} error=${tables.error} /><ul class="tables">${tables.data?.map((each) => html`<li><button type="button" class="plain" onClick=${() => setText(`SELECT * FROM ${quote(each.name)} LIMIT 20`)}>${clipped(each.name, 50)}</button></li>`)}</ul><p><small>${T.sqlSays}</small></p></aside></div>`;
}
/** Bars of the last numeric column against the first one. */
function Chart({ answer }) {
  const numeric = answer.columns.map((_, index) => answer.rows.length > 0 && answer.rows.every((row) => row[index] === null || ["number", "bigint"].includes(typeof row[index]) || typeof row[index]?.valueOf() === "number"));
  const value = numeric.lastIndexOf(true);
  if (value < 1 || answer.rows.length < 2) return null;
  const rows = answer.rows.slice(0, 40);
  const most = Math.max(...rows.map((row) => Math.abs(Number(row[value] ?? 0))), 1e-30);
  return html`<details><summary>${T.chart(answer.columns[0].name, answer.columns[value].name)}</summary><table class="values"><caption class="hidden">${T.chart(answer.columns[0].name, answer.columns[value].name)}</caption><tbody>${rows.map((row) => html`<tr><th scope="row">${clipped(row[0], 40)}</th><td><${Bar} share=${Math.abs(Number(row[value] ?? 0)) / most} /></td><td class="number">${clipped(row[value], 20)}</td></tr>`)}</tbody></table></details>`;
}

// ---------------------------------------------------------------- Server

export function server() {
  const state = useLoad((signal) => call("GET", "/chroma-arrow/state", undefined, { signal }), []);
  const version = useLoad((signal) => call("GET", "/version", undefined, { signal }), []);
  useEffect(() => {
    const timer = setInterval(() => { if (document.visibilityState === "visible") state.reload(); }, 5000);
    return () => clearInterval(timer);
  }, []);
  const it = state.data;
  const span = (seconds) => { const total = Math.floor(Number(seconds)); return `${Math.floor(total / 86400)} d ${Math.floor(total / 3600) % 24} h ${Math.floor(total / 60) % 60} min ${total % 60} s`; };
  return html`<div class="head"><h1>${T.pages_.server}</h1><button type="button" onClick=${state.reload}>${T.reload}</button></div>
    ${version.data && html`<p>Chroma-on-Arrow ${version.data}</p>`}<${Problem} error=${state.error} what=${T.pages_.server} />
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
/** Send one request from the page. */
function Try({ path, method, each }) {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]);
  const [values, setValues] = useState({ tenant: place.value.tenant, database: place.value.database });
  const [body, setBody] = useState(each.requestBody ? "{}" : "");
  const [answer, setAnswer] = useState(null);
  const work = useAction();
  const send = async (event) => {
    event.preventDefault();
    const to = path.replace(/^\/api\/v2/, "").replace(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ""));
    const got = await work.run(async (signal) => {
      const blob = await call(method, to, body.trim() ? parse(body) : undefined, { signal, answer: "blob" });
      return blob.type.includes("arrow") ? T.binary(size(blob.size)) : clipped(await blob.slice(0, 20_000).text(), 20_000);
    });
    if (got !== undefined) setAnswer(got);
  };
  if (!path.startsWith("/api/v2")) return html`<p>${each.description}</p>`;
  return html`<p>${each.description}</p><form onSubmit=${send}>${names.map((name) => html`<label class="inline">${name}<input required value=${values[name] ?? ""} onInput=${(event) => setValues({ ...values, [name]: event.target.value })} /></label>`)}
    ${each.requestBody && html`<label>${T.body}<textarea class="mono" rows="4" spellcheck=${false} value=${body} onInput=${(event) => setBody(event.target.value)}></textarea></label>`}
    <button class=${method === "GET" ? "" : "danger"} disabled=${work.busy}>${T.send}</button></form><${Problem} error=${work.error} />${answer !== null && html`<pre class="whole">${answer}</pre>`}`;
}
