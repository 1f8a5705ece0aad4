// Tells who does not look: by the tab's title and icon, and, where wanted, by a sound and a notification.

const RANKS = { good: 0, warn: 1, bad: 2 };
const wants = { sound: false, notify: false };
let before = document.body.dataset.state;
let sounds = null;

function beep() {
  sounds ??= new AudioContext();
  const tone = sounds.createOscillator();
  const volume = sounds.createGain();
  tone.frequency.value = 660;
  volume.gain.setValueAtTime(0.2, sounds.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, sounds.currentTime + 0.8);
  tone.connect(volume).connect(sounds.destination);
  tone.start();
  tone.stop(sounds.currentTime + 0.8);
}

export function showState(state, title) {
  document.body.dataset.state = state;
  if (document.title !== title) document.title = title;
  const icon = document.getElementById("icon");
  const wanted = `/static/icon-${state}.svg`;
  if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  if (state === "bad" && RANKS[before] < RANKS.bad) {
    if (wants.sound) beep();
    if (wants.notify) new Notification("kraken-engine", { body: document.querySelector("h1").textContent, tag: "kraken-engine" });
  }
  before = state;
}

export function lose() {
  showState("bad", "✕ disconnected · kraken-engine");
}

async function press(name, button) {
  let on = !wants[name];
  if (on && name === "notify") on = (await Notification.requestPermission()) === "granted";
  if (on && name === "sound") beep();
  wants[name] = on;
  button.setAttribute("aria-pressed", on);
  localStorage.setItem(`kraken-engine ${name}`, on);
}

export function beginAlarms() {
  for (const name of Object.keys(wants)) {
    const button = document.getElementById(name);
    button.addEventListener("click", () => press(name, button));
    const kept = localStorage.getItem(`kraken-engine ${name}`) === "true";
    wants[name] = kept && (name !== "notify" || Notification.permission === "granted");
    button.setAttribute("aria-pressed", wants[name]);
  }
}
