// ---- the panel -------------------------------------------------------------------------------------------------------

let chosen = null;

function seen(rgb) {  // dark class colours are lifted on a dark page, pale ones lowered on a light one
  const light = .3 * rgb[0] + .59 * rgb[1] + .11 * rgb[2];
  if ("dark" in root.dataset) { const lift = Math.max(0, 90 - light); return rgb.map(c => Math.min(255, c + lift)); }
  return light > 215 ? rgb.map(c => c * 215 / light) : rgb;
}
function recolour() {  // a row of the palette for each colour mode; what is hidden is transparent
  const texels = new Uint8Array(256 * 4 * data.modes.length);
  data.modes.forEach(({ palette: colours, entries }, row) => colours.forEach((rgb, i) =>
    texels.set([...(entries ? seen(rgb) : rgb), hidden[family(row)].has(i) ? 0 : 255], (row * 256 + i) * 4)));
  gl.activeTexture(gl.TEXTURE0); gl.bindTexture(gl.TEXTURE_2D, palette);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, data.modes.length, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  draw();
}
function add(parent, tag, text, more) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  Object.assign(made, more); parent.append(made);
  return made;
}
const long = n => n.toLocaleString("en");
const short = n => n < 1e4 ? long(n) : n < 1e6 ? (n / 1e3).toFixed(n < 1e5 ? 1 : 0) + " k" : (n / 1e6).toFixed(2) + " M";
const number = v => Math.abs(v) < 1e-3 || Math.abs(v) >= 1e6 ? v.toPrecision(4) : +v.toFixed(Math.max(0, 3 - Math.floor(Math.log10(Math.abs(v)))));

function legend() {
  const shown = panes(), families = [...new Set(shown.map(pane => pane.mode < 0 ? family(mode) : family(pane.mode)))];
  $("legend").replaceChildren(); $("mode").value = mode;
  $("all").hidden = !families.some(m => data.modes[m].entries);
  for (const m of families) {
    if (families.length > 1) add($("legend"), "div", data.modes[m].name, { className: "part" });
    if (data.modes[m].entries) rows(m, shown); else gradient(data.modes[m]);
  }
}
function rows(kind, shown) {  // a class a row: toggle, colour, name, and its points in each pane
  const counted = shown.map(pane => family(pane.mode) === kind && data.modes[pane.mode].entries
    .reduce((found, e) => found.set(e.index, e.counts[clouds.indexOf(pane.cloud)]), new Map()));
  const names = new Map([kind, ...shown.map(p => p.mode)].filter(m => m >= 0 && family(m) === kind).flatMap(m => data.modes[m].entries.map(e => [e.index, e.name])));
  const total = index => counted.reduce((sum, found) => sum + (found && found.get(index) || 0), 0);
  for (const [index, name] of [...names].filter(([i]) => total(i)).sort((a, b) => total(b[0]) - total(a[0]))) {
    const row = add($("legend"), "label"), tick = add(row, "input", undefined, { type: "checkbox", checked: !hidden[kind].has(index) });
    tick.dataset.class = name; tick.dataset.index = index;
    tick.onchange = () => { hidden[kind][tick.checked ? "delete" : "add"](index); recolour(); };
    row.ondblclick = () => show(kind, k => k === index);
    add(row, "i").style.background = `rgb(${seen(data.modes[kind].palette[index])})`;
    add(row, "b", name);
    const points = counted.filter(found => found).map(found => found.get(index) || 0);
    if (shown.length > 3) add(row, "span", short(total(index)), { title: points.map(long).join(", ") });  // there is no room for all
    else for (const found of counted) if (found) {
      const count = found.get(index) || 0;
      add(row, "span", shown.length > 1 ? short(count) : long(count), { title: long(count) });
    }
  }
}
function gradient({ name, range, palette: colours }) {
  if (range) {
    const stops = [1, 64, 128, 191, 255].map(k => `rgb(${colours[k]})`), row = add($("legend"), "div", undefined, { className: "ends" });
    add($("legend"), "div", undefined, { className: "ramp" }).style.background = `linear-gradient(90deg,${stops})`;
    $("legend").append(row);
    for (const v of range) add(row, "span", number(v) + (name === "height" ? " m" : ""));
  }
  if (name === "instance") add($("legend"), "div", "a colour an instance; grey: none", { className: "ends" });
}
function show(kind, which) {
  for (const m of data.modes.keys()) if (family(m) === kind) for (const e of data.modes[m].entries) hidden[kind][which(e.index) ? "delete" : "add"](e.index);
  legend(); recolour();
}
function titles() {
  const shown = panes(), pair = shown.length > clouds.length, [swipe, part] = [layout === "swipe", 100 / shown.length];
  $("titles").replaceChildren();
  if (shown.length > 1 || clouds[0].title) shown.forEach(({ cloud, mode: m }, i) => {
    const box = add($("titles"), "div", pair ? (m === truth ? "truth" : data.modes[m].name) : cloud.title, { className: "title" });
    Object.assign(box.style, { left: part * i + "%", width: part + "%" });
    add(box, "small", m < 0 ? `has no ${data.modes[mode].name}` : pair ? cloud.title : long(cloud.of) + " points");
    if (i && !swipe) add($("titles"), "div", undefined, { className: "rule" }).style.left = part * i + "%";
  });
  $("swipe").hidden = !swipe; swipeTo(split);
  const every = clouds[0].of / clouds[0].points;
  if (every > 1.001) { $("sampled").hidden = false; $("sampled").textContent = `One point in ${number(every)} is drawn; the counts are of all.`; }
}

// ---- comparing -------------------------------------------------------------------------------------------------------

const layouts = () => clouds.length > 2 ? ["beside"] : clouds.length > 1 ? ["beside", "swipe"] : truth >= 0 && guess >= 0 ? ["one", "beside", "swipe"] : ["one"];
function arrange(wanted) {
  layout = wanted; chosen = null; read();
  for (const button of $("layouts").children) button.setAttribute("aria-pressed", button.dataset.layout === layout);
  titles(); legend(); draw();
}
function swipeTo(share) {
  split = Math.max(0, Math.min(1, share));
  $("swipe").style.left = split * 100 + "%"; $("swipe").setAttribute("aria-valuenow", Math.round(split * 100));
  draw();
}
$("swipe").onpointerdown = e => { $("swipe").setPointerCapture(e.pointerId); $("swipe").onpointermove = m => swipeTo((m.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth); };
$("swipe").onpointerup = $("swipe").onpointercancel = () => { $("swipe").onpointermove = null; };
$("swipe").onkeydown = e => {
  const by = { ArrowLeft: -.02, ArrowRight: .02, Home: -1, End: 1 }[e.key];
  if (by) { e.preventDefault(); swipeTo(split + by); }
};

// ---- reading a point -------------------------------------------------------------------------------------------------

const local = (cloud, i) => [0, 1, 2].map(k => cloud.low[k] + cloud.grid[3 * i + k] * cloud.step);
function pick(x, y) {  // the point in front among those within some pixels of the cursor
  const pane = panes().find(p => x < p.to * canvas.clientWidth);
  if (!pane || pane.mode < 0) return null;
  const { cloud } = pane, width = pane.width * canvas.clientWidth, height = canvas.clientHeight, m = matrix(width / height);
  const values = cloud.values[pane.mode], off = data.modes[pane.mode].entries ? hidden[family(pane.mode)] : new Set(), reach = 6;
  const px = x - pane.left * canvas.clientWidth, step = cloud.step, [ox, oy, oz] = cloud.low, far = camera.walk ? 10 : camera.distance;
  let best = -1, score = Infinity;
  for (let i = 0, g = cloud.grid; i < cloud.points; i++) {
    const a = ox + g[3 * i] * step, b = oy + g[3 * i + 1] * step, c = oz + g[3 * i + 2] * step, depth = m[3] * a + m[7] * b + m[11] * c + m[15];
    if (depth <= 0) continue;
    const dx = ((m[0] * a + m[4] * b + m[8] * c + m[12]) / depth + 1) * width / 2 - px;
    if (dx > reach || dx < -reach) continue;
    const dy = (1 - (m[1] * a + m[5] * b + m[9] * c + m[13]) / depth) * height / 2 - y, away = Math.hypot(dx, dy);
    if (away > reach || off.has(values[i])) continue;
    const cost = away / reach + 60 * depth / far;
    if (cost < score) { score = cost; best = i; }
  }
  return best < 0 ? null : { cloud, point: best };
}
function read() {
  $("read").hidden = !chosen;
  if (!chosen) return draw();
  const { cloud, point: i } = chosen, at = local(cloud, i).map((v, k) => v + cloud.origin[k]);
  const lines = [`x ${at[0].toFixed(2)}   y ${at[1].toFixed(2)}   z ${at[2].toFixed(2)}`];
  data.modes.forEach((m, j) => {
    const values = cloud.values[j];
    if (!values || m.name === "height") return;
    const v = values[i];
    if (m.name === "rgb") lines.push(`rgb  ${values[3 * i]}, ${values[3 * i + 1]}, ${values[3 * i + 2]}`);
    else if (m.name === "instance") lines.push(`instance  ${integer(cloud.instances, cloud.points, i)}`);
    else if (m.entries) lines.push(`${m.name}  ${m.entries.find(e => e.index === v)?.name ?? "?"}`);
    else lines.push(`${m.name}  ${v ? (v === 1 ? "≤ " : v === 255 ? "≥ " : "") + number(m.range[0] + (v - 1) / 254 * (m.range[1] - m.range[0])) : "unknown"}`);
  });
  $("read").textContent = lines.join("\n");
  draw();
}
function placeMarks() {  // on the point that was read, and on the same place in the clouds that share its frame
  $("marks").replaceChildren();
  if (!chosen) return;
  const p = [...local(chosen.cloud, chosen.point), 1], height = canvas.clientHeight;
  for (const pane of layout === "swipe" ? panes().slice(0, 1) : panes()) {
    const width = pane.width * canvas.clientWidth, m = matrix(width / height), row = k => dot(m.filter((_, n) => n % 4 === k), p) + m[12 + k];
    const x = (row(0) / row(3) + 1) * width / 2, y = (1 - row(1) / row(3)) * height / 2;
    if (row(3) <= 0 || x < 0 || x > width || pane.cloud.origin.some((v, k) => v !== chosen.cloud.origin[k])) continue;
    Object.assign(add($("marks"), "div").style, { left: x + pane.left * canvas.clientWidth + "px", top: y + "px" });
  }
}

// ---- buttons, and the start ------------------------------------------------------------------------------------------

function colourBy(index) { mode = index % data.modes.length; titles(); legend(); recolour(); }
const night = matchMedia("(prefers-color-scheme:dark)");
function darken(dark = !("dark" in root.dataset)) { if (dark) root.dataset.dark = ""; else delete root.dataset.dark; legend(); recolour(); }
function fold() { document.body.classList.toggle("folded"); resize(); }
function save() { paint(); add(document.body, "a", undefined, { download: "pcaug.png", href: canvas.toDataURL() }).click(); document.body.lastChild.remove(); }
$("mode").onchange = e => colourBy(+e.target.value);
$("size").oninput = $("edges").oninput = $("opacity").oninput = draw;
$("dark").onclick = () => { night.onchange = null; darken(); }; $("shot").onclick = save; $("fold").onclick = $("unfold").onclick = fold;
$("walk").onclick = () => stride(); $("home").onclick = home;
$("layouts").onclick = e => { if (e.target.dataset.layout) arrange(e.target.dataset.layout); };
$("all").onclick = e => { if (e.target.dataset.show) for (const m of new Set(panes().map(p => family(p.mode)))) if (data.modes[m]?.entries) show(m, () => e.target.dataset.show === "all"); };
new ResizeObserver(() => camera.home && canvas.clientWidth && resize()).observe(canvas);

async function start() {
  if (!gl) throw Error("This browser has no WebGL2.");
  if (typeof DecompressionStream === "undefined") throw Error("This browser is too old: it has no DecompressionStream.");
  if (night.matches) root.dataset.dark = "";
  for (const cloud of data.clouds) {
    const grid = positions(await inflate(cloud.position), cloud.points), values = [];
    for (const packed of cloud.values) values.push(packed === "z" ? heights(cloud, grid) : packed && await inflate(packed));
    const instances = cloud.instance && await inflate(cloud.instance);
    clouds.push({ ...cloud, grid, values, instances });
  }
  prepare();
  data.modes.forEach((m, i) => $("mode").append(new Option(m.name, i)));
  for (const name of layouts()) add($("layouts"), "button", name === "beside" ? "side by side" : name).dataset.layout = name;
  $("layouts").hidden = layouts().length < 2;
  while (!canvas.clientWidth || !canvas.clientHeight) await new Promise(requestAnimationFrame);  // a folded cell of a notebook, a hidden tab
  const low = [0, 1, 2].map(k => Math.min(...clouds.map(c => c.frame[0][k]))), high = [0, 1, 2].map(k => Math.max(...clouds.map(c => c.frame[1][k])));
  camera.home = { at: low.map((l, k) => (l + high[k]) / 2), size: Math.hypot(...low.map((l, k) => high[k] - l)) };
  resize(); arrange(layout); home(); recolour(); paint();
  night.onchange = e => darken(e.matches);
  $("note").hidden = true; document.body.dataset.ready = "1";
}
start().catch(error => { $("note").textContent = error.message; document.body.dataset.failed = error.message; });
