/* What both cards share: their frame, their style, and how they take in what Home Assistant hands them. */

import { h } from "./dom.js";
import { words } from "./words.js";

export const STYLE = `
  :host { display: block; }
  ha-card { display: block; container: skylapse / inline-size; overflow: hidden; height: 100%; box-sizing: border-box; color: var(--primary-text-color); font-size: 14px; line-height: 1.4; }
  h2, h3 { margin: 0; font-weight: 500; line-height: 1.3; }
  h2 { font-size: 18px; overflow-wrap: anywhere; }
  h3 { font-size: 14px; }
  p { margin: 0; }
  .body { padding: 12px 16px 16px; display: grid; gap: 16px; }
  .body > *, .row > * { min-width: 0; }
  .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
  .apart { justify-content: space-between; }
  .actions button { flex: 1 1 auto; }
  .quiet { color: var(--secondary-text-color); }
  .chip { display: inline-flex; align-items: center; gap: 4px; padding: 2px 10px; border-radius: 12px; border: 1px solid var(--divider-color, #ccc); font-size: 12px; }
  .chip ha-icon { --mdc-icon-size: 14px; }
  .chip.on { border-color: var(--success-color, #43a047); }
  button, select { font: inherit; color: inherit; min-height: 40px; border-radius: 8px; border: 1px solid var(--outline-color, var(--secondary-text-color, #727272)); background: var(--ha-card-background, var(--card-background-color, #fff)); padding: 4px 12px; box-sizing: border-box; max-width: 100%; }
  button { cursor: pointer; display: inline-flex; align-items: center; justify-content: center; gap: 6px; }
  button ha-icon { --mdc-icon-size: 18px; }
  button[aria-pressed="true"] { border-color: var(--primary-color, #0288d1); box-shadow: inset 0 0 0 1px var(--primary-color, #0288d1); font-weight: 500; }
  button:disabled { cursor: default; opacity: 0.5; }
  button:hover:not(:disabled), select:hover { background: var(--secondary-background-color, #f0f0f0); }
  :focus-visible { outline: 3px solid var(--primary-color, #0288d1); outline-offset: 2px; }
  label { display: grid; gap: 2px; font-size: 12px; color: var(--secondary-text-color); }
  label select { font-size: 14px; color: var(--primary-text-color); }
  .trouble { display: flex; gap: 8px; padding: 8px 12px; border-radius: 8px; border: 1px solid var(--warning-color, #ffa600); overflow-wrap: anywhere; }
  .trouble ha-icon { color: var(--warning-color, #ffa600); flex: none; }
  .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  .message { padding: 24px 16px; text-align: center; color: var(--secondary-text-color); }
`;

/* A card of Skylapse: skeleton once, parts anew only where what they show has changed. */
export class Card extends HTMLElement {
  constructor() {
    super();
    this.attachShadow({ mode: "open" });
    this._shown = new Map();
    this._whenBack = () => this._renew();
  }

  setConfig(config) {
    if (!config || typeof config !== "object") {
      throw new Error("A card needs a configuration");
    }
    this._config = config;
    this._built = false;
    this._update();
  }

  set hass(hass) {
    this._hass = hass;
    this._update();
  }

  get hass() {
    return this._hass;
  }

  get said() {
    return words(this._hass);
  }

  connectedCallback() {
    this._update();
  }

  disconnectedCallback() {
    this._listen(null);
  }

  getCardSize() {
    return 8;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6, rows: "auto" };
  }

  _update() {
    if (!this._config || !this._hass || !this.isConnected) {
      return;
    }
    this._listen(this._hass.connection);
    if (!this._built) {
      this._built = true;
      this._shown.clear();
      this._build();
    }
    this._show();
  }

  /* Home Assistant that was started again takes no address that it had signed before. */
  _listen(connection) {
    if (this._connection !== connection) {
      this._connection?.removeEventListener("ready", this._whenBack);
      connection?.addEventListener("ready", this._whenBack);
      this._connection = connection;
    }
  }

  /* Put the card's frame and style into the page. */
  _frame(style, ...children) {
    const sheet = h("style", {});
    sheet.textContent = STYLE + style;
    this.shadowRoot.replaceChildren(sheet, h("ha-card", {}, ...children));
  }

  /* Whether what a part shows differs from what it showed. */
  _isNew(part, what) {
    const now = JSON.stringify(what);
    if (this._shown.get(part) === now) {
      return false;
    }
    this._shown.set(part, now);
    return true;
  }
}

/* What to say of an error that Home Assistant answered with: in the reader's language where it has a key to words. */
export async function reasonOf(hass, error) {
  const plain = (error && (error.message || error.body?.message)) || String(error);
  const { translation_key: key, translation_domain: domain, translation_placeholders: places } = error || {};
  if (!key || !domain) {
    return plain;
  }
  try {
    const localize = await hass.loadBackendTranslation("exceptions", domain);
    return localize(`component.${domain}.exceptions.${key}.message`, places || {}) || plain;
  } catch {
    return plain;
  }
}
