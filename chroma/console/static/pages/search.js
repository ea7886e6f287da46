/** Search by text, vector or record; two searches side by side; judgements. */
import { announce, call, collectionPath, copy, count, download, filterOf, floats, href, onlyFilter, opening, parse, place, python, short, turn, write, EXACT, BASE, scopePath } from "../core.js";
import { Bar, Busy, FilterBar, Problem, Value, clipped, html, useEffect, useLoad, useState } from "../ui.js";
import { T } from "../texts.js";

/** What a pane asks for. The second pane has its own exactness, mode, number and filter. */
const settings = (params, side) => (side === "b"
  ? { exact: params.b_exact === "1", mode: params.b_mode ?? "dense", n: Number(params.b_n ?? params.n ?? 10), filter: params.b_where ? { where: parse(params.b_where) } : {} }
  : { exact: params.exact === "1", mode: params.mode ?? "dense", n: Number(params.n ?? 10), filter: filterOf(params) });

/** The vector of the search, or null where words alone are searched. */
async function vectorOf(params, mode, path, signal) {
  if (params.like) {
    const found = await call("POST", `${path}/get`, { ids: [params.like], include: ["embeddings"], encoding: "base64" }, { signal });
    if (!found.ids.length) throw new Error(T.noRecord(params.like));
    const packed = found.embeddings[0];
    return typeof packed === "string" ? Array.from(floats(packed)) : packed;
  }
  if (params.vector) {
    const read = parse(params.vector);
    if (!Array.isArray(read)) throw new Error(T.notVector);
    return read;
  }
  if (mode === "lexical") return null;
  try {
    return (await call("POST", `${path}/chroma-arrow/embed`, { texts: [params.q] }, { signal })).embeddings[0];
  } catch (error) {
    if (error.status === 409) throw new Error(T.cannotEmbed(error.body?.function?.name ?? error.body?.function ?? "", error.message));
    throw error;
  }
}

async function ask(info, params, side, signal) {
  const { exact, mode, n, filter } = settings(params, side);
  const path = collectionPath(info.id);
  const vector = await vectorOf(params, mode, path, signal);
  const body = { ...filter, n_results: params.like ? n + 1 : n, include: ["documents", "metadatas", "distances"], explain: true, ...(EXACT ? {} : { integers: "text" }) };
  if (exact) body.exact = true;
  if (vector) body.query_embeddings = [vector];
  if (mode !== "dense") { body.mode = mode; body.query_texts = [params.q]; }
  const before = performance.now();
  const found = await call("POST", `${path}/query`, body, { signal });
  const took = performance.now() - before;
  const hits = found.ids[0].map((id, index) => ({ id, distance: found.distances?.[0]?.[index], lexical: found.lexical_scores?.[0]?.[index], document: found.documents?.[0]?.[index], metadata: found.metadatas?.[0]?.[index] ?? {} }));
  const parts = found.explain?.parts ?? [];
  return { hits: hits.filter((hit) => hit.id !== params.like).slice(0, n), took, body,
    way: exact || mode === "lexical" ? "" : parts.length === 0 ? "" : parts.every((each) => each.indexed) ? T.byIndex : parts.some((each) => each.indexed) ? T.byBoth : T.byScan };
}

export function search({ info, at }) {
  const { params } = at;
  const [kind, setKind] = useState(params.like ? "like" : params.vector ? "vector" : "q");
  const [text, setText] = useState(params[kind] ?? "");
  const [judged, judge] = useState({});
  useEffect(() => { const next = params.like ? "like" : params.vector ? "vector" : params.q ? "q" : kind; setKind(next); setText(params[next] ?? ""); }, [params.q, params.vector, params.like]);
  const asked = Boolean(params.q || params.vector || params.like);
  const inputs = [params.q, params.vector, params.like, params.n, params.mode];
  const left = useLoad((signal) => (asked ? ask(info, params, "a", signal) : Promise.resolve(null)), [...inputs, params.exact, params.where, params.text, params.how]);
  const right = useLoad((signal) => (asked && params.two ? ask(info, params, "b", signal) : Promise.resolve(null)), [...inputs, params.two, params.b_exact, params.b_mode, params.b_n, params.b_where]);
  useEffect(() => { if (left.data) announce(T.hits(left.data.hits.length)); }, [left.data]);
  const run = (event) => { event.preventDefault(); turn({ q: null, vector: null, like: null, [kind]: text }); };
  const number = Object.keys(judged).length;
  const python_ = () => {
    const filter = Object.entries(filterOf(params)).map(([key, value]) => `, ${key}=${python(value)}`).join("");
    const what = params.q ? `query_texts=[${python(params.q)}]` : params.vector ? `query_embeddings=[${params.vector}]` : `query_embeddings=collection.get(ids=[${python(params.like)}], include=["embeddings"])["embeddings"]`;
    const mode = params.q && params.mode && params.mode !== "dense" ? `, mode=${python(params.mode)}` : "";
    return `${opening(info.name)}found = collection.query(${what}, n_results=${Number(params.n ?? 10)}${filter}${mode}${params.exact ? ", exact=True" : ""})`;
  };
  const curl = () => `curl -s -X POST ${location.origin}${BASE}/api/v2${collectionPath(info.id)}/query -H 'Content-Type: application/json' --data '${write(left.data.body).replaceAll("'", "'\\''")}'`;
  const csv = () => download(new Blob([`query,id,relevant\n${Object.entries(judged).map(([id, good]) => [params.q ?? params.like ?? params.vector, id, good ? 1 : 0].map(cell).join(",")).join("\n")}\n`], { type: "text/csv" }), `${info.name}-judgements.csv`);
  return html`<div class="head"><h1>${T.pages_.search}</h1></div>
    <form class="search" onSubmit=${run}><div class="row">
      <label class="inline"><span class="hidden">${T.searchBy}</span><select onChange=${(event) => { setKind(event.target.value); setText(params[event.target.value] ?? ""); }}>
        ${["q", "vector", "like"].map((each) => html`<option value=${each} selected=${kind === each}>${T.searchKinds[each]}</option>`)}</select></label>
      <label class="grow inline"><span class="hidden">${T.searchKinds[kind]}</span><input class="grow" type="search" required value=${text} placeholder=${T.searchHints[kind]} onInput=${(event) => setText(event.target.value)} /></label>
      <button class="primary">${T.pages_.search}</button></div>
      <div class="row">
        <label class="inline">${T.results}<input type="number" min="1" max="250" value=${params.n ?? 10} onChange=${(event) => turn({ n: Math.min(250, Math.max(1, Number(event.target.value) || 10)) })} /></label>
        ${kind === "q" && html`<label class="inline">${T.mode}<select onChange=${(event) => turn({ mode: event.target.value === "dense" ? null : event.target.value })}>${["dense", "hybrid", "lexical"].map((each) => html`<option value=${each} selected=${(params.mode ?? "dense") === each}>${T.modes[each]}</option>`)}</select></label>`}
        <label class="inline"><input type="checkbox" checked=${params.exact === "1"} onChange=${(event) => turn({ exact: event.target.checked ? 1 : null })} />${T.exact}</label>
        <label class="inline"><input type="checkbox" checked=${params.two === "1"} onChange=${(event) => turn({ two: event.target.checked ? 1 : null, b_exact: event.target.checked ? 1 : null })} />${T.compareTwo}</label>
        ${asked && html`<button type="button" onClick=${() => copy(python_())}>${T.copyPython}</button>`}
        ${left.data && html`<button type="button" onClick=${() => copy(curl())}>${T.copyCurl}</button>`}
        ${number > 0 && html`<button type="button" onClick=${csv}>${T.judgements(number)}</button>`}</div></form>
    <${FilterBar} info=${info} />
    ${!asked && html`<p class="empty">${T.searchSays}</p>`}
    <div class=${params.two ? "two" : ""}>
      <${Hits} of=${left} other=${params.two ? right.data : null} title=${params.two ? T.left : ""} query=${params.q ?? ""} judged=${judged} judge=${judge} />
      ${params.two && html`<div><${Second} params=${params} /><${Hits} of=${right} other=${left.data} title=${T.right} query=${params.q ?? ""} judged=${judged} judge=${judge} /></div>`}</div>`;
}
const cell = (value) => (/[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);

function Second({ params }) {
  const [where, setWhere] = useState(params.b_where ?? "");
  return html`<div class="row"><label class="inline"><input type="checkbox" checked=${params.b_exact === "1"} onChange=${(event) => turn({ b_exact: event.target.checked ? 1 : null })} />${T.exact}</label>
    <label class="inline">${T.results}<input type="number" min="1" max="250" value=${params.b_n ?? params.n ?? 10} onChange=${(event) => turn({ b_n: Number(event.target.value) || null })} /></label>
    ${params.q && html`<label class="inline">${T.mode}<select onChange=${(event) => turn({ b_mode: event.target.value })}>${["dense", "hybrid", "lexical"].map((each) => html`<option value=${each} selected=${(params.b_mode ?? "dense") === each}>${T.modes[each]}</option>`)}</select></label>`}
    <form class="inline" onSubmit=${(event) => { event.preventDefault(); turn({ b_where: where || null }); }}><label class="inline">${T.whereJson}<input class="mono" value=${where} onInput=${(event) => setWhere(event.target.value)} /></label><button>${T.apply}</button></form></div>`;
}

function Hits({ of, other, title, query, judged, judge }) {
  const hits = of.data?.hits ?? [];
  const most = Math.max(...hits.map((hit) => Number(hit.distance ?? 0)), 1e-9);
  const places = other ? new Map(other.hits.map((hit, index) => [hit.id, index + 1])) : null;
  const shared = places ? hits.filter((hit) => places.has(hit.id)).length : 0;
  return html`<section aria-label=${title || T.results}>${title && html`<h2>${title}</h2>`}
    <${Problem} error=${of.error} what=${T.pages_.search} /><${Busy} busy=${of.busy} />
    ${of.data && html`<p>${T.hits(hits.length)} · ${short(of.data.took, 3)} ms${of.data.way ? ` · ${of.data.way}` : ""}${places ? ` · ${T.shared(shared)}` : ""}</p>
    <ol class="hits">${hits.map((hit, index) => html`<li key=${hit.id} data-row tabindex="-1" class=${places?.has(hit.id) ? "shared" : ""}>
      <div class="row"><b>${index + 1}</b><a href=${href({ page: "record", params: { id: hit.id } })}>${clipped(hit.id, 60)}</a>
        ${hit.distance != null && html`<span class="distance"><${Bar} share=${Number(hit.distance) / most} /> ${short(hit.distance)}</span>`}
        ${hit.lexical != null && html`<span>${T.wordScore} ${short(hit.lexical)}</span>`}
        ${places && html`<span class="badge">${places.has(hit.id) ? T.otherPlace(places.get(hit.id)) : T.onlyHere}</span>`}
        <span class="space"></span>
        <a class="button small" href=${href({ page: "search", params: { ...onlyFilter(), like: hit.id } })}>${T.like}</a>
        ${[true, false].map((good) => html`<button type="button" class="small" aria-pressed=${judged[hit.id] === good} aria-label=${good ? T.relevant(hit.id) : T.irrelevant(hit.id)} onClick=${() => judge({ ...judged, [hit.id]: good })}>${good ? "✓" : "✗"}</button>`)}</div>
      ${hit.document && html`<p class="text clip" dir="auto"><${Marked} text=${clipped(hit.document, 400)} query=${query} /></p>`}
      <div class="row wrap meta">${Object.entries(hit.metadata).slice(0, 8).map(([key, value]) => html`<span key=${key}><small>${clipped(key, 30)}</small> <${Value} name=${key} value=${value} /></span>`)}</div></li>`)}</ol>`}</section>`;
}

/** A text with the words of the query marked. */
function Marked({ text, query }) {
  const words = query.match(/[\p{L}\p{N}]{3,}/gu) ?? [];
  if (!words.length) return text;
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu");
  return text.split(pattern).map((part, index) => (index % 2 ? html`<mark>${part}</mark>` : part));
}
