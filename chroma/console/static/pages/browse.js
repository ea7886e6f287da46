/** Overview, Data and Record. */
import { PAGE_SIZES, announce, call, collectionPath, copy, count, download, filterOf, floats, go, href, keysOf, mayWrite, onlyFilter, opening, own, place, python, scopePath, selectionOf, short, show, size, tell, turn, typeOf, typed, wholeOf, write, EXACT } from "../core.js";
import { Ask, Bar, Busy, DeleteMatching, Dialog, FilterBar, Pager, Problem, Value, clipped, countOf, html, useAction, useEffect, useLoad, useMemo, useState } from "../ui.js";
import { T } from "../texts.js";

const EXACTLY = EXACT ? {} : { integers: "text" };

// ---------------------------------------------------------------- Overview

const COLUMNS = ["name", "rows", "dimension", "space", "function", "indexed", "scanned", "bytes"], NUMBERS = new Set(["rows", "dimension", "scanned", "bytes"]);

export function overview({ at }) {
  const { params } = at;
  const tree = useLoad((signal) => call("GET", "/chroma-arrow/tree", undefined, { signal }), []);
  const [asked, ask] = useState(null);
  const [filter, setFilter] = useState(params.q ?? "");
  const tenants = tree.data?.tenants ?? [];
  const databases = tenants.flatMap((tenant) => tenant.databases.map((database) => ({ tenant: tenant.name, ...database })));
  const here = databases.find((each) => each.tenant === at.tenant && each.name === at.database);
  const all = here?.collections ?? [];
  const [sort, down] = [(params.sort ?? "name").replace(/^-/, ""), (params.sort ?? "").startsWith("-")];
  const found = useMemo(() => {
    const part = filter.toLowerCase();
    const rows = all.filter((each) => each.name.toLowerCase().includes(part));
    const of = (each) => (sort === "indexed" ? share(each) : sort === "scanned" ? scanned(each) : own(each, sort));
    return rows.sort((a, b) => (down ? -1 : 1) * (typeof of(a) === "string" || typeof of(b) === "string"
      ? String(of(a) ?? "").localeCompare(String(of(b) ?? "")) : Number(of(a) ?? -1) - Number(of(b) ?? -1)));
  }, [tree.data, filter, sort, down, at]);
  const rows = wholeOf(params.rows, 25, 1, 100), page = wholeOf(params.page, 1, 1, Math.max(1, Math.ceil(found.length / rows)));
  const done = (text) => { tell(text); ask(null); tree.reload(); };
  return html`<div class="head"><h1>${T.pages_.overview}</h1>
      ${mayWrite() && tree.data && html`<button type="button" class="primary" onClick=${() => ask(["create"])}>${T.create}</button>`}
      <button type="button" onClick=${tree.reload}>${T.reload}</button></div>
    <${Problem} error=${tree.error} what=${T.pages_.overview} /><${Busy} busy=${tree.busy} />
    ${tree.data && html`<div class="row">
      <label class="inline">${T.database}<select onChange=${(event) => { const chosen = databases[Number(event.target.value)]; go({ tenant: chosen.tenant, database: chosen.name, collection: null, params: {} }); }}>
        ${!here && html`<option selected>${at.tenant} / ${at.database}</option>`}
        ${databases.map((each, index) => html`<option value=${index} selected=${each === here}>${each.tenant} / ${each.name} (${each.collections.length})</option>`)}</select></label>
      <label class="inline">${T.find}<input type="search" id="find" value=${filter} onInput=${(event) => { setFilter(event.target.value); turn({ q: event.target.value || null, page: null }, true); }} /></label>
      <output>${T.collections(count(found.length))}</output></div>
    ${!here && html`<p class="problem">${T.noDatabase(at.tenant, at.database)}</p>`}
    ${here && all.length === 0 && html`<div class="empty"><p>${T.noCollections}</p><pre>${opening("things", at).replace("get_collection", "get_or_create_collection")}collection.add(ids=["a"], documents=["The first document."])</pre></div>`}
    ${found.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${T.pages_.overview}><table><thead><tr>
      ${COLUMNS.map((column) => html`<th scope="col" aria-sort=${sort === column ? (down ? "descending" : "ascending") : "none"} class=${NUMBERS.has(column) ? "number" : ""}>
        <button type="button" class="plain" onClick=${() => turn({ sort: sort === column && !down ? `-${column}` : column, page: null })}>${T.columns[column]}${sort === column ? (down ? " ↓" : " ↑") : ""}</button></th>`)}
      ${mayWrite() && html`<th scope="col">${T.actions}</th>`}</tr></thead>
      <tbody>${found.slice((page - 1) * rows, page * rows).map((each) => html`<tr key=${each.id} data-row tabindex="-1">
        <th scope="row"><a href=${href({ collection: each.name, page: "data", params: {} })}>${each.name}</a></th>
        <td class="number">${count(each.rows)}</td><td class="number">${each.dimension ?? "–"}</td><td>${each.space ?? "–"}</td><td>${functionName(each.function)}</td>
        <td>${each.rows ? html`<${Bar} share=${share(each)} label=${T.indexed(Math.round(share(each) * 100))} /> ${Math.floor(share(each) * 100)} %` : "–"}</td>
        <td class="number">${count(scanned(each))}</td><td class="number">${size(each.bytes)}</td>
        ${mayWrite() && html`<td><div class="actions">${["rename", "fork", "compact", "delete"].map((what) => html`<button type="button" class="small" aria-label=${`${T.does[what]}: ${each.name}`} onClick=${() => ask([what, each])}>${T.does[what]}</button>`)}</div></td>`}
      </tr>`)}</tbody></table></div>
      ${found.length > rows && html`<${Pager} total=${found.length} page=${page} rows=${rows} sizes=${[25, 50, 100]} onPage=${(value) => turn({ page: value })} onRows=${(value) => turn({ rows: value, page: null })} />`}`}`}
    ${asked && html`<${Change} key=${asked.join()} what=${asked[0]} collection=${asked[1]} onClose=${() => ask(null)} onDone=${done} />`}`;
}
const share = (each) => (each.rows ? Math.min(1, Number(each.indexed ?? 0) / Number(each.rows)) : 0);
/** The records that searches compare one by one, as no index has them yet. */
const scanned = (each) => (each.rows == null || each.indexed == null ? null : Math.max(0, Number(each.rows) - Number(each.indexed)));
const functionName = (value) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : value.name ?? value.type ?? "–");

/** Create, rename, fork, compact or delete a collection. */
function Change({ what, collection, onClose, onDone }) {
  const [name, setName] = useState(what === "fork" ? `${collection.name}-copy` : what === "rename" ? collection.name : "");
  const [space, setSpace] = useState("cosine");
  const [scope] = useState(scopePath()), path = collection && `${scope}/collections/${encodeURIComponent(collection.id)}`;
  const act = {
    create: () => call("POST", `${scope}/collections`, { name, configuration: { hnsw: { space }, embedding_function: { type: "known", name: "default", config: {} } } }),
    rename: () => call("PUT", path, { new_name: name }),
    fork: () => call("POST", `${path}/fork`, { new_name: name }),
    compact: () => call("POST", `${path}/chroma-arrow/compact`),
    delete: () => call("DELETE", `${scope}/collections/${encodeURIComponent(collection.name)}`),
  }[what];
  return html`<${Ask} title=${collection ? `${T.does[what]}: ${collection.name}` : T.create} action=${act} danger=${what === "delete"} confirm=${what === "delete" ? collection.name : ""}
      onClose=${onClose} onDone=${() => onDone(`${collection ? `${T.does[what]}: ${collection.name}` : T.create}: ${T.done}`)}>
    ${["create", "rename", "fork"].includes(what) && html`<label>${T.name}<input required value=${name} onInput=${(event) => setName(event.target.value)} /></label>`}
    ${what === "create" && html`<label>${T.columns.space}<select onChange=${(event) => setSpace(event.target.value)}>${["cosine", "l2", "ip"].map((each) => html`<option value=${each} selected=${each === space}>${each}</option>`)}</select></label>`}
    ${what === "delete" && html`<p>${T.deleteCollectionSays(collection.name, count(collection.rows))}</p>`}
    ${what === "compact" && html`<p>${T.compactSays}</p>`}<//>`;
}

// ---------------------------------------------------------------- Data

const pack = (keys) => keys.map(encodeURIComponent).join(",");
const unpack = (text) => text.split(",").filter(Boolean).map(decodeURIComponent);

/** The six keys that most of the records have, in the order of the names. @param {any[]} metadatas @param {string[]} keys */
function mostFilled(metadatas, keys) {
  const times = new Map(keys.map((key) => [key, 0]));
  for (const each of metadatas) for (const key of Object.keys(each ?? {})) times.set(key, (times.get(key) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([key]) => key);
}

export function data({ info, at, reloadInfo }) {
  const { params } = at;
  const keys = useMemo(() => keysOf(info), [info]);
  const [filled, setFilled] = useState(null);
  const columns = useMemo(() => (params.cols !== undefined ? unpack(params.cols) : filled ?? []), [params.cols, filled]);
  const rows = PAGE_SIZES.includes(Number(params.rows)) ? Number(params.rows) : 50, page = wholeOf(params.page, 1);
  const path = collectionPath(info.id, at);
  const [marked, mark] = useState(new Set());
  const [asked, ask] = useState("");
  /** The selection and the filter together: what is counted, shown, sorted and deleted is the same. */
  const body = () => (params.ids ? { ids: selectionOf(params.ids, info.id), ...filterOf(params) } : filterOf(params));
  const total = useLoad((signal) => countOf(path, body(), signal), [params.where, params.text, params.how, params.ids]);
  const found = useLoad((signal) => call("POST", `${path}/get`, { ...body(), limit: rows, offset: (page - 1) * rows, ...EXACTLY, order_by: params.sort || undefined, include: ["documents", "metadatas", "uris"] }, { signal }),
    [params.where, params.text, params.how, params.sort, params.ids, rows, page]);
  useEffect(() => { if (found.data && !filled) setFilled(mostFilled(found.data.metadatas ?? [], keys.map((each) => each.key))); }, [found.data]);
  useEffect(() => { if (total.data !== undefined) announce(T.matches(count(total.data))); }, [total.data]);
  useEffect(() => { const last = Math.max(1, Math.ceil(total.data / rows)); if (!total.busy && page > last) turn({ page: last > 1 ? last : null }, true); }, [total.data, total.busy, page, rows]);
  useEffect(() => { mark(new Set()); ask(""); }, [params.where, params.text, params.how, params.ids]);
  const [sort, down] = [(params.sort ?? "").replace(/^-/, ""), (params.sort ?? "").startsWith("-")];
  const list = found.data?.ids ?? [];
  const flip = (id, on) => { const next = new Set(marked); if (on) next.add(id); else next.delete(id); mark(next); };
  const again = () => { mark(new Set()); ask(""); total.reload(); found.reload(); reloadInfo(); };
  const filtered = Boolean(params.where || params.text || params.ids);
  const sorter = (column) => html`<button type="button" class="plain" title=${T.sortBy(column)} onClick=${() => turn({ sort: sort === column ? (down ? null : `-${column}`) : column, page: null })}>${clipped(column, 40)}${sort === column ? (down ? " ↓" : " ↑") : ""}</button>`;
  return html`<div class="head"><h1>${T.pages_.data}</h1>
      <button type="button" onClick=${() => ask("columns")}>${T.chooseColumns}</button>
      ${filtered && mayWrite() && html`<button type="button" class="danger" onClick=${() => ask("matching")}>${T.deleteMatching}</button>`}
      <a class="button" href=${href({ page: "io", params: onlyFilter(params) })}>${T.pages_.io}</a>
      <button type="button" onClick=${again}>${T.reload}</button></div>
    ${params.ids && html`<div class="row"><p>${T.markedOnMap}</p><button type="button" onClick=${() => turn({ ids: null, page: null })}>${T.showAll}</button></div>`}
    <${FilterBar} info=${info} matches=${total.data} />
    <${Problem} error=${total.error ?? found.error} what=${T.pages_.data} /><${Busy} busy=${found.busy} />
    ${marked.size > 0 && html`<div class="row marked"><span>${T.marked(count(marked.size))}</span>
      ${mayWrite() && html`<button type="button" class="danger" onClick=${() => ask("marked")}>${T.does.delete}</button>`}
      <button type="button" onClick=${() => copy([...marked].join("\n"))}>${T.copyIds}</button>
      <button type="button" onClick=${() => ask("export")}>${T.export}</button>
      <button type="button" onClick=${() => mark(new Set())}>${T.unmark}</button></div>`}
    ${found.data && list.length === 0 && total.data === 0 && html`<p class="empty">${filtered ? T.nothingMatches : T.emptyCollection}</p>`}
    ${list.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${T.records}><table class="data"><thead><tr>
      <th scope="col"><input type="checkbox" aria-label=${T.markAll} checked=${list.every((id) => marked.has(id))} onChange=${(event) => { const next = new Set(marked); for (const id of list) if (event.target.checked) next.add(id); else next.delete(id); mark(next); }} /></th>
      <th scope="col">${T.id}</th><th scope="col">${T.document}</th>
      ${columns.map((column) => html`<th scope="col" aria-sort=${sort === column ? (down ? "descending" : "ascending") : "none"}>${sorter(column)}</th>`)}</tr></thead>
      <tbody>${list.map((id, index) => html`<tr key=${id} data-row tabindex="-1" class=${marked.has(id) ? "on" : ""}>
        <td><input type="checkbox" aria-label=${T.mark(clipped(id, 60))} checked=${marked.has(id)} onChange=${(event) => flip(id, event.target.checked)} /></td>
        <th scope="row"><a href=${href({ page: "record", params: { id } })}><bdi>${clipped(id, 60)}</bdi></a></th>
        <td class="document"><div dir="auto">${clipped(found.data.documents?.[index], 300) || html`<span class="none">–</span>`}</div></td>
        ${columns.map((column) => html`<td class=${["int", "float"].includes(typeOf(own(found.data.metadatas?.[index], column))) ? "number" : ""}><${Value} name=${column} value=${own(found.data.metadatas?.[index], column)} /></td>`)}
      </tr>`)}</tbody></table></div>`}
    ${total.data > 0 && html`<${Pager} total=${total.data} page=${page} rows=${rows} onPage=${(value) => turn({ page: value })} onRows=${(value) => turn({ rows: value, page: null })} />`}
    ${asked === "columns" && html`<${Columns} keys=${keys} columns=${columns} onClose=${() => ask("")} onDone=${(value) => { ask(""); turn({ cols: pack(value) || "," }); }} />`}
    ${asked === "matching" && html`<${DeleteMatching} info=${info} filter=${body()} onClose=${() => ask("")} onDone=${again} />`}
    ${asked === "marked" && html`<${Ask} title=${T.deleteCount(count(marked.size))} onClose=${() => ask("")} onDone=${(answer) => { tell(T.deleted(count(answer.deleted))); again(); }}
      action=${() => call("POST", `${path}/delete`, { ids: [...marked] })}><p>${T.deleteSays(count(marked.size), info.name)}</p><pre class="whole">${[...marked].slice(0, 20).map((id) => clipped(id, 80)).join("\n")}${marked.size > 20 ? "\n…" : ""}</pre><//>`}
    ${asked === "export" && html`<${Ask} title=${T.export} danger=${false} onClose=${() => ask("")} onDone=${(blob) => { download(blob, `${info.name}.jsonl`); ask(""); }}
      action=${() => call("POST", `${path}/chroma-arrow/export`, { ids: [...marked], format: "jsonl" }, { answer: "blob" })}><p>${T.exportMarked(count(marked.size))}</p><//>`}`;
}

/** Choose columns and their order. */
function Columns({ keys, columns, onClose, onDone }) {
  const [chosen, set] = useState(columns);
  const [find, setFind] = useState("");
  const move = (index, by) => { const next = [...chosen]; next.splice(index + by, 0, ...next.splice(index, 1)); set(next); };
  const rest = keys.map((each) => each.key).filter((key) => !chosen.includes(key) && key.toLowerCase().includes(find.toLowerCase()));
  return html`<${Dialog} title=${T.chooseColumns} onClose=${onClose}>
    <ol class="columns">${chosen.map((key, index) => html`<li key=${key}><span>${clipped(key, 50)}</span>
      <button type="button" aria-label=${T.moveUp(key)} disabled=${index === 0} onClick=${() => move(index, -1)}>↑</button>
      <button type="button" aria-label=${T.moveDown(key)} disabled=${index === chosen.length - 1} onClick=${() => move(index, 1)}>↓</button>
      <button type="button" aria-label=${T.hide(key)} onClick=${() => set(chosen.filter((each) => each !== key))}>✕</button></li>`)}</ol>
    <label class="inline">${T.find}<input type="search" value=${find} onInput=${(event) => setFind(event.target.value)} /></label>
    <div class="row wrap">${rest.slice(0, 100).map((key) => html`<button type="button" key=${key} onClick=${() => set([...chosen, key])}>+ ${clipped(key, 40)}</button>`)}</div>
    ${rest.length > 100 && html`<p>${T.more(count(rest.length - 100))}</p>`}
    <div class="row"><button type="button" class="primary" onClick=${() => onDone(chosen)}>${T.apply}</button></div><//>`;
}

// ---------------------------------------------------------------- Record

const fetchRecord = async (path, id, signal) => {
  const found = await call("POST", `${path}/get`, { ids: [id], ...EXACTLY, include: ["documents", "metadatas", "uris", "embeddings"], encoding: "base64" }, { signal });
  if (!found.ids.length) return null;
  const packed = found.embeddings?.[0];
  return { id, document: found.documents?.[0] ?? null, metadata: found.metadatas?.[0] ?? {}, uri: found.uris?.[0] ?? null, vector: typeof packed === "string" ? floats(packed) : packed ? Float32Array.from(packed, Number) : null };
};

export function record({ info, at }) {
  const { id = "" } = at.params;
  const path = collectionPath(info.id, at);
  const found = useLoad((signal) => fetchRecord(path, id, signal), [id]);
  const [editing, edit] = useState(false);
  const [asked, ask] = useState("");
  const it = found.data;
  if (found.error || it === undefined) return html`<h1>${clipped(id, 100)}</h1><${Problem} error=${found.error} /><${Busy} busy=${found.busy} />`;
  if (it === null) return html`<h1>${clipped(id, 100)}</h1><p class="problem">${T.noRecord(id)}</p>`;
  const plain = { id, document: it.document, metadata: it.metadata, uri: it.uri };
  return html`<div class="head"><h1 dir="auto">${clipped(id, 100)}</h1>
      ${mayWrite() && !editing && html`<button type="button" class="primary" data-edit onClick=${() => edit(true)}>${T.edit}</button>`}
      <a class="button" href=${href({ page: "search", params: { like: id } })}>${T.similar}</a>
      <button type="button" onClick=${() => copy(`${opening(info.name)}collection.get(ids=[${python(id)}], include=["documents", "metadatas", "uris", "embeddings"])`)}>${T.copyPython}</button>
      <button type="button" onClick=${() => copy(write(plain, "  "))}>${T.copyJson}</button>
      ${mayWrite() && html`<button type="button" class="danger" onClick=${() => ask("delete")}>${T.does.delete}</button>`}</div>
    ${editing ? html`<${Edit} info=${info} path=${path} it=${it} onClose=${() => edit(false)} onDone=${() => { edit(false); found.reload(); }} />`
      : html`<div class="record"><section><h2>${T.document}</h2>${it.document === null ? html`<p class="none">${T.noDocument}</p>` : html`<div class="text" dir="auto">${it.document}</div>`}
        ${it.uri !== null && html`<h2>${T.uri}</h2><${Uri} uri=${it.uri} />`}</section>
      <section><h2>${T.metadata}</h2>${Object.keys(it.metadata).length ? html`<div class="scroll" tabindex="0" role="region" aria-label=${T.metadata}><table><thead><tr><th scope="col">${T.key}</th><th scope="col">${T.type}</th><th scope="col">${T.value}</th></tr></thead>
        <tbody>${Object.entries(it.metadata).map(([key, value]) => html`<tr key=${key}><th scope="row">${clipped(key, 80)}</th><td>${T.types[typeOf(value)]}</td><td><${Value} name=${key} value=${value} /></td></tr>`)}</tbody></table></div>` : html`<p class="none">${T.noMetadata}</p>`}
        ${it.vector && html`<h2>${T.vector}</h2><${Vector} values=${it.vector} />`}</section></div>`}
    ${asked === "delete" && html`<${Ask} title=${T.deleteRecord} onClose=${() => ask("")} action=${() => call("POST", `${path}/delete`, { ids: [id] })}
      onDone=${() => { tell(T.deleted(1)); if (place.value.page === "record" && place.value.params.id === id) go({ page: "data", params: {} }, true); }}><p>${T.deleteSays(1, info.name)}</p><pre class="whole">${id}</pre><//>`}`;
}

/** A uri. Only https addresses become links, and only pictures in the text itself or of this server are shown. */
function Uri({ uri }) {
  let own = /^data:image\/(png|jpeg|gif|webp);/.test(uri), link = false;
  try { const url = new URL(uri); link = url.protocol === "https:"; own ||= url.origin === location.origin; } catch { link = false; }
  return html`${own && html`<img class="picture" src=${uri} alt=${T.picture} />`}
    ${link ? html`<a href=${uri} rel="noreferrer noopener" target="_blank">${clipped(uri, 200)}</a>` : html`<span class="mono">${clipped(uri, 200)}</span>`}`;
}

function Vector({ values }) {
  const step = Math.max(1, Math.ceil(values.length / 400));
  const taken = Array.from(values).filter((_, index) => index % step === 0);
  const most = Math.max(...taken.map(Math.abs), 1e-30);
  const norm = Math.sqrt(values.reduce((sum, each) => sum + each * each, 0));
  const points = taken.map((each, index) => `${(index / Math.max(1, taken.length - 1)) * 400},${30 - (each / most) * 28}`).join(" ");
  return html`<svg class="spark" viewBox="0 0 400 60" role="img" aria-label=${T.vectorSays(values.length, short(norm))}><line x1="0" x2="400" y1="30" y2="30" /><polyline points=${points} /></svg>
    <p>${T.vectorSays(values.length, short(norm))}</p><p class="mono">[${Array.from(values.slice(0, 8), (each) => short(each)).join(", ")}${values.length > 8 ? ", …" : ""}]</p>
    <button type="button" onClick=${() => copy(JSON.stringify(Array.from(values)))}>${T.copyVector}</button>`;
}

/** Edit a record: the difference is shown before anything is saved, and a change by others meanwhile is told. */
function Edit({ info, path, it, onClose, onDone }) {
  const [text, setText] = useState(it.document ?? "");
  const [rows, setRows] = useState(Object.entries(it.metadata).map(([key, value]) => ({ key, type: typeOf(value), text: show(value) })));
  const [embed, setEmbed] = useState(false);
  const [difference, setDifference] = useState(null);
  const [problem, setProblem] = useState(null);
  const work = useAction(true);
  const set = (index, change) => setRows(rows.map((each, at) => (at === index ? { ...each, ...change } : each)));
  const compare = (event) => {
    event.preventDefault();
    try {
      const metadata = {}, changes = [];
      for (const row of rows) {
        if (!row.key) throw new Error(T.needKey);
        if (Object.hasOwn(metadata, row.key)) throw new Error(T.twice(row.key));
        const old = own(it.metadata, row.key);
        const same = Object.hasOwn(it.metadata, row.key) && row.type === typeOf(old) && row.text === show(old);
        Object.defineProperty(metadata, row.key, { value: same ? old : typed(row.type, row.text), enumerable: true, configurable: true, writable: true });
        if (!same) changes.push([row.key, old, metadata[row.key]]);
      }
      for (const key of Object.keys(it.metadata)) if (!Object.hasOwn(metadata, key)) changes.push([key, it.metadata[key], null]);
      const documentChanged = text !== (it.document ?? "");
      setProblem(changes.length || documentChanged ? null : new Error(T.nothingChanged));
      if (changes.length || documentChanged) setDifference({ changes, documentChanged });
    } catch (error) { setProblem(error); }
  };
  const save = () => work.run(async () => {
    const now = await fetchRecord(path, it.id);
    const told = (each) => each && write([each.document, each.metadata, each.uri, each.vector && Array.from(each.vector)]);
    if (told(now) !== told(it)) throw new Error(T.conflict);
    const body = { ids: [it.id] };
    if (difference.changes.length) body.metadatas = [Object.fromEntries(difference.changes.map(([key, , value]) => [key, value]))];
    if (difference.documentChanged) {
      body.documents = [text];
      if (embed) body.embeddings = (await call("POST", `${path}/chroma-arrow/embed`, { texts: [text] })).embeddings;
      else body.embeddings = [Array.from(now.vector)];
    }
    return call("POST", `${path}/update`, body).then(() => true);
  }).then((saved) => { if (saved) { tell(T.saved); onDone(); } });
  return html`<form class="edit" onSubmit=${compare}>
    <label>${T.document}<textarea dir="auto" rows="8" value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>
    ${text !== (it.document ?? "") && html`<fieldset><legend>${T.vector}</legend>
      <label class="inline"><input type="radio" name="vector" checked=${!embed} onChange=${() => setEmbed(false)} />${T.keepVector}</label>
      <label class="inline"><input type="radio" name="vector" checked=${embed} onChange=${() => setEmbed(true)} />${T.embedAgain}</label></fieldset>`}
    <fieldset><legend>${T.metadata}</legend>
      ${rows.map((row, index) => html`<div class="row" key=${index}>
        <input aria-label=${T.key} value=${row.key} size="16" onInput=${(event) => set(index, { key: event.target.value })} />
        <select aria-label=${T.typeOfKey(row.key)} onChange=${(event) => set(index, { type: event.target.value })}>${["text", "int", "float", "bool", "list", ...(row.type === "json" ? ["json"] : [])].map((each) => html`<option value=${each} selected=${each === row.type}>${T.types[each]}</option>`)}</select>
        ${row.type === "text" ? html`<textarea class="grow" rows="1" aria-label=${T.valueOf(row.key)} value=${row.text} onInput=${(event) => set(index, { text: event.target.value })}></textarea>`
          : html`<input class="grow" aria-label=${T.valueOf(row.key)} value=${row.text} onInput=${(event) => set(index, { text: event.target.value })} />`}
        <button type="button" aria-label=${T.removeKey(row.key)} onClick=${() => setRows(rows.filter((_, at) => at !== index))}>✕</button></div>`)}
      <button type="button" onClick=${() => setRows([...rows, { key: "", type: "text", text: "" }])}>${T.addKey}</button></fieldset>
    <${Problem} error=${problem} />
    <div class="row"><button class="primary">${T.review}</button><button type="button" onClick=${onClose}>${T.cancel}</button></div>
    ${difference && html`<${Dialog} wide=${true} title=${T.difference} onClose=${() => { setDifference(null); work.clear(); }}>
      <table><thead><tr><th scope="col">${T.field}</th><th scope="col">${T.before}</th><th scope="col">${T.after}</th></tr></thead><tbody>
        ${difference.documentChanged && html`<tr><th scope="row">${T.document}</th><td><del class="text" dir="auto">${it.document ?? ""}</del></td><td><ins class="text" dir="auto">${text}</ins></td></tr>
          <tr><th scope="row">${T.vector}</th><td colspan="2">${embed ? T.embedAgain : T.keepVector}</td></tr>`}
        ${difference.changes.map(([key, old, value]) => html`<tr key=${key}><th scope="row">${clipped(key, 60)}</th>
          <td>${old === undefined ? html`<span class="none">${T.noValue}</span>` : html`<del>${show(old)}</del> <small>${T.types[typeOf(old)]}</small>`}</td>
          <td>${value === null ? html`<span class="none">${T.removed}</span>` : html`<ins>${show(value)}</ins> <small>${T.types[typeOf(value)]}</small>`}</td></tr>`)}</tbody></table>
      <${Problem} error=${work.error} what=${T.embedAgain} />
      <div class="row"><button type="button" class="primary" disabled=${work.busy} onClick=${save}>${T.save}</button><button type="button" onClick=${() => { setDifference(null); work.clear(); }}>${T.back}</button><${Busy} busy=${work.busy} /></div><//>`}
  </form>`;
}
