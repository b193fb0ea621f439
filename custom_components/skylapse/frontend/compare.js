/* custom:skylapse-compare-card: the arms of an A/B test beside each other on the same light, and their scores. */

import { Card, reasonOf } from "./base.js";
import { h, show } from "./dom.js";
import { compareForm } from "./forms.js";
import { cameraOf, camerasOf, deviceOf, entityOf } from "./house.js";
import { makeSlider, SLIDER_STYLE } from "./slider.js";
import { clock, date, figure, say } from "./words.js";

const AGAIN_MS = 60_000;
const SOON_MS = 5000;

/* Home Assistant signs an address for a day; who asks with an older one is taken for an intruder. */
const SIGNED_MS = 43_200_000;

/* What the arms are scored by: figure, its words, digits, factor, unit. */
const ROWS = [
  ["score", "score", 0, 1, ""],
  ["frames", "framesCount", 0, 1, ""],
  ["exposure_error_ev", "exposureError", 2, 1, " EV"],
  ["clipped_low", "clippedLow", 1, 100, " %"],
  ["clipped_high", "clippedHigh", 1, 100, " %"],
  ["noise", "noise", 2, 100, " %"],
  ["sharpness", "sharpness", 3, 1, ""],
  ["colour_drift", "colourDrift", 3, 1, " EV"],
  ["flicker_mev", "flicker", 1, 1, " mEV"],
];

const COMPARE_STYLE = `
  .choices { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(200px, 100%), 1fr)); gap: 8px; align-items: end; }
  .choices label { min-width: 0; grid-template-columns: minmax(0, 1fr); }
  .pairs { display: grid; grid-template-columns: 44px 1fr 44px; gap: 8px; align-items: center; text-align: center; }
  .pairs button { padding: 0; width: 44px; min-height: 44px; }
  .scroll { overflow-x: auto; }
  table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
  caption { text-align: start; font-weight: 500; padding-bottom: 4px; }
  th, td { padding: 4px 8px 4px 0; text-align: end; border-top: 1px solid var(--divider-color, #ccc); font-weight: 400; }
  thead th, thead td { font-weight: 500; border-top: 0; }
  th:first-child { text-align: start; color: var(--secondary-text-color); }
  @container skylapse (max-width: 420px) { table { font-size: 12px; } th, td { padding-inline-end: 4px; } }
`;

/* The first of these tests that is there. */
function wantedOf(tests, ...ids) {
  return ids.map((id) => id && tests.find((test) => test.id === id)).find((test) => test);
}

/* The latest test that has pictures, else the latest. */
function latestOf(tests) {
  return tests.find((test) => test.pairs.length) || tests[0] || null;
}

export class SkylapseCompareCard extends Card {
  static getStubConfig() {
    return {};
  }

  static getConfigForm() {
    return compareForm();
  }

  connectedCallback() {
    super.connectedCallback();
    this._ticking = setInterval(() => this._keepTests(), SOON_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this._ticking);
    this._renew();
  }

  _renew() {
    this._urls?.clear();
  }

  _build() {
    this._heard = this._heardAt = this._failure = this._chosen = null;
    this._urls = new Map();
    this._slider = makeSlider();
    this._title = h("h2", {});
    this._name = h("p", { class: "quiet" });
    this._news = h("p", { class: "quiet", role: "status", "aria-live": "polite" });
    this._choices = h("div", { class: "choices" });
    this._pairs = h("div", { class: "pairs" });
    this._table = h("div", { class: "scroll" });
    this._slider.element.hidden = true;
    this._frame(
      SLIDER_STYLE + COMPARE_STYLE + ".slider[hidden] { display: none; }",
      this._slider.element,
      h("div", { class: "body" }, h("div", {}, this._title, this._name), this._news, this._pairs, this._choices, this._table),
    );
  }

  _show() {
    const device = this._device;
    const camera = device ? cameraOf(this._hass, device) : null;
    this._camera = camera?.camera?.includes("/") ? camera.camera : null;
    this._deployment = this._camera ? entityOf(this._hass, device, "sensor", "deployment") : null;
    const isMeant = camera && (this._heard || !this._isFree);
    const title = this._config.name || (isMeant ? `A/B · ${camera.name}` : this.said.compareName);
    if (this._isNew("title", title)) {
      show(this._title, title);
    }
    this._keepTests();
    this._draw();
  }

  get _isFree() {
    return !this._config.device && !this._config.entity;
  }

  /* The camera that is configured; of any, the one whose test is wanted, else the one with the latest test. */
  get _device() {
    if (!this._isFree) {
      return deviceOf(this._hass, this._config);
    }
    const cameras = camerasOf(this._hass);
    const tests = (this._heard || []).filter((test) => cameras.some((each) => each.camera === test.camera));
    const test = wantedOf(tests, this._chosen, this._config.test) || latestOf(tests);
    return (cameras.find((each) => each.camera === test?.camera) || cameras[0])?.device || null;
  }

  get _tests() {
    return this._heard && this._heard.filter((test) => test.camera === this._camera);
  }

  /* Ask for the tests when there may be news: one began or ended, or its comparison is waited for. */
  async _keepTests() {
    if (!this._hass || !this._built || this._asking || !this._camera) {
      return;
    }
    const running = JSON.stringify(this._hass.states[this._deployment]?.attributes.ab_tests);
    const isWaiting = (this._tests || []).some((test) => test.state !== "compared");
    const age = Date.now() - (this._heardAt || 0);
    if (this._heardAt && this._running === running && age < (isWaiting ? SOON_MS - 100 : AGAIN_MS)) {
      return;
    }
    this._asking = true;
    try {
      const only = this._isFree ? {} : { camera: this._camera };
      const answer = await this._hass.callWS({ type: "skylapse/ab_tests", language: this._hass.language, ...only });
      this._heard = answer.tests;
      this._failure = null;
    } catch (error) {
      this._failure = await reasonOf(this._hass, error);
    }
    this._heardAt = Date.now();
    this._running = running;
    this._asking = false;
    this._show();
  }

  get _test() {
    const tests = this._tests || [];
    const found = wantedOf(tests, this._chosen, this._config.test);
    return found || (this._config.test ? null : latestOf(tests));
  }

  _draw() {
    const test = this._test;
    const pairs = test ? test.pairs.length : 0;
    if (this._drawnOf !== test?.id || this._drawnPairs !== pairs) {
      this._drawnOf = test?.id;
      this._drawnPairs = pairs;
      this._pair = Math.floor(pairs / 2);
      this._sides = [0, 1];
    }
    const state = [this._tests, this._failure, test?.id, this._pair, this._sides, this._hass.language, this._camera];
    if (!this._isNew("all", state)) {
      return;
    }
    show(this._name, test ? this._called(test) : "");
    show(this._news, this._newsOf(test));
    this._news.hidden = !this._news.textContent;
    this._drawChoices(test);
    this._drawPairs(test);
    this._drawTable(test);
    this._drawPictures(test);
  }

  _newsOf(test) {
    const t = this.said;
    if (!this._camera) {
      return this._config.device || this._config.entity ? t.cameraGone : t.noCamera;
    }
    if (this._failure) {
      return say(t.cannotLoad, { reason: this._failure });
    }
    if (!this._tests) {
      return t.loading;
    }
    if (!test) {
      return this._config.test ? say(t.noSuchTest, { test: this._config.test }) : t.noTests;
    }
    if (test.state === "running") {
      return say(t.running, { time: clock(this._hass, test.ends_at) });
    }
    if (test.state === "ended") {
      return test.failure ? say(t.notCompared, { reason: test.failure }) : t.ended;
    }
    if (!test.pairs.length) {
      return t.noPairs;
    }
    return test.winner ? "" : t.noWinner;
  }

  _drawChoices(test) {
    const t = this.said;
    const hadFocus = this.shadowRoot.activeElement?.dataset?.choice;
    const choice = (name, words, options, value, choose) =>
      h(
        "label",
        {},
        words,
        h(
          "select",
          { "data-choice": name, onchange: (event) => choose(event.target.value) },
          options.map(([key, label]) => h("option", { value: key, selected: String(key) === String(value) }, label)),
        ),
      );
    const tests = [...(test ? [] : [["", "–"]]), ...(this._tests || []).map((each) => [each.id, this._called(each)])];
    const arms = test ? test.arms.map((arm, index) => [index, this._armName(test, index)]) : [];
    const side = (index, words) =>
      choice(`side${index}`, words, arms, this._sides[index], (value) => {
        this._sides = this._sides.with(index, Number(value));
        this._draw();
      });
    show(
      this._choices,
      tests.length > 1 ? choice("test", t.test, tests, test?.id || "", (value) => this._chooseTest(value)) : null,
      arms.length > 2 ? side(0, t.left) : null,
      arms.length > 2 ? side(1, t.right) : null,
    );
    this._choices.hidden = !this._choices.children.length;
    if (hadFocus) {
      this._choices.querySelector(`[data-choice="${hadFocus}"]`)?.focus();
    }
  }

  _called(test) {
    return `${test.name} · ${date(this._hass, test.started_at)}`;
  }

  _chooseTest(id) {
    this._chosen = id;
    this._draw();
  }

  _drawPairs(test) {
    const t = this.said;
    const count = test ? test.pairs.length : 0;
    this._pairs.hidden = !count;
    if (!count) {
      show(this._pairs);
      return;
    }
    const hadFocus = this.shadowRoot.activeElement?.dataset?.step;
    const step = (by, words, sign) =>
      h(
        "button",
        {
          type: "button",
          "data-step": by,
          "aria-label": words,
          disabled: this._pair + by < 0 || this._pair + by >= count,
          onclick: () => this._choosePair(this._pair + by),
        },
        sign,
      );
    const at = test.pairs[this._pair][this._sides[0]].captured_at;
    show(
      this._pairs,
      step(-1, t.earlier, "‹"),
      h("span", { "aria-live": "polite" }, `${t.pair} ${this._pair + 1} / ${count} · ${clock(this._hass, at)}`),
      step(1, t.later, "›"),
    );
    const again = hadFocus && this._pairs.querySelector(`[data-step="${hadFocus}"]`);
    if (again) {
      (again.disabled ? this._pairs.querySelector("button:not(:disabled)") : again)?.focus();
    }
  }

  _choosePair(index) {
    this._pair = index;
    this._draw();
  }

  /* What an arm is called: its profile, and what was changed of it. */
  _armName(test, index) {
    return `${String.fromCharCode(65 + index)} · ${test.arms[index].name}`;
  }

  _drawTable(test) {
    const t = this.said;
    const scored = test ? test.arms.filter((arm) => arm.score) : [];
    this._table.hidden = !scored.length;
    if (!scored.length) {
      show(this._table);
      return;
    }
    const cell = (arm, [key, , digits, factor, unit]) => {
      const value = arm.score ? arm.score[key] : null;
      return h("td", {}, value === null || value === undefined ? "–" : `${figure(this._hass, value * factor, digits)}${unit}`);
    };
    const head = test.arms.map((arm, index) =>
      h("th", { scope: "col" }, this._armName(test, index), arm.test_id === test.winner ? ` ★ ${t.winner}` : ""),
    );
    const rows = ROWS.map((row) => h("tr", {}, h("th", { scope: "row" }, t[row[1]]), test.arms.map((arm) => cell(arm, row))));
    show(
      this._table,
      h("table", {}, h("caption", {}, t.scores), h("thead", {}, h("tr", {}, h("td", {}), head)), h("tbody", {}, rows)),
    );
  }

  async _drawPictures(test) {
    const pair = test?.pairs[this._pair];
    this._slider.element.hidden = !pair;
    if (!pair) {
      return;
    }
    const shown = (this._pictured = this._sides.map((index) => pair[index]));
    const picture = (frame, index, src) => ({
      src,
      name: this._armName(test, this._sides[index]),
      alt: say(this.said.pictureAlt, { arm: this._armName(test, this._sides[index]), time: clock(this._hass, frame.captured_at) }),
    });
    try {
      const urls = await Promise.all(shown.map((frame) => this._url(frame.media_content_id)));
      if (this._pictured === shown) {
        const [one, other] = shown.map((frame, index) => picture(frame, index, urls[index]));
        this._slider.show(one, other, this.said);
      }
    } catch (error) {
      show(this._news, say(this.said.cannotLoad, { reason: await reasonOf(this._hass, error) }));
      this._news.hidden = false;
    }
  }

  /* Where a frame is, signed by Home Assistant for a while. */
  async _url(mediaId) {
    const known = this._urls.get(mediaId);
    if (known && Date.now() - known.at < SIGNED_MS) {
      return known.url;
    }
    const answer = await this._hass.callWS({ type: "media_source/resolve_media", media_content_id: mediaId });
    const url = this._hass.hassUrl ? this._hass.hassUrl(answer.url) : answer.url;
    this._urls.set(mediaId, { url, at: Date.now() });
    return url;
  }
}
