// A till: asks for an amount, shows a code, and says when it is paid.

import { Card, button, code, el, icon, safe } from "./card.js";
import { DOMAIN, add, clock, decimals, errorText, money, point, statusText } from "./texts.js";

// In milliseconds: when it is called slow, and until when an invoice is waited for.
const SLOW = 6e3;
const PATIENCE = 9e4;
// What a status means here; anything else is over.
const STATES = { pending: "pay", partially_paid: "pay", processing: "seen", paid: "paid", overpaid: "paid" };
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

const STYLE = `
:host { container-type: inline-size; }
ha-card { min-height: 560px; }
.said { font-size: var(--ha-font-size-l); }
.pad { flex: 1; display: flex; flex-direction: column; gap: 12px; padding: 16px; }
output, .amount { font-size: clamp(28px, 11cqi, 56px); line-height: 1.2; text-align: center; font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; gap: 8px; justify-content: center; }
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

export class Till extends Card {
  #typed = "";
  #products = [];
  /** What was asked for: its order ID, which the invoice is found by, and when. */
  #order;
  #row;
  #state = "";
  #shown = "";
  #error = "";
  #isBusy = false;
  #code = {};
  #leaveAt = Infinity;
  #lock;
  #place;

  constructor() {
    super(STYLE);
    this.onkeydown = this.pressed = (event) => this.#press(event);
  }

  static async getStubConfig(hass) {
    const { accounts } = await hass.callWS({ type: `${DOMAIN}/accounts` });
    const account = accounts.find((each) => each.can_create)?.config_entry_id;
    return { ...(account && { account }), currency: hass.config.currency };
  }

  static getConfigForm() {
    const selectors = {
      account: { config_entry: { integration: DOMAIN } },
      currency: { text: {} },
      title: { text: {} },
      amounts: { text: { multiple: true } },
      lifetime: { duration: {} },
      payment_method: { text: {} },
      ready: { entity: { multiple: true } },
      return_after: { number: { min: 3, max: 600, mode: "box", unit_of_measurement: "s" } },
      sound: { boolean: {} },
    };
    const said = (part) => (field, localize) => localize(`component.${DOMAIN}.common.card_${part}_${field.name}`);
    return {
      schema: Object.entries(selectors).map(([name, selector]) => ({ name, selector })),
      computeLabel: said("field"),
      computeHelper: said("help"),
    };
  }

  setConfig(config) {
    this.config = config;
    this.needed = [config.ready ?? []].flat();
    this.#shown = "";
    this.connectedCallback();
  }

  getCardSize() {
    return 9;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6 };
  }

  wanted() {
    const { account } = this.config;
    return { ...(account && { config_entry_id: account }), order_id: this.#order?.id ?? "" };
  }

  connectedCallback() {
    if (!this.isConnected || !this.config || !this.hass) return;
    this.#stop();
    this.#take();
    this.timer = setInterval(() => this.#tick(), 1000);
    document.addEventListener("keydown", this.pressed);
    super.connectedCallback();
  }

  disconnectedCallback() {
    this.#stop();
    super.disconnectedCallback();
  }

  #stop() {
    clearInterval(this.timer);
    document.removeEventListener("keydown", this.pressed);
    this.#keepAwake(false);
    tills.delete(this);
  }

  /** Finds the place of this card in what outlives a reload, and the invoice that is there. */
  #take() {
    if (this.preview) return;
    const { account, title } = this.config;
    const taken = [...tills].map((till) => till.#place);
    for (let number = 0; number === 0 || taken.includes(this.#place); number += 1)
      this.#place = [DOMAIN, location.pathname, account, title, number].join();
    tills.add(this);
    this.#order = JSON.parse(sessionStorage.getItem(this.#place)) ?? undefined;
  }

  #keep(order) {
    this.#order = order;
    if (order) sessionStorage.setItem(this.#place, JSON.stringify(order));
    else sessionStorage.removeItem(this.#place);
  }

  get #account() {
    const { accounts } = this.feed;
    const own = (each) => each.config_entry_id === this.config.account;
    return accounts.find(this.config.account ? own : (each) => each.can_create) ?? accounts[0];
  }

  get #currency() {
    return (this.config.currency || this.hass.config.currency).toUpperCase();
  }

  get #amount() {
    return add([this.#typed || "0", ...this.#products.map(([, amount]) => amount)]);
  }

  /** Returns what is needed to deliver, and isn't ready. */
  get #missing() {
    const { states } = this.hass;
    const isMissing = (id) => ["unavailable", "unknown", undefined].includes(states[id]?.state);
    const name = (id) => states[id]?.attributes.friendly_name ?? id;
    return this.needed.filter(isMissing).map(name).join(", ");
  }

  #now() {
    const { feed, hass } = this;
    if (!hass.connected) return "offline";
    if (!feed.isComplete) return "loading";
    if (!this.#account) return "no_account";
    if (!this.#order) return this.#missing ? "not_ready" : "pad";
    if (!this.#row) return this.#order.error ? "failed" : this.#order.isSeen ? "gone" : "asking";
    if (!this.#account.is_available || this.#row.problem) return "unavailable";
    const state = STATES[this.#row.status] ?? "over";
    if (state !== "pay") return state;
    if (this.#secondsLeft() <= 0) return "late";
    return this.#missing ? "not_ready" : "pay";
  }

  draw() {
    [this.#row] = this.#order ? this.feed.rows.values() : [];
    if (this.#row && !this.#order.isSeen) this.#keep({ id: this.#order.id, isSeen: true });
    const state = this.#now();
    this.#load(state === "pay" ? this.#row : undefined);
    const { accounts, version } = this.feed;
    const shown = [state, this.#row, accounts, version, this.#code, this.#isBusy, this.#error, this.#order?.isSlow, this.#missing, this.text("next")];
    if (JSON.stringify(shown) !== this.#shown) {
      this.#shown = JSON.stringify(shown);
      if (state !== this.#state) this.#enter(state);
      if (state === "pad") this.#showPad();
      else if (state === "pay") this.#showCode(this.#row);
      else this.#say(state);
    }
    if (state === "pad") this.#showAmount();
    this.#tick();
  }

  #enter(state) {
    const isOver = ["paid", "over", "gone"].includes(state);
    this.#leaveAt = isOver ? Date.now() + 1000 * (this.config.return_after || 10) : Infinity;
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
    const found = await this.scan(row).catch(() => ({ image: null }));
    if (this.#code !== wanted) return;
    this.#code = { mark, ...found };
    this.update();
  }

  #tick() {
    const timer = this.$("[role=timer]");
    if (timer) timer.textContent = clock(Math.max(0, this.#secondsLeft()));
    if (this.#state === "pay" && this.#secondsLeft() <= 0) this.update();
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
    const names = this.#products.map(([name]) => name).filter(Boolean);
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
    const given = Object.entries(data).filter(([, value]) => value);
    await this.act(action, Object.fromEntries(given)).catch((error) =>
      failed(error, errorText(this.hass, error)),
    );
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
    const shown = money(this.hass, amount, this.#currency);
    const ask = this.$(".ask");
    this.$("output").textContent = shown;
    ask.textContent = Number(amount) ? this.text("ask", { amount: shown }) : this.text("no_amount");
    ask.disabled = !Number(amount) || !this.#account.can_create;
  }

  #showPad() {
    const { title: account, is_loaded, can_create } = this.#account;
    const lines = (this.config.amounts ?? []).map((line) => [line, /^(.*?)\s*(\d{1,12}([.,]\d{1,8})?)$/.exec(line.trim())]);
    const wrong = lines.flatMap(([line, found]) => (found ? [] : line)).join(", ");
    const products = lines.flatMap(([, found]) => (found ? [[found[1], found[2].replace(",", ".")]] : []));
    const key = (value, label, shown = value) =>
      el("button", { "aria-label": label, onclick: () => this.#type(value) }, shown);
    this.show(
      this.#error && this.alert(this.#error),
      !can_create && this.alert(this.text(is_loaded ? "cannot_create" : "not_loaded", { account })),
      wrong && this.alert(this.text("wrong_product", { line: wrong })),
      el("div", { class: "pad" }, [
        el("output", { "aria-label": this.text("amount") }),
        el("div", { class: "row" }, products.map((product) =>
          button([product[0], money(this.hass, product[1], this.#currency)].join(" "), () => {
            this.#products.push(product);
            this.#showAmount();
          }, { size: "s" }))),
        el("div", { class: "keys", role: "group", "aria-label": this.text("amount") }, [
          [..."123456789"].map((digit) => key(digit, digit)),
          key(".", this.text("point"), point(this.hass)),
          key("0", "0"),
          key("Backspace", this.text("backspace"), icon("backspace-outline")),
        ]),
        button("", () => this.#ask(), { class: "ask", appearance: "accent", size: "l" }),
      ]),
    );
    this.announce(this.#error);
  }

  #say(state) {
    const { hass } = this;
    const row = this.#row;
    const { title: account } = this.#account ?? {};
    const words = {
      loading: hass.localize("ui.common.loading"),
      asking: this.text(this.#order?.isSlow ? "asking_slow" : "asking"),
      failed: this.#order?.error,
      over: row && statusText(hass, row.status),
      paid: row && statusText(hass, row.status),
    };
    const said = words[state] || this.text(state, { account, entities: this.#missing });
    const isMore = state === "paid" && row.received_currency === row.currency;
    const isWaiting = !this.#order || ["loading", "asking", "offline", "no_account", "seen"].includes(state);
    this.show(
      el("div", { class: "center" }, [
        ICONS[state] ? icon(ICONS[state], { class: `sign ${state}` }) : el("ha-spinner"),
        el("div", { class: "said" }, said),
        row && el("div", { class: "amount" }, this.#money(isMore ? "received_" : "")),
        !isWaiting && button(this.text("next"), () => this.#leave(), { autofocus: true }),
      ]),
    );
    this.announce(said);
  }

  #showCode(row) {
    const isPart = row.status === "partially_paid" && row.missing_amount;
    const { image } = this.#code;
    const href = safe(row.payment_url);
    const amount = this.#money(isPart ? "missing_" : "");
    const said = this.text(isPart ? "rest" : "please_pay");
    const parts = { received: this.#money("received_"), amount: this.#money("") };
    this.show(
      this.#error && this.alert(this.#error),
      el("div", { class: "center" }, [
        el("div", { class: "said" }, said),
        el("div", { class: "amount" }, amount),
        row.pay_amount && el("div", { class: "muted" }, money(this.hass, row.pay_amount, row.pay_currency ?? "")),
        isPart && el("div", {}, this.text("part_paid", parts)),
        row.code && code(image, this.text("code", { amount }), image === null && this.text("no_code")),
        row.expires_at && el("div", { class: "muted" }, this.text("time_left"), " ", el("span", { role: "timer" })),
        el("div", { class: "row" }, [
          href && button(this.text("pay_here"), () => {}, { href, target: "_blank", autofocus: true }),
          this.#account.can_cancel
            ? button(this.hass.localize("ui.common.cancel"), () => this.#cancel(), { appearance: "plain", disabled: this.#isBusy })
            : button(this.text("next"), () => this.#leave(), { appearance: "plain" }),
        ]),
      ]),
    );
    this.announce(`${said} ${amount}`);
  }

  #cancel() {
    this.#do("cancel_invoice", { invoice_id: this.#row.id }, (_, words) => {
      this.#error = words;
    });
  }

  #money(prefix) {
    const amount = this.#row[`${prefix}amount`];
    return amount ? money(this.hass, amount, this.#row[`${prefix}currency`]) : "";
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
