// What the cards have in common.

import { Feed } from "./feed.js";
import { DOMAIN, VERSION, loadTexts, text } from "./texts.js";

/** Makes an element, with a class after a dot, and attributes first. Texts are never HTML. */
export function el(what, ...children) {
  const [tag, name] = what.split(".");
  const node = document.createElement(tag);
  const props = children[0]?.constructor === Object ? children.shift() : {};
  for (const [key, value] of Object.entries({ class: name, ...props })) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter(Boolean));
  return node;
}

export const icon = (name, props) => el("ha-icon", { icon: `mdi:${name}`, ...props });

/** Makes one of Home Assistant's buttons. */
export const button = (label, onclick, props) => el("ha-button", { appearance: "filled", onclick, ...props }, label);

/** Returns a link that may be followed. */
export const safe = (url) => (/^(https?:\/\/|lightning:|bitcoin:)/i.test(url) ? url : undefined);

/** Makes the code of an invoice, or what there is in place of it. */
export const code = (image, alt, words) => el("div.code", image ? el("img", { src: image, alt }) : words || el("ha-spinner"));

/** Describes the form in which a card is set up. */
export function form(selectors) {
  const said = (part) => (field, localize) => localize(`component.${DOMAIN}.common.card_${part}_${field.name}`);
  const schema = Object.entries(selectors).map(([name, selector]) => ({ name, selector }));
  return { schema, computeLabel: said("field"), computeHelper: said("help") };
}

const STYLE = `
* { box-sizing: border-box; }
ha-card { height: 100%; overflow: hidden; display: flex; flex-direction: column; overflow-wrap: anywhere; }
h2 { margin: 0; padding: 16px 16px 0; font-size: var(--ha-font-size-2xl); font-weight: 400; line-height: 1.3; }
ha-alert { margin: 12px 12px 0; }
ha-button { flex: none; max-width: 100%; white-space: nowrap; overflow-wrap: normal; }
button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer; touch-action: manipulation; }
:focus-visible { outline: 2px solid var(--primary-color); outline-offset: -2px; }
.muted { color: var(--secondary-text-color); }
.row { display: flex; flex-wrap: wrap; gap: 8px; justify-content: center; }
.center { flex: 1; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 12px; padding: 16px; text-align: center; }
.code { width: min(100%, 60vh); aspect-ratio: 1; padding: 8px; border-radius: 12px; background: #fff; color: #000; display: grid; place-items: center; text-align: center; }
.code img { width: 100%; image-rendering: pixelated; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

/** A card that shows what a feed brings. */
export class Card extends HTMLElement {
  #hass;
  #content = el("ha-card");
  #status = el("div.hidden", { role: "status" });
  #frame;
  #rows;
  #drawn;
  #timer;
  /** The entities that what is shown depends on. */
  needed = [];

  /** How often it ticks is in milliseconds. */
  constructor(style, every) {
    super();
    this.every = every;
    this.attachShadow({ mode: "open" }).append(el("style", STYLE + style), this.#content, this.#status);
  }

  getCardSize() {
    return 9;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6 };
  }

  setConfig(config) {
    this.config = config;
    this.connectedCallback();
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
    if (!this.isConnected || !this.#hass || !this.config) return;
    this.disconnectedCallback();
    this.begin?.();
    this.#timer = setInterval(() => this.tick(), this.every);
    this.feed = new Feed(this.#hass.connection, (keys) => this.update(keys));
    this.feed.open(this.wanted());
    this.update();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    this.feed?.close();
    this.feed = undefined;
  }

  /** What the feed is asked for: one account or all. */
  wanted() {
    const { account } = this.config;
    return account ? { config_entry_id: account } : {};
  }

  /** Draws once for each frame: the rows that changed, or all of it. */
  update(keys) {
    if (!keys) this.#rows = undefined;
    else if (!this.#frame) this.#rows = new Set(keys);
    else keys.forEach((key) => this.#rows?.add(key));
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      // Without texts there is nothing to say yet.
      if (this.feed && this.text("asking")) this.draw(this.#rows);
    });
  }

  /** Whether there is something else to draw than the last time. */
  isNews(...what) {
    const { accounts, version } = this.feed;
    const before = this.#drawn;
    this.#drawn = JSON.stringify([what, accounts, version, this.config, this.text("next"), this.#hass.locale]);
    return this.#drawn !== before;
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
      this.config.title && el("h2", this.config.title),
      isOld && this.alert(this.text("newer"), "info", reload()),
    ];
    this.#content.replaceChildren(...[...head, ...nodes].flat().filter(Boolean));
    const next = hadFocus && this.$("[autofocus]");
    // One of Home Assistant's elements can have it only when it is drawn.
    if (next) next.updateComplete?.then(() => next.focus());
  }

  $(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  alert(words, type = "error", ...more) {
    return el("ha-alert", { "alert-type": type }, words, ...more);
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
  scan({ account, id }) {
    return this.#hass.callWS({ type: `${DOMAIN}/qr_code`, config_entry_id: account, invoice_id: id });
  }
}
