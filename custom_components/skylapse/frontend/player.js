/* Where a camera's picture and its film are shown: the film that grows by Home Assistant's own player of playlists. */

import { reasonOf } from "./base.js";
import { h } from "./dom.js";
import { say } from "./words.js";

const PATIENCE_MS = 8000;
const PLAYLIST = "application/x-mpegURL";

export const STAGE_STYLE = `
  .stage { position: relative; background: #000; color: #e1e1e1; --primary-text-color: #e1e1e1; aspect-ratio: 16 / 9; overflow: hidden; display: grid; grid-template: 100% / 100%; place-items: center; }
  .stage > * { grid-area: 1 / 1; }
  .stage img, .stage video, .stage ha-hls-player { width: 100%; height: 100%; object-fit: contain; display: block; --video-max-height: 100%; }
  .stage .picture { padding: 0; border: 0; border-radius: 0; width: 100%; height: 100%; background: none; }
  .stage .picture:focus-visible { outline-offset: -4px; }
  .stage .message { color: #e1e1e1; }
  .stage button.retry { color: #fff; background: #222; }
`;

/* Have Home Assistant load its player, which comes with its camera cards; say whether it did. */
async function hasPlayer() {
  if (customElements.get("ha-hls-player")) {
    return true;
  }
  if (window.loadCardHelpers) {
    const helpers = await window.loadCardHelpers();
    helpers.createCardElement({ type: "picture-entity", entity: "camera.none" });
  }
  const late = new Promise((done) => {
    setTimeout(() => done(false), PATIENCE_MS);
  });
  return Promise.race([customElements.whenDefined("ha-hls-player").then(() => true), late]);
}

const pathOf = (url) => new URL(url, document.baseURI).pathname;

/* The films of a camera that may be shown and what they are called: that of today, else the last one. */
export function filmsOf(camera, last, t) {
  const films = [[`media-source://skylapse/today/${camera.camera}`, t.today]];
  if (last?.attributes.media_content_id) {
    films.push([last.attributes.media_content_id, last.attributes.title]);
  }
  return films.map(([mediaId, title]) => [mediaId, `${camera.name}: ${title}`]);
}

/* Make an element that plays the first of these films that is there; a picture that `shown` shows already stays. */
export async function makePlayer(hass, films, shown) {
  let failure = null;
  for (const [mediaId, label] of films) {
    try {
      return await makeOne(hass, mediaId, label, shown);
    } catch (error) {
      failure = failure || error;
    }
  }
  throw failure;
}

async function makeOne(hass, mediaId, label, shown) {
  const media = await hass.callWS({ type: "media_source/resolve_media", media_content_id: mediaId });
  const url = hass.hassUrl ? hass.hassUrl(media.url) : media.url;
  const moves = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (media.mime_type === PLAYLIST && (await hasPlayer())) {
    const player = document.createElement("ha-hls-player");
    player.setAttribute("aria-label", label);
    Object.assign(player, { hass, url, controls: true, muted: true, playsInline: true, autoPlay: moves });
    return player;
  }
  if (media.mime_type.startsWith("image/")) {
    if (shown?.localName === "img" && pathOf(shown.src) === pathOf(url)) {
      return shown;
    }
    return h("img", { src: url, alt: label });
  }
  const video = h("video", { src: url, controls: true, playsinline: true, autoplay: moves, "aria-label": label });
  video.muted = true;
  return video;
}

/* Say why no film is shown. */
export async function refusalOf(hass, t, failure) {
  const isMissing = failure.code === "resolve_media_failed" || failure.code === "not_found";
  return isMissing ? t.noFilmToday : say(t.filmFails, { reason: await reasonOf(hass, failure) });
}

/* Make words that stand where the film would be, and a button. */
export function makeRefusal(words, label, onclick) {
  const button = h("button", { type: "button", class: "retry", onclick }, label);
  return h("div", { class: "message" }, h("p", {}, words), h("br"), button);
}
