// A till: asks for an amount, shows a code, and says when it is paid.

import { Card, button, code, el, form, icon, safe } from "./card.js";
import { DOMAIN, add, clock, decimals, errorText, money, point, problemText, statusText } from "./texts.js";

// In milliseconds: when it is called slow, and until when an invoice is waited for.
const SLOW = 6e3;
const PATIENCE = 9e4;
// What a status means here; anything else is over.
const STATES = { pending: "pay", partially_paid: "pay", processing: "seen", paid: "paid", overpaid: "paid" };
const OVER = ["paid", "over", "gone"];
// What goes on by itself.
const WAITING = ["loading", "asking", "offline", "no_account", "seen"];
const ICONS = {
  offline: "lan-disconnect",
  no_account: "account-off-outline",
  failed: "help-circle-outline",
  gone: "receipt-text-remove-outline",
  unavailable: "cloud-off-outline",
  not_ready: "power-plug-off-outline",
  late: "timer-sand-complete",
  over: "close-circle-outline",
  seen: "progress-clock",
  paid: "check-circle",
};
const NOT_READY = ["unavailable", "unknown", undefined];

const STYLE = `
:host { container-type: inline-size; }
ha-card { min-height: 560px; }
.said { font-size: var(--ha-font-size-l); }
.pad { flex: 1; display: flex; flex-direction: column; gap: 12px; padding: 16px; }
output, .amount { font-size: clamp(28px, 11cqi, 56px); line-height: 1.2; text-align: center; font-variant-numeric: tabular-nums; }
.keys { flex: 1; display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; direction: ltr; }
.keys button { min-height: 56px; border-radius: 12px; background: var(--secondary-background-color); font-size: 24px; }
.keys button:active { background: var(--divider-color); }
.sign { --mdc-icon-size: 96px; color: var(--secondary-text-color); }
.paid { color: var(--success-color); animation: grow .4s ease-out; }
@keyframes grow { from { scale: .4; opacity: 0; } }
@media (prefers-reduced-motion: reduce) { .paid { animation: none; } }
`;

/** The tills on the page: each has an invoice of its own. @type {Set<Till>} */
const tills = new Set();

/** Reads a product, or an amount alone, as it is written in the configuration. */
function product(line) {
  const [, name, amount] = /^(.*?)\s*(\d{1,12}(?:[.,]\d{1,8})?)$/.exec(String(line).trim()) ?? [];
  return { line, name, amount: amount?.replace(",", ".") };
}

export class Till extends Card {
  #typed = "";
  #products = [];
  /** What was asked for: its order ID, which the invoice is found by, and when. */
  #order;
  #row;
  #state = "";
  #error = "";
  #isBusy = false;
  #code = {};
  #leaveAt = Infinity;
  #lock;
  #place;

  constructor() {
    super(STYLE, 1000);
    // It can't be loaded any more when it is needed.
    this.shadowRoot.append(icon(ICONS.offline, { class: "hidden" }));
    this.onkeydown = this.pressed = (event) => this.#press(event);
  }

  static async getStubConfig(hass) {
    const { accounts } = await hass.callWS({ type: `${DOMAIN}/accounts` });
    const account = accounts.find((each) => each.can_create)?.config_entry_id;
    return { ...(account && { account }), currency: hass.config.currency };
  }

  static getConfigForm() {
    return form({
      account: { config_entry: { integration: DOMAIN } },
      currency: { text: {} },
      title: { text: {} },
      amounts: { text: { multiple: true } },
      lifetime: { duration: {} },
      payment_method: { text: {} },
      ready: { entity: { multiple: true } },
      return_after: { number: { min: 3, max: 600, mode: "box", unit_of_measurement: "s" } },
      sound: { boolean: {} },
    });
  }

  setConfig(config) {
    this.needed = [config.ready ?? []].flat();
    super.setConfig(config);
  }

  wanted() {
    return { ...super.wanted(), order_id: this.#order?.id ?? "" };
  }

  /** Finds the place of this card in what outlives a reload, and the invoice that is there. */
  begin() {
    document.addEventListener("keydown", this.pressed);
    if (this.preview) return;
    const { account, title } = this.config;
    const taken = [...tills].map((till) => till.#place);
    for (let number = 0; number === 0 || taken.includes(this.#place); number += 1)
      this.#place = [DOMAIN, location.pathname, account, title, number].join();
    tills.add(this);
    this.#order = JSON.parse(sessionStorage.getItem(this.#place)) ?? undefined;
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.pressed);
    this.#keepAwake(false);
    tills.delete(this);
    super.disconnectedCallback();
  }

  #keep(order) {
    this.#order = order;
    if (order) sessionStorage.setItem(this.#place, JSON.stringify(order));
    else sessionStorage.removeItem(this.#place);
  }

  get #account() {
    const { accounts } = this.feed;
    return (!this.config.account && accounts.find((each) => each.can_create)) || accounts[0];
  }

  get #currency() {
    return String(this.config.currency || this.hass.config.currency).toUpperCase();
  }

  get #amount() {
    return add([this.#typed || "0", ...this.#products.map(({ amount }) => amount)]);
  }

  /** Returns what is needed to deliver, and isn't ready. */
  get #missing() {
    const { states } = this.hass;
    const missing = this.needed.filter((id) => NOT_READY.includes(states[id]?.state));
    return missing.map((id) => states[id]?.attributes.friendly_name ?? id).join(", ");
  }

  #now() {
    const { feed, hass } = this;
    const order = this.#order;
    const row = this.#row;
    if (!hass.connected) return "offline";
    if (!feed.isComplete) return "loading";
    if (!this.#account) return "no_account";
    if (!order) return this.#missing ? "not_ready" : "pad";
    if (!row) return order.error ? "failed" : order.isSeen ? "gone" : "asking";
    if (!this.#account.is_available || row.problem) return "unavailable";
    const state = STATES[row.status] ?? "over";
    if (state !== "pay") return state;
    if (this.#secondsLeft() <= 0) return "late";
    return this.#missing ? "not_ready" : "pay";
  }

  draw() {
    [this.#row] = this.#order ? this.feed.rows.values() : [];
    if (this.#row && !this.#order.isSeen) this.#keep({ id: this.#order.id, isSeen: true });
    const state = this.#now();
    this.#load(state === "pay" ? this.#row : undefined);
    const { image, text } = this.#code;
    if (this.isNews(state, this.#row, image, text, this.#isBusy, this.#error, this.#order?.isSlow, this.#missing)) {
      if (state !== this.#state) this.#enter(state);
      if (state === "pad") this.#showPad();
      else this.#showState(state);
    }
    if (state === "pad") this.#showAmount();
    this.tick();
  }

  #enter(state) {
    this.#leaveAt = OVER.includes(state) ? Date.now() + 1000 * (this.config.return_after || 10) : Infinity;
    if (state === "paid" && this.#state && this.config.sound) this.#play();
    // What Home Assistant said of it is old when it is ready again.
    if (state === "not_ready") this.#error = "";
    this.#state = state;
    this.#keepAwake(state === "pay" || state === "seen");
  }

  #secondsLeft() {
    const ends = this.#row?.expires_at;
    return ends ? Math.ceil((Date.parse(ends) + this.feed.ahead - Date.now()) / 1000) : Infinity;
  }

  /** Loads the code of what is to be paid; an old one is never shown. */
  async #load(row) {
    const mark = row?.code;
    if (this.#code.mark === mark) return;
    const wanted = (this.#code = { mark });
    if (!mark) return;
    const found = await this.scan(row).catch(() => undefined);
    if (this.#code !== wanted) return;
    // An account that was loaded a moment ago has none yet: the next tick asks again.
    this.#code = found ? { mark, ...found } : {};
    if (found) this.update();
  }

  tick() {
    const timer = this.$("[role=timer]");
    if (timer) timer.textContent = clock(Math.max(0, this.#secondsLeft()));
    if (this.#state === "pay" && (this.#secondsLeft() <= 0 || this.#row.code !== this.#code.mark)) this.update();
    if (this.#state === "asking") {
      const waited = Date.now() - this.#order.at;
      this.#order.isSlow = waited > SLOW;
      if (waited > PATIENCE && !this.#isBusy) this.#order.error = this.text("outcome_unknown");
      this.update();
    }
    if (Date.now() > this.#leaveAt) this.#leave();
    // Browsers let go of it when the page is hidden.
    this.#lock?.then((lock) => lock?.released && !document.hidden && this.#keepAwake(true));
  }

  /** Goes back to the pad: with an error as it was, otherwise for the next customer. */
  #leave(error = "") {
    this.#leaveAt = Infinity;
    this.#error = error;
    if (!error) [this.#typed, this.#products] = ["", []];
    this.#keep(undefined);
    this.feed.open(this.wanted());
    this.update();
  }

  async #ask() {
    const amount = this.#amount;
    if (this.#order || this.#isBusy || this.preview || !Number(amount)) return;
    const { title, lifetime, payment_method } = this.config;
    const time = new Date(Date.now() - this.feed.ahead).toISOString().slice(0, 19).replace("T", " ");
    const mark = crypto.getRandomValues(new Uint16Array(1))[0].toString(36);
    const order_id = `${(title || "Till").slice(0, 40)} ${time} ${mark}`;
    const { config_entry_id, takes_description } = this.#account;
    const names = this.#products.map(({ name }) => name).filter(Boolean);
    const description = takes_description && names.join(", ");
    const asked = { amount, currency: this.#currency, order_id, description, lifetime, payment_method, ready: this.needed };
    this.#keep({ id: order_id, at: Date.now() });
    this.feed.open(this.wanted());
    await this.#do("create_invoice", { config_entry_id, ...asked }, (error, words) => {
      // Without a connection nobody knows; it comes with the feed, or it doesn't.
      const isLost = error === 3 || error.error?.code === 3;
      if (this.#order?.id !== order_id || this.#order.isSeen || isLost) return;
      if (/^(outcome_unknown|created)/.test(error.translation_key)) this.#order.error = words;
      else this.#leave(words);
    });
  }

  /** Runs an action; what it is given that isn't set is left out. */
  async #do(action, data, failed) {
    this.#isBusy = true;
    this.#error = "";
    this.update();
    const given = Object.fromEntries(Object.entries(data).filter(([, value]) => value));
    await this.act(action, given).catch((error) => failed(error, errorText(this.hass, error)));
    this.#isBusy = false;
    this.update();
  }

  #press(event) {
    // From outside, only where it can mean nothing else.
    const isOutside = event.currentTarget === document;
    const isMine = !isOutside || (tills.size === 1 && event.target === document.body);
    const isOther = event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented;
    if (!isMine || isOther || this.#state !== "pad") return;
    const key = event.key === "," ? "." : event.key;
    if (/^([\d.]|Backspace)$/.test(key)) this.#type(key);
    else if (key === "Escape") this.#leave();
    else if (key === "Enter" && !/BUTTON/.test(event.composedPath()[0].tagName)) this.#ask();
    else return;
    event.preventDefault();
  }

  #type(key) {
    const typed = this.#typed;
    const places = decimals(this.#currency);
    if (key === "Backspace") {
      if (typed) this.#typed = typed.slice(0, -1);
      else this.#products.pop();
    } else if (key === ".") {
      if (places && !typed.includes(".")) this.#typed = `${typed || 0}.`;
    } else if (typed.length < 16 && !(typed.split(".")[1]?.length >= places)) {
      this.#typed = (typed === "0" ? "" : typed) + key;
    }
    this.#showAmount();
  }

  #showAmount() {
    const amount = this.#amount;
    const shown = this.#money(amount, this.#currency);
    const ask = this.$(".ask");
    this.$("output").textContent = shown;
    ask.textContent = Number(amount) ? this.text("ask", { amount: shown }) : this.text("no_amount");
    ask.disabled = !Number(amount) || !this.#account.can_create;
  }

  #showPad() {
    const { title: account, is_loaded, can_create } = this.#account;
    const products = [this.config.amounts ?? []].flat().map(product);
    const line = products.flatMap(({ amount, line }) => (amount ? [] : line)).join(", ");
    const key = (value, label = value, shown = value) =>
      el("button", { "aria-label": label, onclick: () => this.#type(value) }, shown);
    const sold = (each) => {
      const sell = () => {
        this.#products.push(each);
        this.#showAmount();
      };
      return button(`${each.name} ${this.#money(each.amount, this.#currency)}`.trim(), sell, { size: "s" });
    };
    this.show(
      this.#error && this.alert(this.#error),
      !can_create && this.alert(this.text(is_loaded ? "cannot_create" : "not_loaded", { account })),
      line && this.alert(this.text("wrong_product", { line })),
      el("div.pad", [
        el("output", { "aria-label": this.text("amount") }),
        el("div.row", products.filter(({ amount }) => amount).map(sold)),
        el("div.keys", { role: "group", "aria-label": this.text("amount") }, [
          [..."123456789"].map((digit) => key(digit)),
          key(".", this.text("point"), point(this.hass)),
          key("0"),
          key("Backspace", this.text("backspace"), icon("backspace-outline")),
        ]),
        button("", () => this.#ask(), { class: "ask", appearance: "accent", size: "l" }),
      ]),
    );
    this.announce(this.#error);
  }

  #showState(state) {
    const row = this.#row;
    const status = row && statusText(this.hass, row.status);
    const isPay = state === "pay";
    const isPart = isPay && row.status === "partially_paid" && row.missing_amount;
    const isMore = state === "paid" && row.received_currency === row.currency;
    const amount = row && this.#amountOf(isPart ? "missing_" : isMore ? "received_" : "");
    const words = {
      loading: this.hass.localize("ui.common.loading"),
      asking: this.#order?.isSlow && this.text("asking_slow"),
      failed: this.#order?.error,
      unavailable: row && problemText(this.hass, row),
      over: status,
      paid: status,
      pay: this.text(isPart ? "rest" : "please_pay"),
    };
    const said = words[state] || this.text(state, { account: this.#account?.title, entities: this.#missing });
    const sign = ICONS[state] ? icon(ICONS[state], { class: `sign ${state}` }) : el("ha-spinner");
    this.show(
      isPay && this.#error && this.alert(this.#error),
      el("div.center", [
        !isPay && sign,
        el("div.said", said),
        amount && el("div.amount", amount),
        isPay ? this.#toPay(row, amount, isPart) : this.#order && !WAITING.includes(state) && this.#next("filled"),
      ]),
    );
    this.announce(`${said} ${amount || ""}`.trim());
  }

  /** What there is to pay with, and how long. */
  #toPay(row, amount, isPart) {
    const { image } = this.#code;
    const href = safe(row.payment_url);
    const cancel = () =>
      this.#do("cancel_invoice", { invoice_id: row.id }, (_, words) => {
        this.#error = words;
      });
    const plain = { appearance: "plain", disabled: this.#isBusy };
    return [
      row.pay_amount && el("div.muted", this.#money(row.pay_amount, row.pay_currency ?? "")),
      isPart && el("div", this.text("part_paid", { received: this.#amountOf("received_"), amount: this.#amountOf("") })),
      row.code && code(image, this.text("code", { amount }), image === null && this.text("no_code")),
      row.expires_at && el("div.muted", this.text("time_left"), " ", el("span", { role: "timer" })),
      el("div.row", [
        href && button(this.text("pay_here"), undefined, { href, target: "_blank", autofocus: true }),
        this.#account.can_cancel ? button(this.hass.localize("ui.common.cancel"), cancel, plain) : this.#next("plain"),
      ]),
    ];
  }

  #next(appearance) {
    return button(this.text("next"), () => this.#leave(), { appearance, autofocus: appearance === "filled" });
  }

  #money(amount, currency) {
    return money(this.hass, amount, currency);
  }

  #amountOf(prefix) {
    const amount = this.#row[`${prefix}amount`];
    return amount ? this.#money(amount, this.#row[`${prefix}currency`]) : "";
  }

  /** Keeps the screen on while a code is shown, where the browser lets us. */
  async #keepAwake(isWanted) {
    if (!isWanted) await this.#lock?.then((lock) => lock?.release());
    this.#lock = isWanted ? navigator.wakeLock?.request("screen").catch(() => undefined) : undefined;
  }

  #play() {
    const audio = new AudioContext();
    [660, 880].forEach((tone, number) => {
      const note = audio.createOscillator();
      note.frequency.value = tone;
      note.connect(audio.destination);
      note.start(audio.currentTime + number / 6);
      note.stop(audio.currentTime + number / 6 + 0.14);
    });
  }
}
