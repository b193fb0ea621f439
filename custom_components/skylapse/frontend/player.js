/* Where a camera's picture and its film are shown: the film that grows by Home Assistant's own player of playlists. */

import { h } from "./dom.js";

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

/* Make an element that plays media of the source; a picture that `shown` shows already stays what it is. */
export async function makePlayer(hass, mediaId, label, shown) {
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

/* Make words that stand where the film would be, and a button. */
export function makeRefusal(words, label, onclick) {
  const button = h("button", { type: "button", class: "retry", onclick }, label);
  return h("div", { class: "message" }, h("p", {}, words), h("br"), button);
}
