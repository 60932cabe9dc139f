// A list of invoices, live: rows are made as somebody scrolls to them.

import { Card, button, code, el, form, icon, safe } from "./card.js";
import { DOMAIN, add, age, errorText, everybodys, money, problemText, statusText, text } from "./texts.js";

const PAGE = 40;
const OPEN = ["pending", "processing", "partially_paid", "unknown"];
const FILTERS = {
  all: () => true,
  open: (row) => OPEN.includes(row.status),
  paid: (row) => ["paid", "overpaid"].includes(row.status),
  to_fulfill: (row) => row.is_owed,
};
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
.more { gap: 4px; padding: 0 16px 12px; }
.more .code { width: min(100%, 320px); }
.sums { display: flex; flex-wrap: wrap; gap: 4px 24px; padding: 12px 16px; border-top: 1px solid var(--divider-color); }
`;

export class InvoiceList extends Card {
  #filter;
  #search = "";
  #list;
  /** Of each row that is shown, its key and its element. @type {Map<string, HTMLElement>} */
  #shown = new Map();
  /** Of all that are found, also further down. */
  #keys = [];
  #open;

  constructor() {
    super(STYLE, 6e4);
    this.watcher = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.#grow());
  }

  static getConfigForm() {
    const options = Object.keys(FILTERS).map((value) => ({ value, label: text(everybodys(), `show_${value}`) }));
    return form({
      account: { config_entry: { integration: DOMAIN } },
      title: { text: {} },
      filter: { select: { options, mode: "dropdown" } },
    });
  }

  setConfig(config) {
    this.#filter = FILTERS[config.filter] ? config.filter : "all";
    super.setConfig(config);
  }

  draw(changed) {
    const { isComplete, rows } = this.feed;
    if (this.isNews(isComplete, this.hass.connected)) this.#drawFrame();
    this.#drawRows(changed ?? new Set(rows.keys()));
  }

  /** Draws all that isn't a row. */
  #drawFrame() {
    const { accounts, isComplete } = this.feed;
    const away = accounts.filter((each) => !each.is_available);
    const search = this.hass.localize("ui.common.search");
    // Who keeps nothing to be fulfilled has no use for that filter.
    const isUsed = (name) => name !== "to_fulfill" || this.#filter === name || accounts.some((each) => each.to_fulfill);
    const filter = (name) => {
      const isOn = name === this.#filter;
      const choose = () => {
        this.#filter = name;
        this.#drawFrame();
        this.#drawRows();
      };
      const props = { size: "s", appearance: isOn ? "accent" : "plain", "aria-pressed": String(isOn) };
      return button(this.text(`show_${name}`), choose, props);
    };
    const oninput = (event) => {
      this.#search = event.target.value.toLowerCase();
      this.#drawRows();
    };
    this.#shown.clear();
    this.#list = el("ul", { tabindex: "-1" });
    this.show(
      !this.hass.connected && this.alert(this.text("offline"), "warning"),
      away.map(({ title }) => this.alert(this.text("unavailable", { account: title }), "warning")),
      el("div.tools", [
        el("div", { role: "group", "aria-label": this.text("field_filter") }, Object.keys(FILTERS).filter(isUsed).map(filter)),
        el("input", { type: "search", placeholder: search, "aria-label": search, value: this.#search, oninput }),
      ]),
      !isComplete && el("div.center", el("ha-spinner")),
      this.#list,
      el("div", { class: "sums muted" }),
    );
  }

  /** Brings the rows up to date; those that stay as they are aren't touched. */
  #drawRows(changed = new Set()) {
    const found = [...this.feed.rows].filter(([, row]) => FILTERS[this.#filter](row) && this.#isFound(row));
    found.sort(([, one], [, other]) => Date.parse(other.created_at ?? 0) - Date.parse(one.created_at ?? 0));
    this.#keys = found.map(([key]) => key);
    const wanted = this.#keys.slice(0, Math.max(PAGE, this.#shown.size));
    const stay = new Set(wanted);
    for (const [key, node] of this.#shown) {
      if (!stay.has(key)) {
        node.remove();
        this.#shown.delete(key);
      } else if (changed.has(key)) this.#fill(key);
    }
    wanted.forEach((key, index) => {
      const node = this.#shown.get(key) ?? this.#make(key);
      const place = this.#list.children[index] ?? null;
      if (place !== node) this.#list.insertBefore(node, place);
    });
    this.#watchEnd();
    this.#drawSums(found.map(([, row]) => row));
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
    this.#fill(key);
    return node;
  }

  #fill(key) {
    const node = this.#shown.get(key);
    const row = this.feed.rows.get(key);
    // Not shown, or gone, and so will its place be in a moment.
    if (!node || !row) return;
    const isOpen = this.#open === key;
    const about = [
      statusText(this.hass, row.status),
      row.is_owed && this.text("show_to_fulfill"),
      row.is_test && this.text("test"),
      row.problem && (problemText(this.hass, row) || this.text("unread")),
    ];
    node.className = row.status === "overpaid" ? "paid" : row.status;
    const hadFocus = node.contains(this.shadowRoot.activeElement);
    const toggle = () => {
      const before = this.#open;
      this.#open = isOpen ? undefined : key;
      [before, key].forEach((each) => this.#fill(each));
    };
    node.replaceChildren(
      el("button", { "aria-expanded": String(isOpen), onclick: toggle }, [
        icon(ICONS[row.status] ?? "close-circle-outline"),
        el("span.main", [
          el("span.name", row.name),
          el("span.muted", about.filter(Boolean).join(" · "), el("span.age")),
        ]),
        el("bdi.money", row.amount && money(this.hass, row.amount, row.currency)),
      ]),
      ...(isOpen ? [this.#more(key, row)] : []),
    );
    this.#drawAge(node, row);
    if (hadFocus) node.firstChild.focus();
  }

  /** What can be done with an invoice. */
  #more(key, row) {
    const { hass } = this;
    const account = this.feed.accounts.find((each) => each.config_entry_id === row.account) ?? {};
    const state = Object.values(hass.states).find(({ attributes }) => attributes.invoice_id === row.id);
    const link = safe(row.payment_url);
    const box = el("div", { class: "row more" });
    const plain = (label, onclick) => button(label, onclick, { appearance: "plain", size: "s" });
    const failed = (error) => box.prepend(this.alert(errorText(hass, error)));
    const run = (action, data) => () => this.act(action, data).then(() => this.#fill(key), failed);
    /** Asks once more before it does what can't be undone. */
    const sure = (label, action) => {
      const question = this.text("sure", { action: label });
      return plain(label, ({ target }) => {
        if (target.textContent === question) action();
        else target.textContent = question;
      });
    };
    const show = async () => {
      const { image, text } = await this.scan(row).catch(() => ({}));
      box.querySelector(".code")?.remove();
      box.prepend(code(image, text, this.text("no_code")));
    };
    const copy = async ({ target }) => {
      await navigator.clipboard.writeText(link);
      target.textContent = hass.localize("ui.common.copied");
    };
    const tell = () => {
      const detail = { entityId: state.entity_id };
      this.dispatchEvent(new CustomEvent("hass-more-info", { detail, bubbles: true, composed: true }));
    };
    const one = { invoice_id: row.id };
    const actions = [
      row.code && account.is_available && plain(this.text("show_code"), show),
      link && plain(this.text("copy_link"), copy),
      state && plain(this.text("more_info"), tell),
      row.is_owed && account.can_fulfill && plain(this.text("fulfill"), run("fulfill", one)),
      account.can_cancel && FILTERS.open(row) && sure(hass.localize("ui.common.cancel"), run("cancel_invoice", one)),
      account.can_untrack && sure(this.text("untrack"), run("untrack_invoices", { invoice_ids: row.id })),
    ];
    box.append(...actions.filter(Boolean));
    return box;
  }

  tick() {
    for (const [key, node] of this.#shown) this.#drawAge(node, this.feed.rows.get(key));
  }

  #drawAge(node, row) {
    const said = row?.created_at ? ` · ${age(this.hass, row.created_at)}` : "";
    const place = node.querySelector(".age");
    if (place.textContent !== said) place.textContent = said;
  }

  /** Adds up what is found, by currency. */
  #drawSums(rows) {
    const said = Object.entries({ outstanding: "missing_", received: "brought_" }).map(([name, prefix]) => {
      const sums = {};
      for (const { [`${prefix}amount`]: amount, [`${prefix}currency`]: currency } of rows)
        if (amount) (sums[currency] ??= []).push(amount);
      const amounts = Object.entries(sums).map(([currency, all], index) => [
        index ? " + " : ": ",
        el("bdi", money(this.hass, add(all), currency)),
      ]);
      return amounts.length && el("span", this.text(name), amounts);
    });
    const nothing = this.feed.isComplete && !rows.length && el("span", this.text("nothing"));
    this.$(".sums").replaceChildren(...[nothing, ...said].filter(Boolean));
  }
}
