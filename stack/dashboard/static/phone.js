// A phone as a device: it keeps a login of its own, and sends what it measures by MQTT over WebSocket.

const KEY = "tidegate-device";
// Milliseconds between two messages of one kind.
const PAUSE = 500;
const find = (name) => document.getElementById(`phone-${name}`);
const status = find("status");
const sentAt = {};
// The broker lets a device in once: of two tabs each would end the other's connection again and again.
const tabs = new BroadcastChannel(KEY);
let device = JSON.parse(localStorage.getItem(KEY) ?? "null");
let client;

find("connect").addEventListener("click", async ({ target }) => {
  target.disabled = true;
  status.textContent = "Asking for a login…";
  const headers = {
    "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]').content,
    Accept: "application/json",
  };
  const answer = await fetch(location.pathname, { method: "POST", headers }).catch(() => null);
  if (!answer) {
    status.textContent = "The dashboard does not answer. Try again.";
    target.disabled = false;
    return;
  }
  const told = await answer.json();
  if (!answer.ok) {
    status.textContent = told.error;
    return;
  }
  device = told;
  localStorage.setItem(KEY, JSON.stringify(device));
  // The link is used; a page that is loaded again has the login.
  history.replaceState(null, "", "/phone");
  connect();
});

tabs.addEventListener("message", ({ data }) => {
  if (!client || data !== device.user) return;
  client.end();
  find("senders").hidden = true;
  status.textContent = `${device.user} goes on in another tab. Load this page again to go on here.`;
});

find("forget").addEventListener("click", () => {
  localStorage.removeItem(KEY);
  client.end();
  find("senders").hidden = true;
  status.textContent = `This phone has forgotten the login of ${device.user}.`;
});

function connect() {
  find("start").hidden = true;
  for (const problem of document.querySelectorAll("[data-problem]")) problem.hidden = true;
  status.textContent = "Connecting…";
  tabs.postMessage(device.user);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  client = mqtt.connect(`${scheme}://${location.host}/mqtt`, {
    clientId: device.user,
    username: device.user,
    password: device.password,
    // Its other timers are a worker made of text, which the page's policy refuses.
    timerVariant: "native",
  });
  client.on("connect", () => {
    status.textContent = `Connected as ${device.user}.`;
    find("topics").textContent = device.topics.slider;
    find("senders").hidden = false;
    navigator.wakeLock?.request("screen").catch(() => {});
  });
  client.on("offline", () => (status.textContent = "The broker does not answer; it is tried again."));
  client.on("error", (error) => {
    // The broker's answer to a login that is wrong: to try again would change nothing.
    if (![4, 5, 134, 135].includes(error.code)) return;
    client.end();
    find("senders").hidden = true;
    status.textContent = `${device.user} may not log in any more. Scan another code.`;
  });
}

function send(what, value) {
  find(`${what}-value`).textContent = value;
  const now = Date.now();
  if (now - (sentAt[what] ?? 0) < PAUSE) return false;
  sentAt[what] = now;
  client.publish(device.topics[what], String(value), { qos: 1 });
  return true;
}

// --- Slider -----------------------------------------------------------------------------------------------------------

let last;

find("slider").addEventListener("input", ({ target }) => {
  clearTimeout(last);
  // The value at which it comes to rest is sent in any case.
  if (!send("slider", target.value)) last = setTimeout(() => send("slider", target.value), PAUSE);
});

// --- Motion -----------------------------------------------------------------------------------------------------------

find("motion").addEventListener("change", async ({ target }) => {
  removeEventListener("devicemotion", measureMotion);
  if (!target.checked) return;
  // Safari asks its user; elsewhere a secure page may.
  const answer = await (globalThis.DeviceMotionEvent?.requestPermission?.() ?? "granted");
  if (answer === "granted") addEventListener("devicemotion", measureMotion);
  else refuse(target, "motion");
});

function measureMotion({ acceleration, accelerationIncludingGravity }) {
  const { x, y, z } = acceleration?.x == null ? (accelerationIncludingGravity ?? {}) : acceleration;
  if (x != null) send("motion", Math.hypot(x, y, z).toFixed(2));
}

// --- Light ------------------------------------------------------------------------------------------------------------

const camera = document.createElement("video");
const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
let timer;

find("light").addEventListener("change", async ({ target }) => {
  clearInterval(timer);
  for (const track of camera.srcObject?.getTracks() ?? []) track.stop();
  if (!target.checked) return;
  try {
    camera.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 64 } });
    camera.muted = camera.playsInline = true;
    await camera.play();
    timer = setInterval(measureLight, PAUSE);
  } catch {
    refuse(target, "light");
  }
});

/** Send how bright the camera's picture is, in per cent. */
function measureLight() {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(camera, 0, 0, 16, 16);
  const points = context.getImageData(0, 0, 16, 16).data;
  let total = 0;
  for (let at = 0; at < points.length; at += 4) total += points[at] + points[at + 1] + points[at + 2];
  send("light", ((total / (3 * 255 * 256)) * 100).toFixed(1));
}

function refuse(box, what) {
  box.checked = false;
  find(`${what}-value`).textContent = "not allowed";
}

if (device && find("start").hidden) connect();
