// The gallery: films by day, filtered by camera and words, played in a dialog. It asks the same API as everybody.

import { appendResults, sectionOf } from "./results.js";
import { hideToday, narrowToday, showToday } from "./today.js";
import { asAsked, dress, figure, frames, moment, nameOfDay, say } from "./words.js";

const API = "api/v1/";
const RENDERS_EVERY_MS = 4000;
const PAGES = { films: 60, results: 300 };  // of what a day has, results are about five times as many

const $ = (id) => document.getElementById(id);
const made = (template) => $(template).content.firstElementChild.cloneNode(true);

const state = { camera: null, films: [], next: { films: null, results: null }, request: 0, shown: -1, timer: 0 };

class Refused extends Error {}

async function ask(path, options = {}) {
  const response = await fetch(API + path, { credentials: "same-origin", ...options });
  if (response.status === 401) throw new Refused();
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail ?? `${response.status} ${response.statusText}`);
  }
  return response.status === 204 ? null : response.json();
}

const send = (path, method, body) =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const address = (path) => path.replace(/^\//, "");

// ---------------------------------------------------------------- words

function length(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${figure(value, value < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

const CODECS = { h264: "H.264", h265: "H.265", av1: "AV1" };

const name = (film) => film.title.replace(` · ${film.day}`, "");

const shape = (film) => `${film.width} × ${film.height}`;

const coded = (film) => CODECS[film.codec] ?? film.codec;

const madeAt = (film) => say("made", { moment: moment(film.created_at) });

const TELLING = [(film) => film.recipe, shape, coded];

function facts(film) {
  const parts = [nameOfDay(film.day), frames(film.frames), say("rate", { count: figure(film.rate) }),
    shape(film), size(film.bytes), coded(film), say("recipe", { name: film.recipe }), madeAt(film)];
  if (film.skipped) parts.push(say("leftOut", { count: figure(film.skipped) }));
  if (film.flicker_mev !== null) parts.push(say("flicker", { count: figure(film.flicker_mev, 1) }));
  return parts.join(" · ");
}

// ---------------------------------------------------------------- films

function card(film, index) {
  const element = made("card");
  element.querySelector("img").src = address(film.thumb);
  element.querySelector(".length").textContent = length(film.duration_s);
  element.querySelector(".star").hidden = !film.pinned;
  element.querySelector(".name").textContent = name(film);
  element.dataset.film = film.id;
  element.addEventListener("click", () => show(index));
  return element;
}

function append(films) {
  for (const film of films) {
    const section = sectionOf(film.day, nameOfDay(film.day));
    const grid = section.querySelector(".grid");
    grid.insertBefore(card(film, state.films.length), grid.querySelector("[data-result]"));
    state.films.push(film);
  }
  tellApart();
}

// Two films of one window bear one name: each card says first what sets it apart.
function tellApart() {
  const alike = new Map();
  for (const film of state.films) {
    const key = JSON.stringify([film.day, name(film)]);
    alike.set(key, [...(alike.get(key) ?? []), film]);
  }
  for (const films of alike.values()) {
    const differing = TELLING.filter((tell) => new Set(films.map(tell)).size > 1);
    const words = (film) => differing.map((tell) => tell(film));
    const told = films.map((film) => words(film).join());
    for (const [index, film] of films.entries()) {
      const twin = told.indexOf(told[index]) !== told.lastIndexOf(told[index]);
      const detail = [...words(film), ...(twin ? [madeAt(film)] : []), frames(film.frames)];
      document.querySelector(`[data-film="${film.id}"] .detail`).textContent = detail.join(" · ");
    }
  }
}

const NONE = { items: [], next: null };

const words = () => $("words").value.trim();
const names = () => [...$("cameras").querySelectorAll(".name")].map((name) => name.textContent);

// The next page of a list; an empty one where there is no next.
async function page(list, { fresh, ...asked }) {
  if (!fresh && !state.next[list]) return NONE;
  const query = new URLSearchParams({ limit: PAGES[list], ...asked });
  if (state.camera) query.set("camera", state.camera);
  if (!fresh) query.set("cursor", state.next[list]);
  return ask(`${list}?${query}`);
}

async function load({ fresh }) {
  const request = ++state.request;
  const asked = { ...(words() && { q: words() }), ...($("pinned").checked && { pinned: "true" }) };
  const narrowed = Object.keys(asked).length > 0;
  narrow();
  const [films, results] = await Promise.all([
    page("films", { fresh, ...asked }),
    asked.pinned ? NONE : page("results", { fresh, ...(asked.q && { q: asAsked(asked.q, names()) }) }),  // none has a pin
  ]);
  if (request !== state.request) return;
  if (fresh) {
    state.films = [];
    $("films").replaceChildren();
  }
  append(films.items);
  state.next = { films: films.next, results: results.next };
  appendResults(results.items, { address });
  $("more").hidden = !state.next.films && !state.next.results;
  $("nothing").hidden = state.films.length > 0 || $("films").childElementCount > 0;
  $("nothing").textContent = say(narrowed || state.camera ? "noneFits" : "noneYet");
}

const narrow = () => narrowToday({ camera: state.camera, words: words(), pinned: $("pinned").checked });

// ---------------------------------------------------------------- cameras and renders

async function loadCameras() {
  const { items } = await ask("cameras");
  $("cameras").hidden = items.length === 0;
  $("cameras").replaceChildren(...items.map((item) => {
    const element = made("camera");
    if (item.last_frame) element.querySelector("img").src = address(item.last_frame.thumb);
    element.querySelector(".name").textContent = item.name;
    element.querySelector(".detail").textContent = frames(item.frames);
    element.setAttribute("aria-pressed", String(state.camera === item.camera));
    element.addEventListener("click", () => {
      state.camera = state.camera === item.camera ? null : item.camera;
      for (const other of $("cameras").children) {
        other.setAttribute("aria-pressed", String(other === element && state.camera !== null));
      }
      guard(load({ fresh: true }));
    });
    return element;
  }));
  await showToday(items, { ask, address, guard, Refused });
  narrow();
}

async function loadRenders() {
  const before = $("renders").childElementCount;
  const { items } = await ask("renders?limit=20");
  const open = items.filter((item) => item.state === "queued" || item.state === "running");
  $("renders").hidden = open.length === 0;
  $("renders").replaceChildren(...open.map((item) => {
    const element = made("render");
    const word = item.state === "queued" ? say("waits") : `${figure(item.percent)} %`;
    const said = { camera: item.camera, day: item.asked.day, state: word };
    element.querySelector("span").textContent = say("renders", said);
    element.querySelector("progress").value = item.percent;
    return element;
  }));
  if (open.length < before) await Promise.all([load({ fresh: true }), loadCameras()]);
}

// ---------------------------------------------------------------- player

function show(index) {
  const film = state.films[index];
  if (!film) return;
  state.shown = index;
  $("title").textContent = film.title;
  $("facts").textContent = facts(film);
  $("video").poster = address(film.poster);
  $("video").src = address(film.video);
  $("download").href = address(film.video);
  $("download").download = `${film.camera.replace("/", "-")}-${film.day}-${film.id}.mp4`;
  $("previous").disabled = index === 0;
  $("next").disabled = index === state.films.length - 1;
  showPin(film);
  if (!$("player").open) $("player").showModal();
  $("video").play().catch(() => {});
}

function showPin(film) {
  $("pin").setAttribute("aria-pressed", String(film.pinned));
  $("pin").textContent = film.pinned ? `★ ${say("pinned")}` : `☆ ${say("pin")}`;
}

async function pin() {
  const index = state.shown;
  const film = await send(`films/${state.films[index].id}`, "PATCH", { pinned: !state.films[index].pinned });
  state.films[index] = film;
  showPin(film);
  const star = document.querySelector(`[data-film="${film.id}"] .star`);
  if (star) star.hidden = !film.pinned;
}

function closed() {
  $("video").pause();
  $("video").removeAttribute("src");
  $("video").load();
  document.querySelector(`[data-film="${state.films[state.shown]?.id}"]`)?.focus();
}

// ---------------------------------------------------------------- signing in

function showSignIn() {
  clearInterval(state.timer);
  if ($("player").open) $("player").close();
  for (const id of ["search", "sign-out", "cameras", "renders", "more", "nothing"]) $(id).hidden = true;
  $("films").replaceChildren();
  hideToday();
  $("sign-in").hidden = false;
  $("key").focus();
}

async function showGallery() {
  $("sign-in").hidden = true;
  await load({ fresh: true });
  $("search").hidden = $("sign-out").hidden = false;
  clearInterval(state.timer);
  state.timer = setInterval(() => { if (!document.hidden) guard(loadRenders()); }, RENDERS_EVERY_MS);
  await Promise.all([loadCameras(), loadRenders()]);
}

function guard(promise) {
  return promise.catch((error) => {
    if (error instanceof Refused) return showSignIn();
    $("nothing").textContent = say("failed", { reason: error.message });
    $("nothing").hidden = false;
    return undefined;
  });
}

async function signIn(event) {
  event.preventDefault();
  try {
    await send("session", "POST", { key: $("key").value });
  } catch (error) {
    $("refused").textContent = error instanceof Refused
      ? say("keyRefused")
      : say("failed", { reason: error.message });
    $("refused").hidden = false;
    return;
  }
  $("key").value = "";
  $("refused").hidden = true;
  await guard(showGallery());
}

// ---------------------------------------------------------------- wiring

let typing = 0;
$("words").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => guard(load({ fresh: true })), 250);
});
$("search").addEventListener("submit", (event) => { event.preventDefault(); guard(load({ fresh: true })); });
$("pinned").addEventListener("change", () => guard(load({ fresh: true })));
$("more").addEventListener("click", () => guard(load({ fresh: false })));
$("sign-in").addEventListener("submit", signIn);
$("sign-out").addEventListener("click", () => guard(ask("session", { method: "DELETE" }).then(showSignIn)));
$("previous").addEventListener("click", () => show(state.shown - 1));
$("next").addEventListener("click", () => show(state.shown + 1));
$("pin").addEventListener("click", () => guard(pin()));
$("close").addEventListener("click", () => $("player").close());
$("player").addEventListener("close", closed);
$("player").addEventListener("click", (event) => { if (event.target === $("player")) $("player").close(); });
document.addEventListener("keydown", (event) => {
  if ($("player").open) {
    if (event.target === $("video")) return;
    if (event.key === "ArrowLeft") show(state.shown - 1);
    if (event.key === "ArrowRight") show(state.shown + 1);
  } else if (event.key === "/" && event.target !== $("words") && !$("search").hidden) {
    event.preventDefault();
    $("words").focus();
  }
});

dress(document);
guard(showGallery());
