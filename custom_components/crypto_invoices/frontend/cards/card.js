// What the cards have in common.

import { Feed } from "./feed.js";
import { DOMAIN, VERSION, loadTexts, text } from "./texts.js";

/** Makes an element. Texts are never HTML. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter(Boolean));
  return node;
}

export const icon = (name, props) => el("ha-icon", { icon: `mdi:${name}`, ...props });

/** Makes one of Home Assistant's buttons. */
export const button = (label, onclick, props) =>
  el("ha-button", { appearance: "filled", onclick, ...props }, label);

/** Returns a link that may be followed. */
export const safe = (url) => (/^(https?:\/\/|lightning:|bitcoin:)/i.test(url) ? url : undefined);

/** Makes the code of an invoice, or what there is in place of it. */
export const code = (image, label, words) =>
  el("div", { class: "code" }, image ? el("img", { src: image, alt: label }) : (words ?? el("ha-spinner")));

const STYLE = `
* { box-sizing: border-box; }
ha-card { height: 100%; overflow: hidden; display: flex; flex-direction: column; overflow-wrap: anywhere; }
h2 { margin: 0; padding: 16px 16px 0; font-size: var(--ha-font-size-2xl); font-weight: 400; line-height: 1.3; }
ha-alert { margin: 12px 12px 0; }
ha-button { flex: none; max-width: 100%; white-space: nowrap; overflow-wrap: normal; }
button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer; touch-action: manipulation; }
:focus-visible { outline: 2px solid var(--primary-color); outline-offset: -2px; }
.muted { color: var(--secondary-text-color); }
.center { flex: 1; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 12px; padding: 16px; text-align: center; }
.code { width: min(100%, 60vh); aspect-ratio: 1; padding: 8px; border-radius: 12px; background: #fff; color: #000; display: grid; place-items: center; text-align: center; }
.code img { width: 100%; image-rendering: pixelated; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

/** A card that shows what a feed brings. */
export class Card extends HTMLElement {
  /** @type {import("./texts.js").Hass} */
  #hass;
  #content = el("ha-card");
  #status = el("div", { class: "hidden", role: "status" });
  #frame;
  #rows;
  /** The entities that what is shown depends on. */
  needed = [];

  constructor(style) {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.append(el("style", {}, STYLE + style), this.#content, this.#status);
  }

  get hass() {
    return this.#hass;
  }

  set hass(hass) {
    const old = this.#hass;
    this.#hass = hass;
    if (old?.language !== hass.language) loadTexts(hass).catch(() => {});
    if (old?.connection !== hass.connection) this.connectedCallback();
    const isOther = (key) => old?.[key] !== hass[key];
    const hasChanged = (id) => old?.states[id] !== hass.states[id];
    if (["localize", "locale", "connected"].some(isOther) || this.needed.some(hasChanged)) this.update();
  }

  connectedCallback() {
    if (!this.isConnected || !this.#hass) return;
    this.feed?.close();
    this.feed = new Feed(this.#hass.connection, (keys) => this.update(keys));
    this.feed.open(this.wanted());
    this.update();
  }

  disconnectedCallback() {
    this.feed?.close();
    this.feed = undefined;
  }

  /** Draws once for each frame: the rows that changed, or all of it. */
  update(keys) {
    if (!keys) this.#rows = undefined;
    else if (!this.#frame) this.#rows = new Set(keys);
    else keys.forEach((key) => this.#rows?.add(key));
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      // Without texts there is nothing to say yet.
      if (this.feed && this.config && this.text("asking")) this.draw(this.#rows);
    });
  }

  text(key, gaps) {
    return text(this.#hass, key, gaps);
  }

  /** Replaces what is shown; whoever uses the keyboard goes on where the new view begins. */
  show(...nodes) {
    const hadFocus = this.shadowRoot.activeElement;
    const { version } = this.feed;
    const isOld = version && version !== VERSION;
    const reload = () => button(this.text("reload"), () => location.reload(), { slot: "action", size: "s" });
    const head = [
      this.config.title && el("h2", {}, this.config.title),
      isOld && this.alert(this.text("newer"), { "alert-type": "info" }, reload()),
    ];
    this.#content.replaceChildren(...[...head, ...nodes].filter(Boolean));
    const next = hadFocus && this.$("[autofocus]");
    // One of Home Assistant's elements can have it only when it is drawn.
    if (next) next.updateComplete?.then(() => next.focus());
  }

  $(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  alert(words, props, ...more) {
    return el("ha-alert", { "alert-type": "error", ...props }, words, ...more);
  }

  /** Tells a screen reader. */
  announce(words) {
    if (this.#status.textContent !== words) this.#status.textContent = words;
  }

  /** Runs one of our actions. Rejects with what Home Assistant says is wrong. */
  act(action, data) {
    return this.#hass.callService(DOMAIN, action, data, undefined, false, true);
  }

  /** Asks for what there is to scan of an invoice. */
  scan(row) {
    const wanted = { config_entry_id: row.account, invoice_id: row.id };
    return this.#hass.callWS({ type: `${DOMAIN}/qr_code`, ...wanted });
  }
}
