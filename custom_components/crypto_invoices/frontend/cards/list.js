// A list of invoices, live: rows are made as somebody scrolls to them.

import { Card, button, code, el, icon, safe } from "./card.js";
import { DOMAIN, add, age, errorText, hass, money, statusText, text } from "./texts.js";

const PAGE = 40;
const OPEN = ["pending", "processing", "partially_paid", "unknown"];
const PAID = ["paid", "overpaid"];
const FILTERS = { all: () => true, open: (row) => OPEN.includes(row.status), paid: (row) => PAID.includes(row.status), to_fulfill: (row) => row.is_owed };
const ICONS = {
  pending: "clock-outline",
  processing: "progress-clock",
  partially_paid: "circle-half-full",
  paid: "check-circle",
  overpaid: "check-circle",
  unknown: "help-circle-outline",
};

const STYLE = `
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; padding: 16px 16px 8px; }
input { flex: 1 1 160px; min-width: 0; font: inherit; color: inherit; padding: 8px 16px; border: 1px solid var(--divider-color); border-radius: 20px; background: none; }
ul { list-style: none; margin: 0; padding: 0; overflow: auto; flex: 1; max-height: 60vh; }
li > button { width: 100%; display: flex; align-items: center; gap: 16px; min-height: 60px; padding: 8px 16px; text-align: start; }
li > button:hover { background: var(--secondary-background-color); }
.main { flex: 1; min-width: 0; }
.name { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.money { font-variant-numeric: tabular-nums; }
li ha-icon { color: var(--secondary-text-color); }
.paid ha-icon { color: var(--success-color); }
.pending ha-icon, .processing ha-icon, .partially_paid ha-icon { color: var(--primary-color); }
.more { display: flex; flex-wrap: wrap; gap: 4px; justify-content: center; padding: 0 16px 12px; }
.more .code { width: min(100%, 320px); }
.sums { display: flex; flex-wrap: wrap; gap: 4px 24px; padding: 12px 16px; border-top: 1px solid var(--divider-color); }
`;

export class InvoiceList extends Card {
  #filter;
  #search = "";
  #list;
  /** Of each row that is shown, its key and its element. @type {Map<string, HTMLElement>} */
  #shown = new Map();
  #keys = [];
  #open;
  #frame = "";

  constructor() {
    super(STYLE);
    this.watcher = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.#grow());
  }

  static getStubConfig() {
    return {};
  }

  static getConfigForm() {
    const options = Object.keys(FILTERS).map((value) => ({ value, label: text(hass(), `show_${value}`) }));
    const schema = [
      { name: "account", selector: { config_entry: { integration: DOMAIN } } },
      { name: "title", selector: { text: {} } },
      { name: "filter", selector: { select: { options, mode: "dropdown" } } },
    ];
    const said = (field, localize) => localize(`component.${DOMAIN}.common.card_field_${field.name}`);
    return { schema, computeLabel: said };
  }

  setConfig(config) {
    this.config = config;
    this.#filter = FILTERS[config.filter] ? config.filter : "all";
    this.#frame = "";
    this.connectedCallback();
  }

  getCardSize() {
    return 8;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6 };
  }

  wanted() {
    const { account } = this.config;
    return account ? { config_entry_id: account } : {};
  }

  connectedCallback() {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.#drawAges(), 6e4);
    if (this.config) super.connectedCallback();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    super.disconnectedCallback();
  }

  draw(changed) {
    const { accounts, version, isComplete } = this.feed;
    const frame = JSON.stringify([accounts, version, isComplete, this.hass.connected, this.text("nothing"), this.hass.locale]);
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#shown.clear();
      this.#drawFrame();
    }
    this.#drawRows(changed ?? new Set(this.feed.rows.keys()));
  }

  #drawFrame() {
    const { accounts, isComplete } = this.feed;
    const lost = !this.hass.connected && this.text("offline");
    const away = accounts.filter((each) => !each.is_available);
    const search = this.hass.localize("ui.common.search");
    // Who keeps nothing to be fulfilled has no use for that filter.
    const isUsed = (name) => name !== "to_fulfill" || this.#filter === name || accounts.some((each) => each.to_fulfill);
    const filter = (name) =>
      button(this.text(`show_${name}`), () => {
        this.#filter = name;
        this.#drawFrame();
        this.#drawRows(new Set());
      }, { size: "s", appearance: name === this.#filter ? "accent" : "plain", "aria-pressed": String(name === this.#filter) });
    this.#shown.clear();
    this.#list = el("ul", { tabindex: "-1" });
    this.show(
      lost && this.alert(lost, { "alert-type": "warning" }),
      ...away.map(({ title }) => this.alert(this.text("unavailable", { account: title }), { "alert-type": "warning" })),
      el("div", { class: "tools" }, [
        el("div", { role: "group", "aria-label": this.text("field_filter") }, Object.keys(FILTERS).filter(isUsed).map(filter)),
        el("input", {
          type: "search",
          placeholder: search,
          "aria-label": search,
          value: this.#search,
          oninput: (event) => {
            this.#search = event.target.value.toLowerCase();
            this.#drawRows(new Set());
          },
        }),
      ]),
      !isComplete && el("div", { class: "center" }, el("ha-spinner")),
      this.#list,
      el("div", { class: "sums muted" }),
    );
  }

  /** Brings the rows up to date; those that stay as they are aren't touched. */
  #drawRows(changed) {
    const all = [...this.feed.rows].filter(([, row]) => FILTERS[this.#filter](row) && this.#isFound(row));
    all.sort(([, one], [, other]) => Date.parse(other.created_at ?? 0) - Date.parse(one.created_at ?? 0));
    this.#keys = all.map(([key]) => key);
    const wanted = this.#keys.slice(0, Math.max(PAGE, this.#shown.size));
    const stay = new Set(wanted);
    for (const [key, node] of this.#shown) {
      if (stay.has(key) && !changed.has(key)) continue;
      if (!stay.has(key)) node.remove();
      else this.#fill(node, key);
      if (!stay.has(key)) this.#shown.delete(key);
    }
    wanted.forEach((key, index) => {
      const node = this.#shown.get(key) ?? this.#make(key);
      if (this.#list.children[index] !== node) this.#list.insertBefore(node, this.#list.children[index] ?? null);
    });
    this.#watchEnd();
    this.#drawSums(all.map(([, row]) => row));
  }

  #isFound(row) {
    const said = [row.name, row.id, row.amount, statusText(this.hass, row.status)].join(" ");
    return said.toLowerCase().includes(this.#search);
  }

  #grow() {
    const more = this.#keys.slice(this.#shown.size, this.#shown.size + PAGE);
    this.#list.append(...more.map((key) => this.#make(key)));
    this.#watchEnd();
  }

  #watchEnd() {
    this.watcher.disconnect();
    if (this.#shown.size < this.#keys.length) this.watcher.observe(this.#list.lastElementChild);
  }

  #make(key) {
    const node = el("li");
    this.#shown.set(key, node);
    this.#fill(node, key);
    return node;
  }

  #fill(node, key) {
    const row = this.feed.rows.get(key);
    // Gone, and so will its place be in a moment.
    if (!row) return;
    const isOpen = this.#open === key;
    const about = [statusText(this.hass, row.status), row.is_owed && this.text("show_to_fulfill"), row.is_test && this.text("test"), row.problem && this.text("unread")];
    node.className = row.status === "overpaid" ? "paid" : row.status;
    const focus = node.contains(this.shadowRoot.activeElement);
    node.replaceChildren(
      el("button", { "aria-expanded": String(isOpen), onclick: () => this.#toggle(key) }, [
        icon(ICONS[row.status] ?? "close-circle-outline"),
        el("span", { class: "main" }, [
          el("span", { class: "name" }, row.name),
          el("span", { class: "muted" }, about.filter(Boolean).join(" · "), el("span", { class: "age" })),
        ]),
        el("bdi", { class: "money" }, row.amount ? money(this.hass, row.amount, row.currency) : ""),
      ]),
      ...(isOpen ? [this.#more(key, row)] : []),
    );
    this.#drawAge(node, row);
    if (focus) node.firstChild.focus();
  }

  #toggle(key) {
    const before = this.#open;
    this.#open = before === key ? undefined : key;
    for (const each of [before, key]) if (this.#shown.has(each)) this.#fill(this.#shown.get(each), each);
  }

  /** What can be done with an invoice. */
  #more(key, row) {
    const account = this.feed.accounts.find((each) => each.config_entry_id === row.account) ?? {};
    const box = el("div", { class: "more" });
    const again = () => this.#shown.has(key) && this.#fill(this.#shown.get(key), key);
    const run = (action, data) => () =>
      this.act(action, data).then(again, (error) => box.prepend(this.alert(errorText(this.hass, error))));
    const plain = (label, onclick) => button(label, onclick, { appearance: "plain", size: "s" });
    /** Asks once more before it does what can't be undone. */
    const sure = (label, action) => {
      const ask = plain(label, () => {
        if (ask.textContent === label) ask.textContent = this.text("sure", { action: label });
        else action();
      });
      return ask;
    };
    const link = safe(row.payment_url);
    const show = async () => {
      const { image, text } = await this.scan(row).catch(() => ({}));
      box.querySelector(".code")?.remove();
      box.prepend(code(image, text, this.text("no_code")));
    };
    const state = Object.values(this.hass.states).find(({ attributes }) => attributes.invoice_id === row.id);
    const detail = { entityId: state?.entity_id };
    const about = () => this.dispatchEvent(new CustomEvent("hass-more-info", { detail, bubbles: true, composed: true }));
    box.append(
      ...[
        row.code && account.is_available && plain(this.text("show_code"), show),
        link && plain(this.text("copy_link"), (event) =>
          navigator.clipboard.writeText(link).then(() => (event.target.textContent = this.hass.localize("ui.common.copied")))),
        state && plain(this.text("more_info"), about),
        row.is_owed && account.can_fulfill && plain(this.text("fulfill"), run("fulfill", { invoice_id: row.id })),
        account.can_cancel && OPEN.includes(row.status) &&
          sure(this.hass.localize("ui.common.cancel"), run("cancel_invoice", { invoice_id: row.id })),
        account.can_untrack && sure(this.text("untrack"), run("untrack_invoices", { invoice_ids: row.id })),
      ].filter(Boolean),
    );
    return box;
  }

  #drawAges() {
    for (const [key, node] of this.#shown) this.#drawAge(node, this.feed.rows.get(key));
  }

  #drawAge(node, row) {
    const said = row?.created_at ? ` · ${age(this.hass, row.created_at)}` : "";
    const place = node.querySelector(".age");
    if (place.textContent !== said) place.textContent = said;
  }

  #drawSums(rows) {
    const sums = {};
    for (const [name, prefix] of [["outstanding", "missing_"], ["received", "brought_"]])
      for (const row of rows) {
        const amount = row[`${prefix}amount`];
        if (amount) ((sums[name] ??= {})[row[`${prefix}currency`]] ??= []).push(amount);
      }
    const said = Object.entries(sums).map(([name, each]) => {
      const amounts = Object.entries(each).map(([currency, all], index) => [
        index ? " + " : ": ",
        el("bdi", {}, money(this.hass, add(all), currency)),
      ]);
      return el("span", {}, this.text(name), amounts);
    });
    const nothing = this.feed.isComplete && !rows.length && el("span", {}, this.text("nothing"));
    this.$(".sums").replaceChildren(...[nothing, ...said].filter(Boolean));
  }
}
