/** What the metadata keys hold. A key is counted when it is opened; its values become filters. */
import { call, collectionPath, count, filterOf, href, keysOf, own, place, short, withChip, Real } from "../core.js";
import { Bar, Busy, FilterBar, Problem, clipped, html, useLoad, useMemo, useState } from "../ui.js";
import { T } from "../texts.js";

export function keys({ info, at }) {
  const known = useMemo(() => keysOf(info), [info]);
  const [find, setFind] = useState("");
  const [most, setMost] = useState(100);
  const shown = known.filter((each) => each.key.toLowerCase().includes(find.toLowerCase()));
  return html`<div class="head"><h1>${T.pages_.keys}</h1></div><${FilterBar} info=${info} />
    <div class="row"><label class="inline">${T.find}<input type="search" value=${find} onInput=${(event) => setFind(event.target.value)} /></label><output>${T.keysFound(count(shown.length))}</output></div>
    <${Documents} info=${info} at=${at} />
    ${known.length === 0 && html`<p class="empty">${T.noKeys}</p>`}
    <div class="facets">${shown.slice(0, most).map((each) => html`<${Key} key=${each.key} info=${info} name=${each.key} types=${each.types} at=${at} start=${at.params.key === each.key || shown.length === 1} />`)}</div>
    ${shown.length > most && html`<button type="button" onClick=${() => setMost(most + 100)}>${T.more(count(shown.length - most))}</button>`}`;
}

function Key({ info, name, types, at, start }) {
  const [open, set] = useState(start);
  return html`<details open=${open} onToggle=${(event) => set(event.target.open)}><summary data-row><b>${clipped(name, 80)}</b> <small>${types.map((each) => T.types[each]).join(", ")}</small></summary>
    ${open && html`<${Facet} info=${info} name=${name} at=${at} />`}</details>`;
}

/** How long the documents are, and which share of them the model cuts. */
function Documents({ info, at }) {
  const [open, set] = useState(at.params.key === "#document");
  return html`<details open=${open} onToggle=${(event) => set(event.target.open)}><summary data-row><b>${T.lengths}</b></summary>${open && html`<${Lengths} info=${info} params=${at.params} />`}</details>`;
}
function Lengths({ info, params }) {
  const found = useLoad(async (signal) => own(await call("POST", `${collectionPath(info.id)}/chroma-arrow/facets`, { keys: ["#document"], bins: 20, ...filterOf(params) }, { signal }), "#document"), [params.where, params.text, params.how]);
  const it = found.data;
  if (!it) return html`<${Problem} error=${found.error} what=${T.lengths} /><${Busy} busy=${found.busy} />`;
  const { edges, counts } = it.lengths, most = Math.max(1, ...counts.map(Number));
  return html`<div class="facet"><p>${T.documentsSay(count(it.filled))}${it.filled ? ` · ${T.characters(count(it.minimum), count(it.maximum))}` : ""}</p>
    ${it.cut && html`<p>${T.cutSays(short(Number(it.cut.share) * 100, 3), count(it.cut.limit), it.cut.sampled == null ? "" : count(it.cut.sampled))}</p>`}
    ${counts.length > 0 && html`<table class="values"><caption class="hidden">${T.lengths}</caption><thead class="hidden"><tr><th scope="col">${T.charactersOf}</th><th scope="col">${T.share}</th><th scope="col">${T.number}</th></tr></thead>
      <tbody>${counts.map((each, index) => html`<tr><th scope="row">${short(edges[index])} – ${short(edges[index + 1])}</th><td><${Bar} share=${Number(each) / most} /></td><td class="number">${count(each)}</td></tr>`)}</tbody></table>`}</div>`;
}

function Facet({ info, name, at }) {
  const { params } = at;
  const [to, setTo] = useState("data");
  const found = useLoad(async (signal) => {
    const body = { keys: [name], limit: 20, ...filterOf(params) };
    const path = `${collectionPath(info.id)}/chroma-arrow/facets`;
    return own(await call("POST", path, { ...body, bins: 20 }, { signal }), name);
  }, [params.where, params.text, params.how]);
  const it = found.data;
  if (!it) return html`<${Problem} error=${found.error} what=${T.pages_.keys} /><${Busy} busy=${found.busy} />`;
  const most = Math.max(1, ...it.values.map((each) => each.count));
  const filled = it.filled ?? it.records;
  const bins = it.bins ?? it.histogram;
  return html`<div class="facet"><p>${T.facetSays(count(filled), count(it.distinct))}${it.minimum != null ? ` · ${T.range(clipped(it.minimum, 40), clipped(it.maximum, 40))}` : ""}</p>
    <label class="inline">${T.barsLead}<select onChange=${(event) => setTo(event.target.value)}>${["data", "search", "map"].map((each) => html`<option value=${each} selected=${each === to}>${T.pages_[each]}</option>`)}</select></label>
    ${bins?.counts?.length > 0 && html`<${Histogram} to=${to} name=${name} edges=${bins.edges} counts=${bins.counts} whole=${!(it.minimum instanceof Real) && Number.isInteger(Number(it.minimum)) && Number.isInteger(Number(it.maximum))} />`}
    <table class="values"><caption class="hidden">${T.valuesOf(name)}</caption><thead class="hidden"><tr><th scope="col">${T.value}</th><th scope="col">${T.share}</th><th scope="col">${T.number}</th></tr></thead>
    <tbody>${it.values.map((each) => html`<tr><th scope="row"><a href=${href({ page: to, params: withChip({ key: name, op: "$eq", value: each.value }) })}>${clipped(each.value, 60)}</a></th>
      <td><${Bar} share=${each.count / most} /></td><td class="number">${count(each.count)}</td></tr>`)}</tbody></table>
    ${it.distinct > it.values.length && html`<p>${T.more(count(it.distinct - it.values.length))}</p>`}</div>`;
}

function Histogram({ to, name, edges, counts, whole }) {
  const most = Math.max(1, ...counts);
  const pick = (index) => {
    const number = (value) => (whole ? Math.ceil(Number(value)) : Number.isInteger(Number(value)) ? new Real(String(Number(value))) : Number(value));
    const last = index === counts.length - 1;
    const chips = [{ key: name, op: "$gte", value: number(edges[index]) }, { key: name, op: last ? "$lte" : "$lt", value: last && whole ? Math.floor(Number(edges[index + 1])) : number(edges[index + 1]) }];
    const first = withChip(chips[0]);
    return href({ page: to, params: withChip(chips[1], { ...place.value.params, ...first }) });
  };
  const width = 400 / counts.length;
  return html`<svg class="histogram" viewBox="0 0 400 90" role="group" aria-label=${T.histogramOf(name)}>
    ${counts.map((each, index) => html`<a href=${pick(index)} aria-label=${T.bin(short(edges[index]), short(edges[index + 1]), count(each))}><title>${T.bin(short(edges[index]), short(edges[index + 1]), count(each))}</title>
      <rect class="hit" x=${index * width} width=${width} y="0" height="80" /><rect class="bar-front" x=${index * width + 1} width=${Math.max(1, width - 2)} y=${80 - (each / most) * 78} height=${(each / most) * 78} /></a>`)}
    <text x="0" y="89">${short(edges[0])}</text><text x="400" y="89" text-anchor="end">${short(edges[edges.length - 1])}</text></svg>`;
}
