// ---- the camera: turning about a point, or walking ------------------------------------------------------------------

const camera = { yaw: -1.05, pitch: .65, distance: 1, at: [0, 0, 0], home: null, walk: null, lens: 2.2 };
const WALK = { eye: 1.7, speed: 5, lens: 1.4 };  // metres, metres a second, cotangent of half the vertical angle of view

function axes() {
  const cy = Math.cos(camera.yaw), sy = Math.sin(camera.yaw), cp = Math.cos(camera.pitch), sp = Math.sin(camera.pitch);
  return { back: [cp * cy, cp * sy, sp], right: [-sy, cy, 0], up: [-sp * cy, -sp * sy, cp] };
}
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const planes = () => camera.walk ? [.15, camera.home.size * 3 + 100] : [camera.distance / 100, camera.distance * 60];
function matrix(aspect) {  // column-major clip_from_local
  const { back, right, up } = axes(), eye = camera.at.map((a, k) => a + (camera.walk ? 0 : back[k] * camera.distance));
  const [near, far] = planes(), a = (far + near) / (near - far), b = 2 * far * near / (near - far);
  const columns = [0, 1, 2].map(k => [right[k], up[k], back[k], 0]).concat([[-dot(right, eye), -dot(up, eye), -dot(back, eye), 1]]);
  return new Float32Array(columns.flatMap(c => [c[0] * camera.lens / aspect, c[1] * camera.lens, a * c[2] + b * c[3], -c[2]]));
}
function turn(yaw, pitch) { camera.yaw += yaw; camera.pitch = Math.max(-1.5, Math.min(camera.walk ? 1.5 : 1.5707, camera.pitch + pitch)); moving(); }
function look(dx, dy) { if (camera.walk) turn(dx * .004, -dy * .004); else turn(-dx * .006, dy * .006); }  // what is dragged follows the hand
function zoom(factor) {
  if (camera.walk) return step(0, -Math.log(factor) * 10);
  camera.distance = Math.max(camera.home.size / 5e3, Math.min(camera.home.size * 20, camera.distance * factor));
  moving();
}
function shift(dx, dy) {  // pixels: what is under the cursor stays there
  if (camera.walk) return step(-dx * .05, dy * .05);
  const size = 2 * camera.distance / (camera.lens * canvas.clientHeight), { right, up } = axes();
  camera.at = camera.at.map((a, k) => a - right[k] * dx * size + up[k] * dy * size);
  moving();
}
function home() {
  if (camera.walk) stride(false);
  const aspect = canvas.clientWidth * panes()[0].width / canvas.clientHeight;
  Object.assign(camera, { at: [...camera.home.at], distance: Math.max(1.04, 1.1 / aspect) * camera.home.size + .1, yaw: -1.05, pitch: .65 });
  shift(0, -.06 * canvas.clientHeight);
}
function goTo(place) { camera.at = place; if (camera.walk) land(1); else zoom(.5); draw(); }

// ---- walking ---------------------------------------------------------------------------------------------------------

function stride(on = !camera.walk) {  // walk about at eye height, or back to turning about where one stands
  if (on) {
    camera.walk = { eye: WALK.eye, distance: camera.distance, pitch: camera.pitch };
    Object.assign(camera, { pitch: .05, lens: WALK.lens });
    land(1);
  } else {
    Object.assign(camera, { distance: Math.min(camera.walk.distance, camera.home.size / 4), pitch: camera.walk.pitch, lens: 2.2, walk: null });
  }
  $("walk").setAttribute("aria-pressed", on);
  draw();
}
function step(right, ahead) {  // metres, over the ground
  const cy = Math.cos(camera.yaw), sy = Math.sin(camera.yaw);
  camera.at = [camera.at[0] - sy * right - cy * ahead, camera.at[1] + cy * right - sy * ahead, camera.at[2]];
  land(.3); moving();
}
function land(share) {  // towards eye height above the ground below, where there is any
  const cloud = clouds.find(c => groundAt(c, camera.at) !== null);
  if (cloud) camera.at[2] += share * (groundAt(cloud, camera.at) + camera.walk.eye - camera.at[2]);
}
function groundAt(cloud, [x, y]) {  // height, metres, or null: the median of the lowest points of 3 x 3 cells, which strays do not sway
  const { cell, wide, low } = cloud.ground ??= lowest(cloud), i = Math.floor((x - cloud.low[0]) / cell), j = Math.floor((y - cloud.low[1]) / cell), near = [];
  for (let a = i - 1; a <= i + 1; a++) for (let b = j - 1; b <= j + 1; b++)
    if (a >= 0 && b >= 0 && a < wide && b < wide && low[b * wide + a] < Infinity) near.push(low[b * wide + a]);
  return near.length ? near.sort((p, q) => p - q)[near.length >> 1] : null;
}
function lowest(cloud) {
  const cell = Math.max(1, cloud.step * 65535 / 1024), wide = Math.ceil(cloud.step * 65535 / cell) + 1, low = new Float32Array(wide * wide).fill(Infinity);
  for (let n = 0, g = cloud.grid; n < cloud.points; n++) {
    const at = Math.floor(g[3 * n + 1] * cloud.step / cell) * wide + Math.floor(g[3 * n] * cloud.step / cell);
    low[at] = Math.min(low[at], cloud.low[2] + g[3 * n + 2] * cloud.step);
  }
  return { cell, wide, low };
}

// ---- mouse, touch, keys ----------------------------------------------------------------------------------------------

const fingers = new Map(), held = new Set();
let moved = 0, pinch = 0;
canvas.onpointerdown = e => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, e); if (fingers.size === 1) moved = 0; pinch = 0; };
canvas.onpointerup = canvas.onpointercancel = e => {
  fingers.delete(e.pointerId); pinch = 0;
  if (e.type === "pointerup" && e.button === 0 && moved < 5 && !fingers.size) { chosen = pick(e.offsetX, e.offsetY); read(); }
};
canvas.onpointermove = e => {
  const before = fingers.get(e.pointerId);
  if (!before) return;
  const dx = e.clientX - before.clientX, dy = e.clientY - before.clientY;
  fingers.set(e.pointerId, e); moved += Math.abs(dx) + Math.abs(dy);
  if (fingers.size === 2) {
    const [a, b] = [...fingers.values()], apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    if (pinch && apart) zoom(pinch / apart);
    pinch = apart; shift(dx / 2, dy / 2);
  } else if (e.buttons & 6 || e.shiftKey) shift(dx, dy); else look(dx, dy);
};
canvas.ondblclick = e => { const found = pick(e.offsetX, e.offsetY); if (found) goTo(local(found.cloud, found.point)); };
canvas.onwheel = e => { e.preventDefault(); zoom(Math.exp(e.deltaY * (e.deltaMode ? .03 : .001))); };
canvas.oncontextmenu = e => e.preventDefault();

let before = 0;
function go(now) {  // while W, A, S or D is held
  if (!held.size) { before = 0; return; }
  const seconds = before ? Math.min(.1, (now - before) / 1000) : .016, size = held.has("Shift") ? 4 : 1;
  before = now;
  const right = held.has("d") - held.has("a"), ahead = held.has("w") - held.has("s");
  if (camera.walk) step(right * WALK.speed * size * seconds, ahead * WALK.speed * size * seconds);
  else shift(-right * 500 * size * seconds, ahead * 500 * size * seconds);
  requestAnimationFrame(go);
}
const KEYS = {
  ArrowLeft: () => look(14, 0), ArrowRight: () => look(-14, 0), ArrowUp: () => look(0, 14), ArrowDown: () => look(0, -14),
  "+": () => zoom(.85), "=": () => zoom(.85), "-": () => zoom(1.18), r: home, f: () => stride(),
  t: () => { if (camera.walk) stride(false); camera.pitch = 1.5707; camera.yaw = -1.5708; draw(); },
  PageUp: () => rise(.25), PageDown: () => rise(-.25),
  m: () => colourBy(mode + 1), v: () => arrange(layouts()[(layouts().indexOf(layout) + 1) % layouts().length]),
  p: () => fold(), e: () => { $("edges").value = +$("edges").value ? 0 : .8; draw(); }, l: () => darken(), i: () => save(),
  "[": () => slide("size", -.2), "]": () => slide("size", .2), Escape: () => { chosen = null; read(); },
};
function rise(by) { if (camera.walk) { camera.walk.eye = Math.max(.3, camera.walk.eye + by); land(1); draw(); } }
function slide(id, by) { $(id).value = +$(id).value + by; draw(); }
addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("select,input[type=range],[role=slider]") || !camera.home) return;
  const key = e.key.length > 1 ? e.key : e.key.toLowerCase();
  if ("wasd".includes(key)) { held.add(key); if (!before) go(performance.now()); } else if (key === "Shift") held.size && held.add(key);
  else if (KEYS[key]) { e.preventDefault(); KEYS[key](); }
});
addEventListener("keyup", e => held.delete(e.key.length > 1 ? e.key : e.key.toLowerCase()));
addEventListener("blur", () => held.clear());
