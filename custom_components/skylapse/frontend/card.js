/* custom:skylapse-card: one camera, what it sees and does, and what to do about it. */

import { Card, reasonOf } from "./base.js";
import { DIAL_STYLE, drawDial } from "./dial.js";
import { fire, h, icon, show } from "./dom.js";
import { bridgeOf, cameraOf, camerasOf, connectionOf, deviceOf, entityOf, isAway, known, processorOf } from "./house.js";
import { cardForm, PARTS } from "./forms.js";
import { filmsOf, makePlayer, makeRefusal, refusalOf, STAGE_STYLE } from "./player.js";
import { drawTrace, figuresOf, remember, TRACE_STYLE } from "./trace.js";
import { clock, inLocalTime, say } from "./words.js";

const DAY_EVERY_MS = 300_000;
const TRACE_EVERY_MS = 60_000;
const HAND_EVERY_MS = 1000;

/* The address of a film is signed for a day; a player that asks on with an older one is taken for an intruder. */
const FILM_ANEW_MS = 43_200_000;
/* A film that has hardly begun is its newest picture, and one that fails is words, until it is asked for again. */
const SOON_MS = 10_000;
const SOON_AT_MOST_MS = 60_000;
/* A picture that did not come is asked for again. */
const MISSING_ANEW_MS = 10_000;

export class SkylapseCard extends Card {
  static getStubConfig(hass) {
    const [first] = camerasOf(hass);
    return first ? { device: first.device } : {};
  }

  static getConfigForm() {
    return cardForm();
  }

  connectedCallback() {
    super.connectedCallback();
    this._ticking = setInterval(() => this._tick(), HAND_EVERY_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this._ticking);
    this._stopFilm();
  }

  setConfig(config) {
    super.setConfig(typeof config?.show === "string" ? { ...config, show: [config.show] } : config);
  }

  _has(part) {
    return !this._config.show || this._config.show.includes(part);
  }

  /* Why the card cannot be drawn, null where it can. */
  _refusal(device, camera) {
    const unknown = (this._config.show || []).filter((each) => !PARTS.includes(each));
    if (unknown.length) {
      return say(this.said.unknownPart, { unknown: unknown.join(", "), parts: PARTS.join(", ") });
    }
    if (camera?.camera?.includes("/")) {
      return null;
    }
    return device || this._config.entity ? this.said.cameraGone : this.said.noCamera;
  }

  _build() {
    const has = (part, ...made) => (this._has(part) ? made : []);
    this._day = this._readings = this._device = this._asked = null;
    this._view = this._has("frame") ? "frame" : "film";
    this._stage = h("div", { class: "stage" });
    this._views = h("div", { class: "row" });
    this._title = h("h2", {});
    this._badges = h("div", { class: "row" });
    this._troubles = h("div", { role: "status", "aria-live": "polite" });
    this._buttons = h("div", { class: "row actions" });
    this._answer = h("p", { class: "quiet", role: "status", "aria-live": "polite" });
    this._dial = h("section", {});
    this._trace = h("section", { class: "trace" });
    this._frame(
      STAGE_STYLE + DIAL_STYLE + TRACE_STYLE,
      this._has("frame") || this._has("film") ? this._stage : null,
      h(
        "div",
        { class: "body" },
        h("div", { class: "row apart" }, this._title, this._views),
        has("badges", this._badges),
        this._troubles,
        has("buttons", this._buttons, this._answer),
        has("dial", this._dial),
        has("trace", this._trace),
      ),
    );
  }

  _show() {
    const hass = this._hass;
    const device = deviceOf(hass, this._config);
    const camera = device ? cameraOf(hass, device) : null;
    const refusal = this._refusal(device, camera);
    if (refusal) {
      if (this._isNew("whole", refusal)) {
        this._frame("", h("div", { class: "message" }, refusal));
        this._gone = true;
      }
      return;
    }
    if (this._gone) {
      this._gone = false;
      this._shown.clear();
      this._build();
    }
    if (this._device !== device) {
      this._device = device;
      this._camera = camera;
      this._day = this._readings = null;
    }
    const name = this._config.name || camera.name;
    if (this._isNew("title", name)) {
      show(this._title, name);
    }
    this._showViews();
    if (this._view === "frame") {
      this._showFrame(name);
    }
    this._showBadges();
    this._showTroubles();
    this._showButtons();
    this._tick();
  }

  _entity(domain, key) {
    return entityOf(this._hass, this._device, domain, key);
  }

  _state(domain, key) {
    return known(this._hass, this._entity(domain, key));
  }

  /* ------------------------------------------------------------ picture and film */

  _showViews() {
    const t = this.said;
    if (!this._has("frame") || !this._has("film") || !this._isNew("views", [this._view, this._hass.language])) {
      return;
    }
    const choice = (view, words) =>
      h(
        "button",
        { type: "button", "data-view": view, "aria-pressed": String(this._view === view), onclick: () => this._choose(view) },
        words,
      );
    const focused = this.shadowRoot.activeElement?.dataset?.view;
    show(this._views, choice("frame", t.frame), choice("film", t.today));
    if (focused) {
      this._views.querySelector(`[data-view="${focused}"]`).focus();
    }
  }

  _choose(view) {
    this._view = view;
    this._stopFilm();
    this._shown.delete("stage");
    this._show();
  }

  _showFrame(name) {
    const entity = this._entity("image", "latest_frame");
    const state = known(this._hass, entity);
    const path = state?.attributes.entity_picture;
    if (!path) {
      const isUnheard = this._hass.states[entity]?.state === "unavailable";
      if (!isUnheard || !this._picture?.src || !this._stage.contains(this._picture)) {
        this._say(isUnheard ? this.said.frameAway : this.said.noFrame);
      }
      return;
    }
    const wanted = `${path}${path.includes("?") ? "&" : "?"}state=${encodeURIComponent(state.state)}`;
    if (this._missing?.wanted === wanted && Date.now() - this._missing.at < MISSING_ANEW_MS) {
      this._say(this.said.frameMissing);
      return;
    }
    if (this._isNew("stage", ["frame", entity, name, this._hass.language])) {
      this._picture = h("img", { alt: say(this.said.frameAlt, { name }) });
      const open = () => fire(this, "hass-more-info", { entityId: entity });
      show(this._stage, h("button", { type: "button", class: "picture", onclick: open }, this._picture));
      this._loading = false;
    }
    this._wanted = wanted;
    this._loadPicture();
  }

  /* Put words where the picture would be. */
  _say(words) {
    if (this._isNew("stage", ["words", words])) {
      show(this._stage, h("p", { class: "message" }, words));
      this._picture = this._loaded = null;
    }
  }

  /* Show the newest picture as soon as it is there whole; those that come meanwhile are left out. */
  _loadPicture() {
    if (this._loading || !this._wanted || this._wanted === this._loaded?.wanted) {
      if (this._loaded && this._picture && !this._loading && this._picture.src !== this._loaded.src) {
        this._picture.src = this._loaded.src;
      }
      return;
    }
    const wanted = this._wanted;
    const next = new Image();
    const settle = () => {
      this._loading = false;
      if (this.isConnected && this._view === "frame") {
        this._loadPicture();
      }
    };
    this._loading = true;
    next.onload = () => {
      this._loaded = { wanted, src: next.src };
      settle();
    };
    next.onerror = () => {
      if (this._picture?.src) {
        this._loaded = { wanted, src: this._picture.src };
        settle();
      } else {
        this._loading = false;
        this._missing = { wanted, at: Date.now() };
        this._update();
      }
    };
    next.src = this._hass.hassUrl ? this._hass.hassUrl(wanted) : wanted;
  }

  _keepFilm(now) {
    this._film = this._state("sensor", "frames_today")?.attributes.film ?? this._film;
    if (isAway(this._hass, processorOf(this._hass))) {
      this._asked = null;
      this._say(this.said.filmAway);
    } else if (this._isNew("stage", ["film", this._device, this._film, this._hass.language]) || now - this._playedAt > FILM_ANEW_MS) {
      this._playFilm();
    }
  }

  _renew() {
    this._playedAt = 0;
  }

  async _playFilm(isAsked = false) {
    const t = this.said;
    const asked = (this._asked = Symbol("film"));
    this._playedAt = Date.now();
    const films = filmsOf(this._camera, this._state("sensor", "last_film"), t);
    const shown = this._stage.querySelector(":scope > img");
    if (!shown && (isAsked || !this._stage.querySelector(".retry"))) {
      show(this._stage, h("p", { class: "message" }, t.loading));
    }
    try {
      const player = await makePlayer(this._hass, films, shown);
      if (this._asked !== asked) {
        return;
      }
      if (player !== shown) {
        this._pause = 0;
        show(this._stage, player);
      }
      if (player.localName === "img") {
        this._playSoon();
      }
    } catch (error) {
      await this._refuseFilm(asked, error);
    }
  }

  async _refuseFilm(asked, failure) {
    const t = this.said;
    const words = await refusalOf(this._hass, t, failure);
    if (this._asked !== asked) {
      return;
    }
    this._playSoon();
    if (this._stage.querySelector(".message > p")?.textContent !== words) {
      show(this._stage, makeRefusal(words, t.retry, () => this._playFilm(true)));
    }
  }

  /* Ask for the film again soon, each time later. */
  _playSoon() {
    this._pause = Math.min(2 * this._pause || SOON_MS, SOON_AT_MOST_MS);
    this._playedAt -= FILM_ANEW_MS - this._pause;
  }

  _stopFilm() {
    this._asked = null;
    if (this._view === "film" || this._stage?.querySelector("ha-hls-player, video")) {
      this._stage?.replaceChildren();
      this._shown.delete("stage");
    }
  }

  /* ------------------------------------------------------------ what it is at */

  _showBadges() {
    const t = this.said;
    const value = (domain, key) => this._state(domain, key)?.state;
    const facts = {
      capturing: value("binary_sensor", "capturing"),
      enabled: value("switch", "capture_enabled"),
      mode: value("select", "mode"),
      frames: value("sensor", "frames_today"),
      deployment: value("sensor", "deployment"),
      next: value("sensor", "next_capture"),
      language: this._hass.language,
    };
    if (!this._isNew("badges", facts)) {
      return;
    }
    const chip = (name, words, isOn) => h("span", { class: isOn ? "chip on" : "chip" }, icon(name), words);
    show(
      this._badges,
      facts.enabled === "off" ? chip("mdi:camera-off", t.off) : null,
      facts.capturing === "on" ? chip("mdi:camera-iris", t.capturing, true) : null,
      facts.capturing === "off" && facts.enabled !== "off" ? chip("mdi:sleep", t.resting) : null,
      facts.mode === "live" ? chip("mdi:eye", t.live, true) : null,
      facts.frames ? chip("mdi:image-multiple", say(Number(facts.frames) === 1 ? t.oneFrame : t.frames, { count: facts.frames })) : null,
      facts.next ? chip("mdi:timer-outline", say(t.next, { time: clock(this._hass, facts.next) })) : null,
      facts.deployment === "pending" ? chip("mdi:progress-upload", t.pending) : null,
    );
  }

  _showTroubles() {
    const told = this._troublesNow();
    if (this._isNew("troubles", told)) {
      const line = (words) => h("div", { class: "trouble" }, icon("mdi:alert"), h("span", {}, words));
      show(this._troubles, told.map(line));
      this._troubles.style.display = told.length ? "grid" : "none";
      this._troubles.style.gap = "8px";
    }
  }

  _troublesNow() {
    const t = this.said;
    const hass = this._hass;
    const bridge = bridgeOf(hass, this._device);
    if (bridge && connectionOf(hass, bridge) === "unavailable") {
      return [t.unheard];
    }
    const isProcessorAway = isAway(hass, processorOf(hass));
    const told = [...(isAway(hass, bridge) ? [t.offline] : []), ...(isProcessorAway ? [t.processorAway] : [])];
    const look = (device, key, words, plain) => {
      const state = device && known(hass, entityOf(hass, device, "binary_sensor", key));
      if (state?.state === "on") {
        const reason = inLocalTime(hass, state.attributes.reason);
        told.push(reason || !plain ? say(words, { reason: reason || t.unnamed }) : plain);
      }
    };
    look(this._device, "problem", t.problem);
    look(this._device, "settings", t.settings);
    look(this._device, "lens_obstructed", t.lens, t.lensPlain);
    if (!isProcessorAway) {
      look(bridge, "delivery", t.delivery);
    }
    const noPicture = this._state("binary_sensor", "capturing")?.attributes.reason;
    if (noPicture) {
      told.push(say(t.noPicture, { reason: inLocalTime(hass, noPicture) }));
    }
    const dropped = Number(this._state("sensor", "frames_dropped")?.state);
    if (dropped > 0) {
      told.push(dropped === 1 ? t.oneDropped : say(t.dropped, { count: dropped }));
    }
    return told;
  }

  /* ------------------------------------------------------------ what to do */

  _showButtons() {
    const t = this.said;
    const facts = [
      ["capture_now", t.captureNow, "mdi:camera"],
      ["build_film_now", t.filmNow, "mdi:movie-open-plus"],
    ].map(([key, words, picture]) => {
      const entity = this._entity("button", key);
      return { entity, words, picture, there: entity !== null && this._hass.states[entity]?.state !== "unavailable" };
    });
    if (!this._isNew("buttons", facts)) {
      return;
    }
    const button = ({ entity, words, picture, there }) =>
      h("button", { type: "button", disabled: !there, onclick: () => this._press(entity, words) }, icon(picture), words);
    show(this._buttons, facts.filter((each) => each.entity).map(button));
  }

  async _press(entity, what) {
    const t = this.said;
    show(this._answer, t.loading);
    try {
      await this._hass.callService("button", "press", {}, { entity_id: entity });
      show(this._answer, say(t.done, { what }));
    } catch (error) {
      show(this._answer, say(t.failed, { what, reason: await reasonOf(this._hass, error) }));
    }
  }

  /* ------------------------------------------------------------ dial and trace */

  _tick() {
    if (!this._hass || !this._device || this._gone) {
      return;
    }
    const now = Date.now();
    if (this._view === "film" && this._has("film")) {
      this._keepFilm(now);
    }
    if (this._has("dial")) {
      this._keepDay(now);
    }
    if (this._has("trace")) {
      this._keepTrace(now);
    }
  }

  async _keepDay(now) {
    const day = this._day;
    const at = day ? Date.parse(day.now) + (now - day.heardAt) * day.rate : 0;
    const isStale = !day || now - day.heardAt > DAY_EVERY_MS || at >= Date.parse(day.ends_at);
    const deployed = this._hass.states[this._entity("sensor", "deployment")]?.last_changed;
    if ((isStale || day.deployed !== deployed) && !this._askingDay) {
      this._askingDay = true;
      await this._askDay(deployed);
      this._askingDay = false;
    }
    if (this._day?.failure) {
      if (this._isNew("dial", this._day.failure)) {
        show(this._dial, h("h3", {}, this.said.dial), h("p", { class: "quiet" }, say(this.said.cannotLoad, { reason: this._day.failure })));
      }
    } else if (day && !isStale && this._isNew("dial", [Math.round(at / (30_000 * Math.max(day.rate / 30, 1))), day, this._hass.language])) {
      show(this._dial, drawDial(this._hass, this.said, day, at));
    }
  }

  async _askDay(deployed) {
    const camera = this._camera.camera;
    const common = { rate: 1, deployed };
    let day;
    try {
      day = { ...common, ...(await this._hass.callWS({ type: "skylapse/day", camera })) };
    } catch (error) {
      day = { ...common, failure: await reasonOf(this._hass, error), now: new Date().toISOString(), ends_at: "9999-01-01" };
    }
    if (this._camera.camera === camera) {
      this._day = { ...day, heardAt: Date.now() };
    }
  }

  async _keepTrace(now) {
    const figures = figuresOf(this._hass, this._device);
    const chosen = figures.find((each) => each.entity === this._figure) || figures[0];
    if (!chosen) {
      if (this._isNew("trace", [])) {
        show(this._trace);
      }
      return;
    }
    const isStale = !this._readings || this._readings.entity !== chosen.entity || now - this._readings.heardAt > TRACE_EVERY_MS;
    if (isStale && !this._askingTrace) {
      this._askingTrace = true;
      const midnight = new Date(now);
      midnight.setHours(0, 0, 0, 0);
      const values = await remember(this._hass, chosen.entity, midnight).catch(() => []);
      this._readings = { entity: chosen.entity, heardAt: Date.now(), values };
      this._askingTrace = false;
    }
    const readings = this._readings?.entity === chosen.entity ? this._readings.values : [];
    const latest = known(this._hass, chosen.entity);
    const whole = [...readings];
    if (latest && Number.isFinite(Number(latest.state))) {
      whole.push([Math.max(Date.parse(latest.last_updated), whole.length ? whole[whole.length - 1][0] : 0), Number(latest.state)]);
    }
    if (this._isNew("trace", [chosen.entity, figures, whole.length, whole[whole.length - 1], this._hass.language])) {
      this._drawTrace(figures, chosen, whole);
    }
  }

  _drawTrace(figures, chosen, readings) {
    const t = this.said;
    const hadFocus = this.shadowRoot.activeElement?.localName === "select";
    const option = (each) => h("option", { value: each.entity, selected: each === chosen }, each.name);
    const choose = h("select", { "aria-label": t.trace, onchange: (event) => this._chooseFigure(event.target.value) }, figures.map(option));
    const head = h("div", { class: "head" }, h("h3", {}, t.trace), figures.length > 1 ? choose : h("span", { class: "quiet" }, chosen.name));
    show(this._trace, head, drawTrace(this._hass, t, chosen, readings));
    if (hadFocus) {
      choose.focus();
    }
  }

  _chooseFigure(entity) {
    this._figure = entity;
    this._tick();
  }
}

