// The films of today: a card a camera, and a player that goes on where new frames have come.

import { frames, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const LOOK_AGAIN_MS = 2000;
const LOOK_SELDOM_MS = 60_000;  // where nothing has come for long
const FEWEST = 4;  // fewer are shown as the picture that they are: players wait for more

const PATIENCE_MS = 400;  // after which a reader is told what is waited for

const playing = { item: null, film: null, still: null, wait: LOOK_AGAIN_MS, timer: 0, tools: null };
const looking = { turn: 0, timer: 0 };

const words = (film) => (film.ended ? frames(film.frames) : say("soFar", { frames: frames(film.frames) }));

// A camera may have the finished film of one schedule beside the growing one of another.
function nameOf(item, film) {
  const schedule = (film.schedule ?? "").replace(/[_-]/g, " ");
  return [item.name, schedule.charAt(0).toUpperCase() + schedule.slice(1)].filter(Boolean).join(" · ");
}

// Shows a card for every camera that has a film of today; `tools` are the gallery's own ask, address and guard.
export async function showToday(cameras, tools) {
  playing.tools = tools;
  const turn = beginLooking();
  const asked = cameras.filter((item) => item.last_frame).map(async (item) => {
    const film = await tools.ask(`cameras/${item.camera}/today`).catch((error) => {
      if (error instanceof tools.Refused) throw error;
      return null;
    });
    return film && film.frames > 0 && !film.ended ? card(item, film) : null;
  });
  const cards = (await Promise.all(asked)).filter(Boolean);
  if (turn !== looking.turn) return;
  endLooking();
  $("today").querySelector(".grid").replaceChildren(...cards);
}

// The newest frames of a film are encoded when somebody looks, which takes a while.
function beginLooking() {
  clearTimeout(looking.timer);
  looking.timer = setTimeout(() => {
    $("today-wait").hidden = $("today").querySelector(".growing") !== null;
  }, PATIENCE_MS);
  return ++looking.turn;
}

function endLooking() {
  clearTimeout(looking.timer);
  looking.turn += 1;
  $("today-wait").hidden = true;
}

// Leaves the films that a choice of camera and words means; none of them is pinned.
export function narrowToday({ camera, words: asked, pinned }) {
  const cards = [...$("today").querySelectorAll(".growing")];
  for (const element of cards) {
    const said = `${element.dataset.camera} ${element.querySelector(".name").textContent}`.toLowerCase();
    const fits = asked.toLowerCase().split(/\s+/).every((word) => said.includes(word));
    element.hidden = pinned || !fits || (camera !== null && camera !== element.dataset.camera);
  }
  $("today").hidden = cards.every((element) => element.hidden);
}

export function hideToday() {
  endLooking();
  $("today").hidden = true;
  $("today").querySelector(".grid").replaceChildren();
  if ($("today-player").open) $("today-player").close();
}

function card(item, film) {
  const element = $("card").content.firstElementChild.cloneNode(true);
  element.className = "growing";
  element.dataset.camera = item.camera;
  element.querySelector("img").src = playing.tools.address(item.last_frame.thumb);
  element.querySelector(".length").textContent = say("live");
  element.querySelector(".name").textContent = nameOf(item, film);
  element.querySelector(".detail").textContent = words(film);
  element.addEventListener("click", () => open(item, film));
  return element;
}

function open(item, film) {
  playing.item = item;
  const { media_type: type, picture, thumb } = item.last_frame;  // browsers show JPEGs
  playing.still = playing.tools.address(type === "image/jpeg" ? picture : thumb);
  playing.wait = LOOK_AGAIN_MS;
  $("today-player").showModal();
  show(film, 0);
}

// A video element cannot learn of frames that its file did not have: the file so far is opened anew at its end.
function show(film, from) {
  playing.film = film;
  $("today-title").textContent = say("todayOf", { camera: nameOf(playing.item, film) });
  $("today-facts").textContent = words(film);
  const video = $("today-video");
  video.hidden = film.frames < FEWEST;
  $("today-still").hidden = !video.hidden;
  if (video.hidden) {
    $("today-still").src = playing.still;
    lookAgain();
    return;
  }
  video.src = playing.tools.address(film.video);
  video.currentTime = from;
  video.play().catch(() => {});
}

// Looks again later each time, until something has come.
function lookAgain(look = goOn) {
  clearTimeout(playing.timer);
  playing.timer = setTimeout(() => playing.tools.guard(look()), playing.wait);
  playing.wait = Math.min(2 * playing.wait, LOOK_SELDOM_MS);
}

// Asks for the film of today; where nobody answers, `look` is tried again.
async function askFor(look) {
  try {
    return await playing.tools.ask(`cameras/${playing.item.camera}/today`);
  } catch (error) {
    if ($("today-player").open) lookAgain(look);
    throw error;
  }
}

// The film of the next window follows, once it can be played, also one that has ended.
async function goOn() {
  clearTimeout(playing.timer);
  if (!$("today-player").open) return;
  const before = playing.film;
  const film = await askFor(goOn);
  if (!$("today-player").open) return;
  const isAnother = film.film !== before.film;
  if (film.frames >= (isAnother ? FEWEST : before.frames + 1)) {
    playing.wait = LOOK_AGAIN_MS;
    show(film, isAnother || before.frames < FEWEST ? 0 : before.duration_s);
  } else lookAgain();
}

// What breaks off is opened anew where it stood: a version that is forgotten has no more bytes.
async function openAnew() {
  if (!$("today-player").open) return;
  const film = await askFor(openAnew);
  if (!$("today-player").open) return;
  const stood = film.film === playing.film.film ? $("today-video").currentTime : 0;
  show(film, Math.min(stood, film.duration_s));
}

$("today-video").addEventListener("error", () => {
  clearTimeout(playing.timer);
  playing.timer = setTimeout(() => playing.tools.guard(openAnew()), LOOK_AGAIN_MS);
});
$("today-video").addEventListener("ended", () => playing.tools.guard(goOn()));
$("today-close").addEventListener("click", () => $("today-player").close());
$("today-player").addEventListener("close", () => {
  clearTimeout(playing.timer);
  $("today-video").pause();
  $("today-video").removeAttribute("src");
  $("today-video").load();
});
