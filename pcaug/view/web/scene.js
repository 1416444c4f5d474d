const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent), canvas = $("view"), root = document.documentElement;
const gl = canvas.getContext("webgl2", { preserveDrawingBuffer: true, antialias: false });
const clouds = [], hidden = data.modes.map(() => new Set());
const truth = data.modes.findIndex(m => m.name === "class"), guess = data.modes.findIndex(m => m.name === "prediction");
const family = m => m === guess && truth >= 0 ? truth : m;  // truth and prediction share ids, colours, and what is hidden
let mode = data.start, split = .5;
let layout = data.clouds.length > 1 || (truth >= 0 && guess >= 0 && (mode === truth || mode === guess)) ? "beside" : "one";

function panes() {  // what stands beside each other: a cloud, the mode that colours it (or -1), and its part of the width
  const both = clouds.length === 1 && layout !== "one" ? [truth, mode === truth ? guess : mode].map(m => ({ cloud: clouds[0], mode: m }))
    : clouds.map(cloud => ({ cloud, mode: coloured(cloud, mode) }));
  return both.map((pane, i) => layout === "swipe" ? { ...pane, left: 0, width: 1, from: i && split, to: i || split }
    : { ...pane, left: i / both.length, width: 1 / both.length, from: i / both.length, to: (i + 1) / both.length });
}
const coloured = (cloud, m) => [m, ...(family(m) === truth ? [truth, guess] : [])].find(k => cloud.values[k]) ?? -1;

// ---- unpacking: base64 of deflated byte planes -------------------------------------------------------------------

async function inflate(text) {
  const packed = atob(text), bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
function third(v) {  // every third of 24 bits
  v &= 0x249249; v = (v | v >> 2) & 0x0c30c3; v = (v | v >> 4) & 0x00f00f;
  return (v | v >> 8) & 255;
}
function positions(planes, n) {  // hops along a Morton curve, 48 bits, as six planes of bytes
  const found = new Uint16Array(n * 3);
  for (let i = 0, place = 0; i < n; i++) {
    place += (planes[i] | planes[n + i] << 8 | planes[2 * n + i] << 16) + (planes[3 * n + i] | planes[4 * n + i] << 8 | planes[5 * n + i] << 16) * 0x1000000;
    const low = place % 0x1000000, high = (place - low) / 0x1000000;
    for (let axis = 0; axis < 3; axis++) found[3 * i + axis] = third(low >> axis) | third(high >> axis) << 8;
  }
  return found;
}
function heights(cloud, grid) {
  const [low, high] = data.modes.find(m => m.name === "height").range, found = new Uint8Array(cloud.points);
  const first = cloud.low[2] + cloud.origin[2] - low, scale = 254 / (high - low);
  for (let i = 0; i < cloud.points; i++) found[i] = 1.5 + Math.max(0, Math.min(254, (first + grid[3 * i + 2] * cloud.step) * scale));
  return found;
}
const integer = (planes, n, i) => planes[i] | planes[n + i] << 8 | planes[2 * n + i] << 16 | planes[3 * n + i] << 24;

// ---- drawing: points into a texture with depth, then edges darkened by depth (Boucheny 2009) ------------------------

const POINTS = `#version 300 es
in vec3 at; in uint value; in vec3 own;
uniform mat4 view; uniform vec3 low, size; uniform float span; uniform int row; uniform bool rgb; uniform sampler2D palette;
out vec3 tint; flat out uint number;
void main() {
  vec4 entry = texelFetch(palette, ivec2(int(value), row), 0);
  number = uint(gl_VertexID);
  tint = rgb ? own : entry.rgb;
  gl_Position = !rgb && entry.a < .5 ? vec4(2., 2., 2., 1.) : view * vec4(low + at * span, 1.);
  gl_PointSize = clamp(size.x / gl_Position.w, size.y, size.z);  // as large as the gap to the next point, within reason
}`;
const DISC = `#version 300 es
precision highp float;
in vec3 tint; flat in uint number; uniform float opacity;
out vec4 colour;
void main() {
  vec2 off = gl_PointCoord - .5;
  if (dot(off, off) > .27) discard;
  if (opacity < 1.) {  // stochastic transparency (Enderton 2010) needs no order: each point keeps a share of its pixels
    uvec2 p = uvec2(gl_FragCoord.xy);
    uint h = (number * 747796405u) ^ (p.x * 2891336453u) ^ (p.y * 277803737u);
    h = (h ^ h >> 16) * 2246822519u; h = (h ^ h >> 13) * 3266489917u;
    if (float(h >> 8) > opacity * 16777216.) discard;
  }
  colour = vec4(tint, 1.);
}`;
const SCREEN = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID == 1 ? 3. : -1., gl_VertexID == 2 ? 3. : -1.), 0., 1.); }`;
const EDGES = `#version 300 es
precision highp float;
uniform sampler2D image, depth; uniform float strength, reach; uniform vec2 planes;
out vec4 colour;
float far(ivec2 p) {
  float d = texelFetch(depth, clamp(p, ivec2(0), textureSize(depth, 0) - 1), 0).r;
  return d >= 1. ? 99. : log2(2. * planes.x * planes.y / (planes.x + planes.y - (2. * d - 1.) * (planes.y - planes.x)));
}
void main() {
  ivec2 p = ivec2(gl_FragCoord.xy);
  colour = texelFetch(image, p, 0);
  float here = far(p), sum = 0.;
  if (here > 98. || strength == 0.) return;
  for (int k = 0; k < 8; k++) {
    float a = float(k) * .785398;
    sum += max(0., here - far(p + ivec2(round(reach * vec2(cos(a), sin(a))))));
  }
  colour.rgb *= exp(-strength * min(sum * 9., 1.6));
}`;
function compile(vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, text); gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  const cache = {};
  return { program, uniform: name => cache[name] ??= gl.getUniformLocation(program, name), attribute: name => gl.getAttribLocation(program, name) };
}
function texture(unit, ...image) {
  const made = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + unit); gl.bindTexture(gl.TEXTURE_2D, made);
  if (image.length) gl.texImage2D(gl.TEXTURE_2D, 0, ...image);
  for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
  return made;
}
let points, edges, palette, target, targetImage, targetDepth;
function prepare() {  // all that lives on the graphics card
  points = compile(POINTS, DISC); edges = compile(SCREEN, EDGES);
  palette = texture(0); target = gl.createFramebuffer();
  const upload = bytes => { const made = gl.createBuffer(); gl.bindBuffer(gl.ARRAY_BUFFER, made); gl.bufferData(gl.ARRAY_BUFFER, bytes, gl.STATIC_DRAW); return made; };
  for (const cloud of clouds) Object.assign(cloud, { position: upload(cloud.grid), buffers: cloud.values.map(v => v && upload(v)) });
}
canvas.addEventListener("webglcontextlost", e => e.preventDefault());  // a browser takes it from pages that it finds too many or too slow
canvas.addEventListener("webglcontextrestored", () => { prepare(); resize(); recolour(); });
function resize() {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, canvas.clientWidth * ratio); canvas.height = Math.max(1, canvas.clientHeight * ratio);
  const { width, height } = canvas;
  gl.deleteTexture(targetImage); gl.deleteTexture(targetDepth);
  targetImage = texture(1, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
  targetDepth = texture(2, gl.DEPTH_COMPONENT24, width, height, 0, gl.DEPTH_COMPONENT, gl.UNSIGNED_INT, null);
  gl.bindFramebuffer(gl.FRAMEBUFFER, target);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, targetImage, 0);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, targetDepth, 0);
  draw();
}
let asked = 0, few = 0, rest = 0;
function draw() { asked ||= requestAnimationFrame(() => { asked = 0; paint(); }); }
function moving() {  // while the view moves, one point in so many that it stays smooth; all of them once it rests
  const millions = clouds.reduce((n, cloud) => n + cloud.points, 0) / 1e6;
  few ||= Math.max(1, millions);
  clearTimeout(rest); rest = setTimeout(paint, 250);
  asked ||= requestAnimationFrame(begun => {
    asked = 0; paint(2 ** Math.floor(Math.log2(few)));  // powers of two: some drivers copy the points for each new spacing
    requestAnimationFrame(ended => {
      const took = ended - begun, factor = took > 70 ? Math.min(8, took / 50) : took < 35 ? .9 : 1;
      few = Math.min(40, Math.max(1, 5 * millions), Math.max(1, few * factor));
    });
  });
}
function paint(every = 1) {
  const { width, height } = canvas, dark = "dark" in root.dataset, ratio = devicePixelRatio || 1, opacity = +$("opacity").value;
  gl.bindFramebuffer(gl.FRAMEBUFFER, target);
  gl.viewport(0, 0, width, height);
  gl.clearColor(...(dark ? [.071, .086, .106] : [.969, .976, .984]), 1);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.enable(gl.DEPTH_TEST); gl.enable(gl.SCISSOR_TEST); gl.useProgram(points.program);
  gl.activeTexture(gl.TEXTURE0); gl.bindTexture(gl.TEXTURE_2D, palette);
  gl.uniform1i(points.uniform("palette"), 0); gl.uniform1f(points.uniform("opacity"), opacity);
  for (const pane of panes()) if (pane.mode >= 0) {
    const [left, wide, from, to] = [pane.left, pane.width, pane.from, pane.to].map(part => Math.round(part * width));
    gl.viewport(left, 0, wide, height); gl.scissor(from, 0, to - from, height);
    gl.uniformMatrix4fv(points.uniform("view"), false, matrix(wide / height));
    drawCloud(pane.cloud, pane.mode, every, height, ratio);
  }
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.viewport(0, 0, width, height); gl.disable(gl.DEPTH_TEST); gl.disable(gl.SCISSOR_TEST); gl.useProgram(edges.program);
  gl.activeTexture(gl.TEXTURE1); gl.bindTexture(gl.TEXTURE_2D, targetImage);
  gl.activeTexture(gl.TEXTURE2); gl.bindTexture(gl.TEXTURE_2D, targetDepth);
  gl.uniform1i(edges.uniform("image"), 1); gl.uniform1i(edges.uniform("depth"), 2);
  gl.uniform1f(edges.uniform("strength"), $("edges").value * opacity ** 2); gl.uniform1f(edges.uniform("reach"), 1.6 * ratio);
  gl.uniform2fv(edges.uniform("planes"), planes());
  gl.drawArrays(gl.TRIANGLES, 0, 3);
  placeMarks();
}
function drawCloud(cloud, colouring, every, height, ratio) {
  const own = data.modes[colouring].name === "rgb", size = $("size").value * Math.min(3, Math.sqrt(every));
  gl.uniform1i(points.uniform("rgb"), own); gl.uniform1i(points.uniform("row"), colouring);
  feed("at", cloud.position, 3, gl.UNSIGNED_SHORT, 6 * every);
  feed(own ? "own" : "value", cloud.buffers[colouring], own ? 3 : 1, gl.UNSIGNED_BYTE, (own ? 3 : 1) * every);
  gl.disableVertexAttribArray(points.attribute(own ? "value" : "own"));
  if (own) gl.vertexAttribI4ui(points.attribute("value"), 0, 0, 0, 0);
  gl.uniform3f(points.uniform("size"), cloud.spacing * 1.3 * size * camera.lens * height / 2, 1.6 * size * ratio, 14 * size * ratio);
  gl.uniform3fv(points.uniform("low"), cloud.low); gl.uniform1f(points.uniform("span"), cloud.step * 65535);
  gl.drawArrays(gl.POINTS, 0, Math.floor(cloud.points / every));
}
function feed(name, buffer, width, type, stride) {
  const slot = points.attribute(name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.enableVertexAttribArray(slot);
  if (name === "value") gl.vertexAttribIPointer(slot, width, type, stride, 0);
  else gl.vertexAttribPointer(slot, width, type, true, stride, 0);
}
