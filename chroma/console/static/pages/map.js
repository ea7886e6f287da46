/** A map of the vectors: WebGL2, or a 2D canvas where there is none. */
import { announce, call, collectionPath, count, csvCell, download, filterOf, floats, go, href, identity, keepSelection, keysOf, short, show, turn, theme } from "../core.js";
import { Busy, FilterBar, Problem, clipped, html, useCallback, useEffect, useLoad, useMemo, useRef, useSignal, useState } from "../ui.js";
import { T } from "../texts.js";

/** Okabe and Ito, and paler ones: told apart by the colour-blind. The last one is "other". */
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a900", "#7a4fa3", "#8c564b", "#17becf", "#5b8c2a", "#e377c2", "#8a8a8a"];
const OTHER = PALETTE.length - 1;
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
/** Dark blue over green to yellow. @param {number} t between 0 and 1 */
const scale = (t) => { const stops = [[0.27, 0.05, 0.5], [0.13, 0.57, 0.55], [0.99, 0.91, 0.14]], at = Math.min(1.999, Math.max(0, t) * 2), low = Math.floor(at); return stops[low].map((each, index) => each + (stops[low + 1][index] - each) * (at - low)); };
const css = (colour) => `rgb(${colour.map((each) => Math.round(each * 255)).join(" ")})`;

/** Colours of the dots, and a legend. @param {any[] | null} values */
function painting(values, length) {
  const colours = new Float32Array(length * 3);
  const fill = (of) => { for (let at = 0; at < length; at += 1) colours.set(of(at), at * 3); };
  if (!values) { fill(() => rgb(PALETTE[0])); return { colours, legend: [] }; }
  const tallies = new Map();
  for (const value of values) tallies.set(value === null ? null : show(value), (tallies.get(value === null ? null : show(value)) ?? 0) + 1);
  const numeric = values.every((each) => each === null || typeof each === "bigint" || typeof each?.valueOf() === "number");
  if (numeric && tallies.size > 12) {
    const read = values.map((each) => (each === null ? NaN : Number(each)));
    let [low, high] = [Infinity, -Infinity];
    for (const each of read) { if (each < low) low = each; if (each > high) high = each; }
    fill((at) => (Number.isNaN(read[at]) ? rgb(PALETTE[OTHER]) : scale((read[at] - low) / (high - low || 1))));
    return { colours, legend: [0, 0.25, 0.5, 0.75, 1].map((t) => ({ colour: css(scale(t)), name: short(low + t * (high - low)) })) };
  }
  const ranked = [...tallies].filter(([name]) => name !== null).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const place_ = new Map(ranked.slice(0, 12).map((name, index) => [name, index]));
  fill((at) => rgb(PALETTE[values[at] === null ? OTHER : place_.get(show(values[at])) ?? OTHER]));
  /** @type {{colour: string, name: string, number?: number}[]} */
  const legend = ranked.slice(0, 12).map((name, index) => ({ colour: PALETTE[index], name, number: tallies.get(name) }));
  if (tallies.size > place_.size) legend.push({ colour: PALETTE[OTHER], name: T.other });
  return { colours, legend };
}

const VERTEX = `#version 300 es
in vec2 at; in vec3 colour; in float on; uniform vec2 centre; uniform vec2 zoom; uniform float size; uniform float faded; out vec4 tint;
void main() { gl_Position = vec4((at - centre) * zoom, 0.0, 1.0); gl_PointSize = size * (1.0 + on); tint = vec4(colour, on > 0.5 ? 1.0 : faded); }`;
const FRAGMENT = `#version 300 es
precision mediump float; in vec4 tint; out vec4 shown;
void main() { float far = length(gl_PointCoord - 0.5) * 2.0; if (far > 1.0) discard; shown = vec4(tint.rgb, tint.a * smoothstep(1.0, 0.7, far)); }`;

/** Draws dots with WebGL2; null where there is none. */
function glDrawing(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: false });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  const buffer = (name, width) => { const made = gl.createBuffer(), at = gl.getAttribLocation(program, name); gl.bindBuffer(gl.ARRAY_BUFFER, made); gl.enableVertexAttribArray(at); gl.vertexAttribPointer(at, width, gl.FLOAT, false, 0, 0); return made; };
  const buffers = { at: buffer("at", 2), colour: buffer("colour", 3), on: buffer("on", 1) };
  const uniform = (name) => gl.getUniformLocation(program, name);
  const [centre, zoom, dot, faded] = ["centre", "zoom", "size", "faded"].map(uniform);
  const fill = (name, values) => { gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]); gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW); };
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  return { name: "webgl2", fill, draw(view, number, some, dots) {
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(centre, view.x, view.y);
    gl.uniform2f(zoom, view.zoom * Math.min(1, canvas.height / canvas.width), view.zoom * Math.min(1, canvas.width / canvas.height));
    gl.uniform1f(dot, dots);
    gl.uniform1f(faded, some ? 0.18 : 0.8);
    gl.drawArrays(gl.POINTS, 0, number);
  } };
}
/** The same with a 2D canvas. */
function plainDrawing(canvas) {
  const pen = canvas.getContext("2d");
  const kept = {};
  return { name: "2d", fill: (name, values) => { kept[name] = values; }, draw(view, number, some, dots) {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (let index = 0; index < number; index += 1) {
      const [x, y] = screen(view, canvas, kept.at[index * 2], kept.at[index * 2 + 1]);
      pen.globalAlpha = some && !kept.on[index] ? 0.18 : 0.8;
      pen.fillStyle = css(Array.from(kept.colour.subarray(index * 3, index * 3 + 3)));
      pen.fillRect(x - dots / 2, y - dots / 2, dots, dots);
    }
  } };
}
const screen = (view, { width, height }, x, y) => [width / 2 + ((x - view.x) * view.zoom * Math.min(width, height)) / 2, height / 2 - ((y - view.y) * view.zoom * Math.min(width, height)) / 2];
const world = (view, { width, height }, x, y) => [view.x + ((x - width / 2) * 2) / (view.zoom * Math.min(width, height)), view.y - ((y - height / 2) * 2) / (view.zoom * Math.min(width, height))];
/** Whether a point lies in a polygon. */
function inside(polygon, x, y) {
  let found = false;
  for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a, a += 1) {
    const [ax, ay] = polygon[a], [bx, by] = polygon[b];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) found = !found;
  }
  return found;
}

export function map({ info, at }) {
  const { params } = at;
  const keys = useMemo(() => keysOf(info), [info]);
  const found = useLoad(async (signal) => {
    /** @type {Record<string, any>} */
    const body = { ...filterOf(params), limit: 50000, seed: 0, method: params.method ?? "pca" };
    if (params.colour) body.color_by = params.colour;
    const got = await call("POST", `${collectionPath(info.id)}/chroma-arrow/projection`, body, { signal });
    return { ...got, x: floats(got.x), y: floats(got.y) };
  }, [params.where, params.text, params.how, params.method, params.colour]);
  const it = found.data;
  return html`<div class="head"><h1>${T.pages_.map}</h1></div><${FilterBar} info=${info} matches=${it?.matches} />
    <div class="row"><label class="inline">${T.colourBy}<select onChange=${(event) => turn({ colour: event.target.value || null })}><option value="">${T.nothing}</option>
      ${keys.map((each) => html`<option value=${each.key} selected=${each.key === params.colour}>${clipped(each.key, 50)}</option>`)}</select></label>
      <label class="inline">${T.method}<select onChange=${(event) => turn({ method: event.target.value === "pca" ? null : event.target.value })}>${(identity.value?.maps ?? ["pca", "umap"]).map((each) => html`<option value=${each} selected=${(params.method ?? "pca") === each}>${each.toUpperCase()}</option>`)}</select></label></div>
    <${Problem} error=${found.error} what=${T.pages_.map} /><${Busy} busy=${found.busy} />
    ${it && (it.ids.length ? html`<p>${it.sampled ? T.sampled(count(it.ids.length), count(it.matches)) : T.dots(count(it.ids.length))}${it.variance ? ` · ${T.variance(it.variance.map((each) => Math.round(Number(each) * 100)))}` : ""}</p>
      <${Plot} info=${info} it=${it} colourBy=${params.colour} />` : html`<p class="empty">${T.nothingMatches}</p>`)}`;
}

function Plot({ info, it, colourBy }) {
  const canvas = useRef(null), over = useRef(null), drawing = useRef(null), view = useRef({ x: 0, y: 0, zoom: 0.95 }), drag = useRef(null);
  const asking = useRef(null);
  const [lasso, setLasso] = useState(false), [chosen, choose] = useState([]), [hover, setHover] = useState(-1), [focus, setFocus] = useState(null), [near, setNear] = useState([]), [problem, setProblem] = useState(null);
  const look = useSignal(theme);
  const number = it.ids.length;
  const points = useMemo(() => {
    let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let index = 0; index < number; index += 1) { left = Math.min(left, it.x[index]); right = Math.max(right, it.x[index]); bottom = Math.min(bottom, it.y[index]); top = Math.max(top, it.y[index]); }
    const half = Math.max(right - left, top - bottom) / 2 || 1, made = new Float32Array(number * 2);
    for (let index = 0; index < number; index += 1) { made[index * 2] = (it.x[index] - (left + right) / 2) / half; made[index * 2 + 1] = (it.y[index] - (top + bottom) / 2) / half; }
    return made;
  }, [it]);
  const painted = useMemo(() => painting(it.colors, number), [it]);
  const where = useMemo(() => new Map(it.ids.map((id, index) => [id, index])), [it]);
  const dots = Math.max(3, Math.min(9, 260 / Math.sqrt(number))) * devicePixelRatio;
  const frame = useRef(0), drawNow = useRef(() => {});
  const draw = useCallback(() => { cancelAnimationFrame(frame.current); frame.current = requestAnimationFrame(() => drawNow.current()); }, []);
  drawNow.current = () => {
    const surface = canvas.current;
    if (!surface || !drawing.current) return;
    drawing.current.draw(view.current, number, chosen.length > 0, dots);
    const pen = over.current.getContext("2d");
    pen.clearRect(0, 0, surface.width, surface.height);
    const ink = getComputedStyle(surface).color;
    const at = (index) => screen(view.current, surface, points[index * 2], points[index * 2 + 1]);
    pen.strokeStyle = ink;
    pen.lineWidth = devicePixelRatio;
    for (const index of near) { const [ax, ay] = at(focus), [bx, by] = at(index); pen.beginPath(); pen.moveTo(ax, ay); pen.lineTo(bx, by); pen.stroke(); }
    for (const index of [focus, hover]) if (index !== null && index >= 0) { const [x, y] = at(index); pen.beginPath(); pen.arc(x, y, dots + 2, 0, 7); pen.stroke(); }
    const line = drag.current?.line;
    if (line?.length > 1) { pen.setLineDash([6, 4]); pen.beginPath(); line.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y))); pen.closePath(); pen.stroke(); pen.setLineDash([]); }
  };
  useEffect(() => {
    drawing.current = glDrawing(canvas.current) ?? plainDrawing(canvas.current);
    canvas.current.dataset.drawn = drawing.current.name;
    const restored = () => { drawing.current = glDrawing(canvas.current) ?? drawing.current; refill.current(); };
    const fit = () => { if (!canvas.current || !over.current) return; for (const each of [canvas.current, over.current]) { each.width = each.clientWidth * devicePixelRatio; each.height = each.clientHeight * devicePixelRatio; } draw(); };
    const watch = new ResizeObserver(fit);
    watch.observe(canvas.current);
    const lost = (event) => event.preventDefault();
    const surface = canvas.current;
    surface.addEventListener("webglcontextlost", lost);
    surface.addEventListener("webglcontextrestored", restored);
    return () => { surface.removeEventListener("webglcontextlost", lost); surface.removeEventListener("webglcontextrestored", restored); watch.disconnect(); cancelAnimationFrame(frame.current); };
  }, []);
  const refill = useRef(() => {});
  refill.current = () => {
    const on = new Float32Array(number);
    for (const index of chosen) on[index] = 1;
    for (const [name, values] of [["at", points], ["colour", painted.colours], ["on", on]]) drawing.current.fill(name, values);
    draw();
  };
  useEffect(() => { asking.current?.abort(); drawing.current.fill("at", points); drawing.current.fill("colour", painted.colours); choose([]); setNear([]); setFocus(null); view.current = { x: 0, y: 0, zoom: 0.95 }; draw(); }, [points, painted]);
  useEffect(() => { const on = new Float32Array(number); for (const index of chosen) on[index] = 1; drawing.current.fill("on", on); draw(); }, [chosen, points]);
  useEffect(draw, [hover, near, focus, look]);
  const position = (event) => { const box = over.current.getBoundingClientRect(); return [(event.clientX - box.left) * devicePixelRatio, (event.clientY - box.top) * devicePixelRatio]; };
  const nearest = (x, y) => {
    const [wx, wy] = world(view.current, canvas.current, x, y), reach = (24 * devicePixelRatio) / (view.current.zoom * Math.min(canvas.current.width, canvas.current.height));
    let best = -1, least = reach * reach;
    for (let index = 0; index < number; index += 1) { const dx = points[index * 2] - wx, dy = points[index * 2 + 1] - wy, far = dx * dx + dy * dy; if (far < least) { least = far; best = index; } }
    return best;
  };
  const zoom = (by, x = canvas.current.width / 2, y = canvas.current.height / 2) => {
    const [bx, by_] = world(view.current, canvas.current, x, y);
    view.current.zoom = Math.min(2000, Math.max(0.2, view.current.zoom * by));
    const [ax, ay] = world(view.current, canvas.current, x, y);
    view.current.x += bx - ax; view.current.y += by_ - ay;
    draw();
  };
  const down = (event) => { over.current.setPointerCapture(event.pointerId); const at = position(event); drag.current = { from: at, view: { ...view.current }, line: lasso || event.shiftKey ? [at] : null, moved: false }; };
  const move = (event) => {
    const at = position(event), held = drag.current;
    if (!held) { setHover(nearest(...at)); return; }
    if (Math.hypot(at[0] - held.from[0], at[1] - held.from[1]) > 4) held.moved = true;
    if (held.line) held.line.push(at);
    else if (held.moved) { const factor = 2 / (view.current.zoom * Math.min(canvas.current.width, canvas.current.height)); view.current.x = held.view.x - (at[0] - held.from[0]) * factor; view.current.y = held.view.y + (at[1] - held.from[1]) * factor; }
    draw();
  };
  const up = (event) => {
    const held = drag.current;
    drag.current = null;
    if (!held) return;
    if (held.line && held.moved) {
      const polygon = held.line.map(([x, y]) => world(view.current, canvas.current, x, y)), found = [];
      for (let index = 0; index < number; index += 1) if (inside(polygon, points[index * 2], points[index * 2 + 1])) found.push(index);
      choose(found);
      setLasso(false);
      announce(T.selected(count(found.length)));
    } else if (!held.moved) { const index = nearest(...position(event)); if (index >= 0) neighbours(index); else { setFocus(null); setNear([]); } }
    draw();
  };
  useEffect(() => () => asking.current?.abort(), []);
  const neighbours = async (index) => {
    asking.current?.abort();
    const stop = new AbortController();
    asking.current = stop;
    setFocus(index);
    setNear([]);
    setProblem(null);
    const path = collectionPath(info.id);
    try {
      const got = await call("POST", `${path}/query`, { query_ids: [it.ids[index]], n_results: 10, include: [] }, { signal: stop.signal });
      setNear(got.ids[0].filter((id) => id !== it.ids[index] && where.has(id)).map((id) => where.get(id)));
    } catch (error) { if (!stop.signal.aborted) setProblem(error); }
  };
  useEffect(() => { const wheel = (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), ...position(event)); }; const at = over.current; at.addEventListener("wheel", wheel, { passive: false }); return () => at.removeEventListener("wheel", wheel); }, [number]);
  const keysDown = (event) => {
    const step = 0.1 / view.current.zoom, moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) { event.preventDefault(); view.current.x += moves[event.key][0]; view.current.y += moves[event.key][1]; draw(); } else if (event.key === "+" || event.key === "=") zoom(1.3); else if (event.key === "-") zoom(1 / 1.3); else if (event.key === "0") { view.current = { x: 0, y: 0, zoom: 0.95 }; draw(); }
  };
  const open = () => {
    try { go({ page: "data", params: { ids: keepSelection(info.id, chosen.map((index) => it.ids[index])) } }); } catch (error) { setProblem(error); }
  };
  const listed = chosen.length ? chosen : near.length || focus !== null ? [focus, ...near] : [];
  const value = (index) => (it.colors && index >= 0 ? ` · ${clipped(colourBy, 30)}: ${clipped(it.colors[index], 40)}` : "");
  return html`<div class="row"><button type="button" aria-pressed=${lasso} onClick=${() => setLasso(!lasso)}>${T.lasso}</button>
      <button type="button" aria-label=${T.zoomIn} onClick=${() => zoom(1.3)}>+</button><button type="button" aria-label=${T.zoomOut} onClick=${() => zoom(1 / 1.3)}>−</button>
      <button type="button" onClick=${() => { view.current = { x: 0, y: 0, zoom: 0.95 }; draw(); }}>${T.whole}</button>
      <button type="button" onClick=${() => download(new Blob([`id,x,y\n${it.ids.map((id, index) => `${csvCell(id)},${it.x[index]},${it.y[index]}`).join("\n")}\n`], { type: "text/csv" }), `${info.name}-map.csv`)}>${T.downloadPositions}</button>
      ${chosen.length > 0 && html`<button type="button" class="primary" onClick=${open}>${T.showSelected(count(chosen.length))}</button><button type="button" onClick=${() => choose([])}>${T.unmark}</button>`}</div>
    <div class="map"><div class="plot"><canvas ref=${canvas} aria-hidden="true"></canvas><canvas ref=${over} class=${lasso ? "over cross" : "over"} tabindex="0" role="img" aria-label=${T.mapSays(count(number))} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerLeave=${() => setHover(-1)} onKeyDown=${keysDown}></canvas></div>
      <aside><p class="hover">${hover >= 0 ? `${clipped(it.ids[hover], 60)}${value(hover)}` : T.mapHint}</p>
        ${painted.legend.length > 0 && html`<h2>${clipped(colourBy, 40)}</h2><ul class="legend">${painted.legend.map((each) => html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill=${each.colour} /></svg> ${clipped(each.name, 40)}${each.number ? html` <small>${count(each.number)}</small>` : ""}</li>`)}</ul>`}
        <${Problem} error=${problem} />
        ${listed.length > 0 && html`<table><caption>${chosen.length ? T.selected(count(chosen.length)) : T.neighbours}</caption><thead><tr><th scope="col">${T.id}</th>${it.colors && html`<th scope="col">${clipped(colourBy, 30)}</th>`}</tr></thead>
          <tbody>${listed.slice(0, 50).map((index) => html`<tr key=${index}><th scope="row"><a href=${href({ page: "record", params: { id: it.ids[index] } })}>${clipped(it.ids[index], 40)}</a></th>${it.colors && html`<td>${clipped(it.colors[index], 40)}</td>`}</tr>`)}</tbody></table>`}</aside></div>`;
}
